"""A part: what it is made from, what it tells of itself, and what became of it in a run."""

from __future__ import annotations

import hashlib
import json
import time
from typing import Any, NamedTuple

from vggfeat.outcome import Failure
from vggfeat.sources.units import Unit

SHOWN = 10  # failures that a record tells one by one
_NEVER = (1 << 63) - 1  # ns: later than any stamp


class Part(NamedTuple):
    """What a part is to be made from. It can be pickled.

    Attributes:
        number: of the part, from 0.
        unit: its images.
        digest: sha256 over the names and stamps of the unit's inputs.
        newest_ns: the latest change of one of them; after all times where one tells none.
        began_ns: when the stamps were asked for.
    """

    number: int
    unit: Unit
    digest: str
    newest_ns: int
    began_ns: int

    @property
    def name(self) -> str:
        return part_name(self.number)


class Made(NamedTuple):
    """What a part tells of itself.

    Attributes:
        settings: what its rows depend on, as `feats.json` tells them.
        run: the run that wrote it.
        unit: the name of the unit that it was made from.
        digest: of the inputs then.
        began_ns: when that run asked for their stamps.
        rows: how many there are.
        failed: how many images have none.
        passing: how many of those failed for reasons that may pass.
        computed: rows that were computed in that run.
    """

    settings: dict[str, Any]
    run: str
    unit: str
    digest: str
    began_ns: int
    rows: int
    failed: int
    passing: int
    computed: int

    def encode(self) -> bytes:
        return json.dumps(self._asdict()).encode()

    @classmethod
    def decode(cls, data: bytes) -> Made:
        """Raises ValueError or TypeError where it is none, or of another version."""
        made = cls(**json.loads(data))
        if not all(isinstance(found, kind) for found, kind in zip(made, _KINDS, strict=True)):
            raise ValueError("not what vggfeat writes")
        return made


_KINDS = (dict, str, str, str, int, int, int, int, int)


class Record(NamedTuple):
    """What became of a part in a run. It can be pickled, and is small.

    Attributes:
        number: of the part.
        rows: how many it has.
        failed: images that have none.
        passing: how many of those failed for reasons that may pass.
        nbytes: of its files of rows.
        digest: of its inputs, as they are now.
        made_ns: `Made.began_ns` of what is there, which tells it from what was there before.
        began_ns: when the stamps of its inputs were asked for last.
        written: whether this run wrote it.
        computed: rows that were computed.
        replaced: those of them whose image had another row before.
        had: rows that were in the part before.
        failures: the first of the images that failed in this run.
    """

    number: int
    rows: int
    failed: int
    passing: int
    nbytes: int
    digest: str
    made_ns: int
    began_ns: int
    written: bool = False
    computed: int = 0
    replaced: int = 0
    had: int = 0
    failures: tuple[Failure, ...] = ()

    @property
    def images(self) -> int:
        return self.rows + self.failed


def part_name(number: int) -> str:
    """`part-00007`."""
    return f"part-{number:05d}"


def record_of(part: Part, made: Made, nbytes: int) -> Record:
    """The record of a part that is there, and up to date."""
    return Record(
        part.number, made.rows, made.failed, made.passing, nbytes, made.digest,
        made.began_ns, made.began_ns,
    )  # fmt: skip


def part_of(number: int, unit: Unit) -> Part:
    """A part of that number, with the stamps that its inputs have now."""
    began_ns, newest_ns = time.time_ns(), 0
    digest = hashlib.sha256()
    for name, stamp in unit.inputs():
        newest_ns = max(newest_ns, stamp.mtime_ns if stamp else _NEVER)
        told = [name, *stamp] if stamp else [name]
        digest.update(json.dumps(told).encode() + b"\n")
    return Part(number, unit, digest.hexdigest(), newest_ns, began_ns)
