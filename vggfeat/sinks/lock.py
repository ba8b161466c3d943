"""One writer for an output, and for each of its files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import filelock

from vggfeat.errors import OutputBusyError, VggfeatError, describe_os_error
from vggfeat.sinks.index import beside
from vggfeat.sinks.published import about_at, replaced_by
from vggfeat.sinks.vectors import file_names
from vggfeat.sinks.work import paths_of, settings_of

_A_MOMENT = 0.2  # seconds: the lock file of a run that has just ended may be in the way so long
_LOOK_AGAIN = 0.05


@contextmanager
def locked(
    output: Path, layers: Sequence[str], *, wait: bool, on_wait: Callable[[str], None]
) -> Iterator[None]:
    """Hold the lock of an output, and of each file of a layer that a run may write or remove.

    `feats.fc7.npy` may be a layer of `feats.npy` or an output by itself, and not both at once.
    Nobody waits in a circle: longer names are locked after the one that they begin with.

    Raises as `OutputLock` does.
    """
    with ExitStack() as held:
        held.enter_context(OutputLock(output, wait=wait, on_wait=on_wait))
        files = [output.with_name(name) for name in file_names(output, layers)]
        files += paths_of(output, settings_of(output))
        if about := about_at(beside(output).about):
            files += [*paths_of(output, about), *map(output.with_name, replaced_by(about))]
        for path in dict.fromkeys(files):
            if beside(path) != beside(output):
                held.enter_context(OutputLock(path, wait=wait, on_wait=on_wait))
        yield


class OutputLock:
    """Keeps a second run from the same output.

    It is the system's own lock on a file beside the output (flock), which ends with the process
    that holds it, however that ends: the file that a dead process has left locks nothing.

    Args:
        output: the file that is to be written.
        wait: wait until no other run writes it.
        on_wait: called once, in words, before it waits.

    Raises:
        OutputBusyError: another run is writing it, and it is not to be waited for.
        VggfeatError: no file can be made there.
    """

    def __init__(self, output: Path, *, wait: bool, on_wait: Callable[[str], None]) -> None:
        # Of the name that the companions have: outputs that would share them exclude each other.
        self._path = output.with_name(f".{beside(output).about.stem}.lock")
        self._lock = filelock.FileLock(self._path)
        try:
            try:
                self._try_for(_A_MOMENT)
            except filelock.Timeout:
                if not self._path.exists():  # the other has ended just now, or no file can be made
                    self._try_for(_A_MOMENT)
                elif not wait:
                    raise OutputBusyError(
                        f"{output}: another vggfeat is writing it (--wait waits for it)"
                    ) from None
                else:
                    on_wait(f"{output}: waiting for another vggfeat that is writing it")
                    self._try_for(-1)
        except filelock.Timeout:
            raise VggfeatError(f"{output}: no file can be made in {output.parent}") from None
        except (OSError, NotImplementedError) as error:
            reason = describe_os_error(error) if isinstance(error, OSError) else error
            raise VggfeatError(f"{output}: cannot be written: {reason}") from error

    def _try_for(self, seconds: float) -> None:
        self._lock.acquire(seconds, poll_interval=_LOOK_AGAIN)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        # Removed while it is still held: who waits for it notices that the file is gone.
        with suppress(OSError):  # a file that nobody locks is in nobody's way
            self._path.unlink()
        self._lock.release()
