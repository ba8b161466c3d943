"""An output and its companions as one generation, and what to do when a run ended between two.

`feats.json` holds the generation: sha256 over the index and the list of failures as they belong to
it; the index holds the checksum of each row. To publish, a run first makes everything durable
under other names (`.new`; rows that only go to the end of an .npy file are put behind those that
its header tells). Then it replaces

1. `feats.json`: from here on the new generation is decided,
2. the vectors: by a rename, or by the number of rows in their header,
3. `feats.failed.csv`,
4. `feats.index.csv`: from here on it is complete,

and has the folder on the disk after each, so that a power cut leaves them in that order. An index
that fits `feats.json` therefore says that all is complete, and an `.index.csv.new` that fits it
that the rest is still to be done, by whoever comes next. A reader that finds the two fitting
before and after it has opened the vectors has one generation.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any, NamedTuple

from vggfeat.errors import VggfeatError, describe_os_error
from vggfeat.outcome import Failure
from vggfeat.sinks import FORMS, form
from vggfeat.sinks.index import Entry, beside, entries, failures, read_about
from vggfeat.sinks.part import sync_folder, writing
from vggfeat.sinks.work import journal_of, part_of

_NEEDED = {"generation", "format", "rows", "shape", "bytes", "began_ns"}


class Published(NamedTuple):
    """What the companions of an output tell of it.

    Attributes:
        about: the content of `feats.json`.
        entries: one for each row.
        failures: images that have none.
    """

    about: dict[str, Any]
    entries: list[Entry]
    failures: list[Failure]


class TornError(VggfeatError):
    """An output and its companions are not of one run."""


def new(path: Path) -> Path:
    """The name that a file has before it is published."""
    return path.with_name(f"{path.name}.new")


def generation(index: bytes, failed: bytes) -> str:
    return hashlib.sha256(index + failed).hexdigest()


def read(output: Path) -> Published | None:
    """What is published at a place; None where nothing is. It does not look at the vectors.

    Raises:
        TornError: the companions do not belong together. They do not either for the moment in
            which a run publishes.
        VggfeatError: one of them cannot be read.
    """
    about_path, index_path, failed_path = beside(output)
    try:
        about = _checked(read_about(about_path))
        index, failed = index_path.read_bytes(), _bytes(failed_path)
        if generation(index, failed) != about["generation"]:
            raise ValueError("not of one run")
        return Published(about, list(entries(index)), list(failures(failed)) if failed else [])
    except FileNotFoundError as error:
        if error.filename == str(about_path):
            return None
        raise TornError(f"{index_path} is missing") from error
    except OSError as error:
        raise VggfeatError(
            f"{error.filename}: cannot be read: {describe_os_error(error)}"
        ) from error
    except (ValueError, TypeError, KeyError) as error:
        raise TornError(f"{index_path} and {about_path.name} do not belong together") from error


def generation_of(output: Path) -> str | None:
    """The generation that `feats.json` tells of at the moment."""
    about = _about(beside(output).about)
    return about["generation"] if about else None


def settle(output: Path) -> None:
    """End what a run began that was cut off while it published, or take it back.

    Only for who holds the lock of the output. Raises VggfeatError.
    """
    about_path, index, failed = beside(output)
    with writing(output):
        about = _about(about_path)
        if about is not None and _is_decided(about, index, failed):
            complete(output, about)
        for path in (about_path, index, failed):
            new(path).unlink(missing_ok=True)
        _take_back(output, about)


def complete(output: Path, about: dict[str, Any]) -> None:
    """The second to the last step of publishing. Raises OSError.

    Args:
        about: the content of `feats.json`, which has been replaced already.
    """
    _, index, failed = beside(output)
    if new(output).exists():
        os.replace(new(output), output)
    elif not begins_as_told(output, about):
        write_header(output, _header(about))
    sync_folder(output.parent)
    if not new(failed).exists():
        pass
    elif new(failed).stat().st_size:
        os.replace(new(failed), failed)
    else:
        failed.unlink(missing_ok=True)
        new(failed).unlink()
    sync_folder(output.parent)
    os.replace(new(index), index)
    sync_folder(output.parent)


def write_header(path: Path, header: bytes) -> None:
    """Let a file begin so, and have it on the disk. Raises OSError.

    Only what differs is written: some digits, at once, so that a reader sees the one or the other.
    """
    fd = os.open(path, os.O_RDWR)
    try:
        before = os.pread(fd, len(header), 0).ljust(len(header), b"\0")
        differ = [at for at, byte in enumerate(header) if before[at] != byte]
        if differ:
            os.pwrite(fd, header[differ[0] : differ[-1] + 1], differ[0])
        os.fsync(fd)
    finally:
        os.close(fd)


def begins_as_told(output: Path, about: dict[str, Any]) -> bool:
    """Whether a file has the header of the output that `feats.json` tells of. Raises OSError."""
    with open(output, "rb") as file:
        return file.read(len(_header(about))) == _header(about)


def unfit(output: Path, about: dict[str, Any]) -> str | None:
    """Why the rows of an output cannot be kept, in words; None if they can.

    Raises:
        VggfeatError: something else is there in its place.
    """
    try:
        if not begins_as_told(output, about):
            raise VggfeatError(
                f"{output}: is not what vggfeat wrote there, so it is not replaced: move it away "
                "or choose another -o"
            )
        return f"{output} was cut short" if output.stat().st_size < about["bytes"] else None
    except FileNotFoundError:
        return f"{output} is missing"
    except OSError as error:
        raise VggfeatError(f"{output}: cannot be read: {describe_os_error(error)}") from error


def _header(about: dict[str, Any]) -> bytes:
    return form(about["format"]).header(about["rows"], tuple(about["shape"]))


def _about(path: Path) -> dict[str, Any] | None:
    """What is told of an output; None where there is nothing, or nothing that can be used."""
    try:
        return _checked(read_about(path))
    except (FileNotFoundError, ValueError):
        return None


def _checked(about: dict[str, Any] | None) -> dict[str, Any]:
    """Raises ValueError where something is missing."""
    if about is None or not about.keys() >= _NEEDED or about["format"] not in FORMS:
        raise ValueError("not what vggfeat writes")
    return about


def _is_decided(about: dict[str, Any], index: Path, failed: Path) -> bool:
    """Whether `feats.json` is of the generation that has not all of its files yet."""
    if not new(index).exists():
        return False
    pending = new(failed) if new(failed).exists() else failed
    return generation(new(index).read_bytes(), _bytes(pending)) == about.get("generation")


def _take_back(output: Path, about: dict[str, Any] | None) -> None:
    """Undo what was made ready for a generation that was not decided."""
    part, journal = part_of(output), journal_of(output)
    if new(output).exists():
        if journal.exists() and not part.exists():
            os.replace(new(output), part)
        else:
            new(output).unlink()
    if not part.exists():
        journal.unlink(missing_ok=True)
    if about is None or not output.exists() or not begins_as_told(output, about):
        return
    if output.stat().st_size > about["bytes"]:
        os.truncate(output, about["bytes"])


def _bytes(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""
