"""Whether the rows of an output that is there can be kept."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

from vggfeat.errors import VggfeatError, describe_os_error
from vggfeat.sinks.containers import CutError
from vggfeat.sinks.published import Published
from vggfeat.sinks.vectors import Vectors, vectors_of


def unfit(output: Path, published: Published) -> str | None:
    """Why the rows of an output cannot be kept, in words; None if they can.

    Raises:
        VggfeatError: something else is there in its place.
    """
    layers = zip(vectors_of(output, published.about), published.about["layers"], strict=True)
    reasons = [_unfit(file, told, published) for file, told in layers]
    return next(filter(None, reasons), None)


def _unfit(file: Vectors, told: dict[str, Any], published: Published) -> str | None:
    about, listed, _ = published
    path = file.path
    try:
        info = path.stat()
        if _is_cut(file, about["rows"], told["bytes"]):
            return f"{path} was cut short"
        # Touched by others, copied, or put back from elsewhere: each row is looked at.
        if info.st_mtime_ns != told["mtime_ns"]:
            with closing(file.open(listed)) as rows:
                if rows.intact(listed) < len(listed):
                    return f"rows of {path} are not those that are listed"
        return None
    except FileNotFoundError:
        return f"{path} is missing"
    except OSError as error:
        raise VggfeatError(f"{path}: cannot be read: {describe_os_error(error)}") from error
    except ValueError:
        return f"{path} is damaged"


def _is_cut(file: Vectors, rows: int, length: int) -> bool:
    """Whether a file of so many rows and bytes is not whole any more.

    Raises:
        VggfeatError: it is another file.
        OSError: it cannot be read.
    """
    start, size = file.start(rows), file.path.stat().st_size
    if size < len(start) and start.startswith(file.path.read_bytes()):
        return True
    try:
        ours = file.holds(rows)
    except CutError:
        if size <= length:
            return True
        ours = False
    if not ours:
        raise VggfeatError(
            f"{file.path}: is not what vggfeat wrote there, so it is not replaced: move it away "
            "or choose another -o"
        )
    return size < length and not file.container
