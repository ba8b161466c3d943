"""One process for each shard of a folder here, and one division into shards at a time."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from vggfeat.dataset.local_folder import TEMPORARY, LocalFolder
from vggfeat.dataset.shard import Shard
from vggfeat.errors import OutputBusyError, VggfeatError
from vggfeat.sinks.lock import OutputLock

_LOCK = re.compile(r"\.shard-(\d+-of-\d+)\.lock")
_DECODING = re.compile(r"\.(\d+-of-\d+)\.decoding")  # see `Suspects`
_LOOK_AGAIN = 0.5  # seconds


@contextmanager
def locked(
    folder: LocalFolder, shard: Shard, *, wait: bool, on_wait: Callable[[str], None]
) -> Iterator[None]:
    """Hold the lock of a shard, and remove what dead processes have left, before and after.

    Others may hold those of other shards, if they divide the parts alike.

    Raises:
        OutputBusyError: another process has the same parts to write, and is not to be waited for.
        VggfeatError: no file can be made there.
    """
    told = False

    def waiting(message: str = "") -> None:
        nonlocal told
        if not told:
            on_wait(f"{folder.shown}: waiting for another vggfeat that is writing it")
        told = True

    with ExitStack() as held:
        while True:
            try:
                own = OutputLock(_place(folder, str(shard)), wait=wait, on_wait=waiting)
            except OutputBusyError:
                raise _busy(folder, shard) from None
            except VggfeatError as error:
                reason = str(error).removeprefix(str(_place(folder, str(shard))))
                raise VggfeatError(f"{folder.shown}{reason}") from error
            other = _other_division(folder, shard)
            if other is None:
                held.enter_context(own)
                break
            own.__exit__()
            if not wait:
                raise _busy(folder, other)
            waiting()
            time.sleep(_LOOK_AGAIN * random.uniform(0.5, 1.5))
        _clean(folder, shard)
        yield
        _clean(folder, shard)  # workers of a cluster may have died


def _place(folder: LocalFolder, shard: str) -> Path:
    return folder.path / f"shard-{shard}"


def _busy(folder: LocalFolder, shard: Shard) -> OutputBusyError:
    whose = "" if shard.is_all else f" (--shard {shard.number}/{shard.among})"
    return OutputBusyError(
        f"{folder.shown}: another vggfeat{whose} is writing it (--wait waits for it)"
    )


def _other_division(folder: LocalFolder, shard: Shard) -> Shard | None:
    """A shard that is held, of another number of shards."""
    for name in folder.sizes():
        found = _LOCK.fullmatch(name)
        if found and not found[1].endswith(f"-of-{shard.among}") and _is_held(folder, found[1]):
            return Shard(*map(int, found[1].split("-of-")))
    return None


def _is_held(folder: LocalFolder, shard: str) -> bool:
    try:
        with OutputLock(_place(folder, shard), wait=False, on_wait=lambda message: None):
            return False
    except OutputBusyError:
        return True


def _clean(folder: LocalFolder, shard: Shard) -> None:
    """Remove temporary files whose shard nobody holds, and those of this one.

    What shards of this division were decoding when they died is for those that come after them.
    """
    for under in ("", "_failed/"):
        for name in folder.sizes(under):
            if found := TEMPORARY.fullmatch(name):
                is_left = found[1] == str(shard) or not _is_held(folder, found[1])
            elif found := _DECODING.fullmatch(name):
                is_left = not found[1].endswith(f"-of-{shard.among}")
            else:
                continue
            if is_left:
                folder.remove(under + name)
