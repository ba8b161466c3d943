"""A file to write to, and its companions: nobody else's, and nobody else's at the same time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from vggfeat.remote import is_address
from vggfeat.sinks.lock import locked
from vggfeat.sinks.mirror import mirrored
from vggfeat.sinks.strangers import check_free

Note = Callable[[str], None]


class Claimed(NamedTuple):
    """An output that is locked.

    Attributes:
        path: the file, on this machine.
        note: told what is worth a line, of that path; it tells it of the output as it was given.
    """

    path: Path
    note: Note


@contextmanager
def claimed(
    output: str, form: str, layers: Sequence[str], *, wait: bool, note: Note, put: bool = True
) -> Iterator[Claimed]:
    """Have an output for oneself.

    Args:
        output: a path or an address. At an address it appears when the block ends well.
        form: the name of the form in which it is to be written.
        layers: of which layers, as `--layer` takes them.
        wait: where another run is writing it, wait for its end.
        note: told what is worth a line.
        put: False to leave an address as it is.

    Raises:
        OutputBusyError: another run is writing it.
        VggfeatError: it cannot be written, or was not written by vggfeat.
    """
    with ExitStack() as held:
        if is_address(output):
            mirror = mirrored(output, layers, form, wait=wait, on_note=note, put=put)
            path, said = held.enter_context(mirror)
            claim = Claimed(path, lambda message: note(said(message)))
        else:
            claim = Claimed(Path(os.path.realpath(output)), note)
        check_free(claim.path, form, layers)
        held.enter_context(locked(claim.path, layers, wait=wait, on_wait=claim.note))
        check_free(claim.path, form, layers)  # as it is when others have ended
        yield claim
