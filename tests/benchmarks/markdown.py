"""Tables in Markdown, and how figures are written in them."""

from __future__ import annotations

import statistics
import textwrap
from collections.abc import Callable, Sequence

from tests.benchmarks.results import Row

Column = tuple[str, Callable[[Row], str]]


def table(titles: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """The first column to the left, figures to the right."""
    rule = ["---", *["---:"] * (len(titles) - 1)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (titles, rule, *lines))


def table_of(rows: Sequence[Row], columns: Sequence[Column]) -> str:
    """A line a row; below, why there are no figures of some."""
    lines = [[_cell(row, read, number) for number, (_, read) in enumerate(columns)] for row in rows]
    return table([title for title, _ in columns], lines) + reasons(rows)


def reasons(rows: Sequence[Row]) -> str:
    notes = [f"{row.label} could not be measured: {row.failed}." for row in rows if row.failed]
    return "".join(f"\n{note}\n" for note in notes)


def _cell(row: Row, read: Callable[[Row], str], number: int) -> str:
    known = not row.failed or number == 0 or (row.cores and number == 1)
    return read(row) if known else "-"


def spread(values: Sequence[float], form: str) -> str:
    """The median, and in brackets the range."""
    middle = form.format(statistics.median(values))
    if len(values) == 1:
        return middle
    return f"{middle} ({form.format(min(values))} to {form.format(max(values))})"


def gigabytes(peaks: Sequence[int]) -> str:
    return f"{max(peaks) / 1e9:.2f}"


def error(row: Row) -> str:
    return "-" if row.error is None else f"{row.error:.1e}"


def paragraph(text: str) -> str:
    return textwrap.fill(text, 100) + "\n"
