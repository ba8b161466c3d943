"""What was measured, kept as JSON from one run to the next."""

from __future__ import annotations

import json
import os
import statistics
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any


@dataclass
class Row:
    """One line of a table: the figures of every round of one way.

    Attributes:
        images: in a run.
        cores: that it might use; 0 for all.
        rates: images/s; of a GPU's ceiling, FLOP/s.
        seconds: of a whole process.
        first: seconds from the start of the process to the first vectors.
        steady: images/s in the second half of a run over photographs.
        peaks: bytes.
        single: seconds of a whole process with a single photograph.
        error: of fc7 against float64, the relative norm.
        precision: that a GPU computed in.
        variant: of the way; how it was compiled.
        batch: images computed at once on a GPU; of its ceiling, a matrix's side.
        limited_by: what held up a run over photographs, as `feats.json` has it.
        failed: why there are no figures.
    """

    name: str
    label: str
    images: int = 0
    cores: int = 0
    rates: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    steady: list[float] = field(default_factory=list)
    peaks: list[int] = field(default_factory=list)
    single: list[float] = field(default_factory=list)
    error: float | None = None
    precision: str = ""
    variant: str = ""
    batch: int = 0
    limited_by: str = ""
    failed: str = ""

    @property
    def rate(self) -> float:
        """The median of the images/s."""
        return statistics.median(self.rates)


@dataclass
class Table:
    """Rows that were measured in one run, in turn."""

    rows: list[Row]
    day: str = field(default_factory=lambda: date.today().isoformat())

    def row(self, name: str) -> Row | None:
        """The row of a way, if it could be measured."""
        found = (row for row in self.rows if row.name == name and not row.failed)
        return next(found, None)


@dataclass
class Results:
    """All tables that were measured so far, and the machine."""

    machine: dict[str, Any]
    tables: dict[str, Table]


def load(path: Path) -> Results:
    if not path.exists():
        return Results({}, {})
    kept = json.loads(path.read_text(encoding="utf-8"))
    tables = {
        name: Table([Row(**row) for row in table["rows"]], table["day"])
        for name, table in kept["tables"].items()
    }
    return Results(kept["machine"], tables)


def save(results: Results, path: Path) -> None:
    part = path.with_suffix(".part")
    part.write_text(json.dumps(asdict(results), indent=1) + "\n", encoding="utf-8")
    os.replace(part, path)
