"""The tables of GPUs, in Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from tests.benchmarks.gpu import flop
from tests.benchmarks.gpu.files import DECODING
from tests.benchmarks.gpu.ways import COMPILATIONS
from tests.benchmarks.markdown import Column, error, spread, table, table_of
from tests.benchmarks.results import Row

Rates = dict[str, float]  # images/s of a precision


def ceilings(rows: Sequence[Row]) -> Rates:
    """The images/s that the most FLOP/s of each precision would be."""
    return {precision: flop.images_per_second(most) for precision, most in _flops(rows).items()}


def _flops(rows: Sequence[Row]) -> dict[str, float]:
    return {
        precision: max(rates)
        for precision, alike in _by_precision(rows).items()
        if (rates := [rate for row in alike for rate in row.rates])
    }


def ceiling(rows: Sequence[Row]) -> str:
    """A line a precision, a column a library."""
    libraries = list(dict.fromkeys(row.label for row in rows))
    of_each = [_flops([row for row in rows if row.label == label]) for label in libraries]
    lines = [
        [
            precision,
            *(f"{one[precision] / 1e12:,.2f}" if precision in one else "-" for one in of_each),
            f"{most:,.1f}",
        ]
        for precision, most in ceilings(rows).items()
    ]
    titles = [*(f"{label}, TFLOP/s" for label in libraries), "images/s at the most"]
    return table(["precision", *titles], lines) + reasons(rows)


def by_batch(engine: Sequence[Row], most: Rates) -> str:
    """Our engine as it compiles by itself: a line a precision, a column a batch."""
    rows = own(engine)
    batches = sorted({row.batch for row in rows})
    lines = []
    for precision, alike in _by_precision(rows).items():
        rates = [_rate([row for row in alike if row.batch == batch]) for batch in batches]
        best = max((row.rate for row in alike if row.rates), default=None)
        lines.append([precision, *rates, share(best, most.get(precision)), _worst(alike)])
    return table(["precision", *map(str, batches), "best, of the ceiling", "largest error"], lines)


def by_compilation(engine: Sequence[Row]) -> str:
    """Our engine at one batch: a line a precision, a column a compilation."""
    lines = []
    for precision, alike in _by_precision(engine).items():
        rates = [
            _rate([row for row in alike if row.variant == compilation])
            for compilation in ("", *COMPILATIONS)
        ]
        lines.append([precision, *rates, _worst(alike)])
    return table(["precision", "as it is", *COMPILATIONS, "largest error"], lines)


def beside(rows: Sequence[Row], most: Rates) -> str:
    """Our engine and its peers at one batch."""
    columns: list[Column] = [
        ("way", lambda row: row.label),
        ("images/s", lambda row: spread(row.rates, "{:,.1f}")),
        ("of the ceiling", lambda row: share(row.rate, most.get(row.precision))),
        ("error", error),
    ]
    lines = [
        [read(row) if row.rates or not number else "-" for number, (_, read) in enumerate(columns)]
        for row in rows
    ]
    return table([title for title, _ in columns], lines)


def files(rows: Sequence[Row], engine: Sequence[Row]) -> str:
    """Whole processes, beside decoding alone and the network alone.

    Args:
        rows: as `files.measure` gives them.
        engine: the network alone, of the batch that the processes take.
    """
    network = {row.precision: row.rate for row in own(engine) if row.rates}
    decoding = next((row.rate for row in rows if row.name == DECODING and row.rates), None)

    def possible(row: Row) -> float | None:
        computing = network.get(row.precision)
        return min(computing, decoding) if computing and decoding else None

    def waits(row: Row) -> str:
        """What is left of the network's own rate, as the card computes nothing else meanwhile."""
        steady, computing = _steady(row), network.get(row.precision)
        return f"{max(0.0, 1 - steady / computing):.0%}" if steady and computing else "-"

    columns: list[Column] = [
        ("seconds", lambda row: spread(row.seconds, "{:.1f}")),
        ("first vector, s", lambda row: spread(row.first, "{:.2f}")),
        ("images/s, second half", lambda row: _number(_steady(row))),
        ("of the possible", lambda row: share(_steady(row), possible(row))),
        ("the card waits", waits),
        ("held up by", lambda row: row.limited_by or "-"),
        ("error", error),
    ]
    processes = [row for row in rows if row.name != DECODING]
    return table_of(processes, [("precision", lambda row: row.precision), *columns])


def share(rate: float | None, whole: float | None) -> str:
    return f"{rate / whole:.0%}" if rate and whole else "-"


def own(engine: Sequence[Row]) -> list[Row]:
    """The rows that are compiled as the engine does it by itself."""
    return [row for row in engine if not row.variant]


def reasons(rows: Sequence[Row]) -> str:
    """Why there are no figures, each reason once."""
    measured = {row.label for row in rows if row.rates}
    failed: dict[str, list[str]] = {}
    for row in rows:
        if row.failed:
            batch = f", batches of {row.batch}" if row.label in measured else ""
            failed.setdefault(row.failed, []).append(row.label + batch)
    return "".join(
        f"\nNot measured: {'; '.join(dict.fromkeys(names))}: {reason}.\n"
        for reason, names in failed.items()
    )


def _steady(row: Row) -> float | None:
    return statistics.median(row.steady) if row.steady else None


def _by_precision(rows: Sequence[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.precision, []).append(row)
    return found


def _rate(rows: Sequence[Row]) -> str:
    """Of the one row that there is, if it could be measured."""
    return _number(next((row.rate for row in rows if row.rates), None))


def _worst(rows: Sequence[Row]) -> str:
    errors = [row.error for row in rows if row.error is not None]
    return f"{max(errors):.1e}" if errors else "-"


def _number(rate: float | None) -> str:
    return "-" if rate is None else f"{rate:,.1f}"
