"""Outputs at addresses: made in a folder of this machine, and put there when they are whole.

The folder is vggfeat's own, in the user's cache folder, and keeps what was put and what is in work
until the next run: an output at an address goes on where a killed run stopped, as local ones do,
and only what has changed goes over the network. What others have put there meanwhile is fetched
first. `feats.json` is put last; as long as the others are being replaced one stands in its place
that says so, which is none for a reader.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import platformdirs

from vggfeat.errors import OutputBusyError, UsageError, VggfeatError, describe_os_error
from vggfeat.remote import filesystem, shown
from vggfeat.sinks.copies import Copies
from vggfeat.sinks.lock import OutputLock
from vggfeat.sinks.store import Store

_READ_ONLY = ("http", "https")
_LOCAL = ("file", "local")


class Mirror(NamedTuple):
    """An output at an address, as it is made here.

    Attributes:
        path: the output to make.
        said: a message of it, as it is to be told: of the address.
    """

    path: Path
    said: Callable[[str], str]


@contextmanager
def mirrored(
    address: str,
    layers: Sequence[str],
    form: str,
    *,
    wait: bool,
    on_note: Callable[[str], None],
    put: bool = True,
) -> Iterator[Mirror]:
    """An output to be made here, which is put to an address when the context ends well.

    Args:
        address: of the file: `s3://bucket/feats.npy`.
        layers: of which layers, as `--layer` takes them.
        form: the name of the form in which.
        wait: wait where another process of this machine is writing it.
        on_note: told what takes time, in words.
        put: False to leave the address as it is.

    Raises:
        UsageError: nothing can be written there.
        OutputBusyError: another process of this machine is writing it.
        VggfeatError: it cannot be read or written, or something else is there.
    """
    protocol = address.split("://", 1)[0].lower()
    if protocol in _READ_ONLY:
        raise UsageError(f"{shown(address)}: nothing can be written to {protocol} addresses")
    files, path = filesystem(address)
    if protocol in _LOCAL:
        yield Mirror(Path(path), str)
        return
    place, _, name = path.rpartition("/")
    folder = _folder(protocol, path)
    told = shown(address).rpartition("/")[0]

    def said(message: str) -> str:
        of_address = message.replace(f"{folder}/", f"{told}/")
        if of_address != message and ": cannot be written: " in message:
            return f"{of_address} (in its copy, {folder})"
        return of_address

    try:
        with OutputLock(folder, wait=wait, on_wait=lambda _: on_note(_waits(address))):
            store = Store(files, place, told)
            copies = Copies(store, folder / name, layers, form, lambda text: on_note(said(text)))
            copies.fetch()
            yield Mirror(folder / name, said)
            if put:
                copies.put()
    except OutputBusyError as error:
        error.args = (f"{shown(address)}: another vggfeat is writing it (--wait waits for it)",)
        raise
    except VggfeatError as error:
        error.args = (said(str(error)),)
        raise


def _waits(address: str) -> str:
    return f"{shown(address)}: waiting for another vggfeat that is writing it"


def _folder(protocol: str, path: str) -> Path:
    """The folder of an output's copy, which is made if there is none. Raises VggfeatError."""
    try:
        outputs = platformdirs.user_cache_path("vggfeat") / "outputs"
    except RuntimeError as error:
        raise VggfeatError(f"{str(error).rstrip('.')}: set HOME") from error
    folder = outputs / hashlib.sha256(f"{protocol}://{path}".encode()).hexdigest()[:32]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return folder.resolve()
    except OSError as error:
        raise VggfeatError(
            f"{folder}: cannot be made: {describe_os_error(error)}: outputs at addresses are made "
            "in a cache folder first, so set XDG_CACHE_HOME or HOME to one that can be written"
        ) from error
