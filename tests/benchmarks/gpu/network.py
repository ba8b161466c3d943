"""The network alone on a card: crops in memory, every variant and batch of every way.

A way has the card for itself, since each keeps the memory it has taken; its variants at one batch
take turns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.folder import Folder
from tests.benchmarks.gpu.place import Place
from tests.benchmarks.gpu.ways import GpuWay
from tests.benchmarks.plan import Plan
from tests.benchmarks.process import FailedError, Program
from tests.benchmarks.reference import reference_file, relative_error
from tests.benchmarks.results import Row, Table


def measure(
    ways: Sequence[GpuWay], folder: Folder, plan: Plan, place: Place, keep: Callable[[Table], None]
) -> Table:
    """Measure all ways; what there is so far is kept after each, as a lease of a card may end."""
    table = Table([])
    for way in ways:
        rows = _rows(way, plan)
        table.rows += rows
        _measure(way, rows, folder, plan, place)
        keep(table)
    return table


def _rows(way: GpuWay, plan: Plan) -> list[Row]:
    first, *others = plan.gpu_batches
    measured = [(variant, first) for variant in way.variants]
    measured += [(way.variants[0], batch) for batch in others if way.swept]
    return [
        Row(
            way.name,
            f"{way.label}, {variant}" if variant else way.label,
            precision=way.precision,
            variant=variant,
            batch=batch,
        )
        for variant, batch in measured
    ]


def _measure(way: GpuWay, rows: list[Row], folder: Folder, plan: Plan, place: Place) -> None:
    output = folder.fresh_output(f"gpu {way.name}")
    program = Program(way.command(folder, output, place.name, plan.gpu_seconds), card=place.card)
    expected = np.load(reference_file(folder.crops))
    try:
        program.answer()
        for batch in dict.fromkeys(row.batch for row in rows):
            alike = [row for row in rows if row.batch == batch]
            for row in alike:
                _prepare(program, row, output, expected)
            for _ in range(plan.gpu_rounds):
                for row in alike:
                    _round(program, row)
            program.answer("drop")
        program.wait()
    except FailedError as error:
        for row in rows:
            row.failed = row.failed or ("" if row.rates else str(error))
    for row in rows:
        told = row.failed or f"{row.rate:,.1f} images/s"
        print(f"{row.label}, batches of {row.batch}: {told}", flush=True)


def _prepare(program: Program, row: Row, output: Path, expected: NDArray[np.float64]) -> None:
    answer = program.answer(f"prepare {row.batch} {row.variant}")
    row.failed = answer["failed"]
    if not row.failed:
        rows = min(row.batch, len(expected))
        row.error = relative_error(np.load(output)[:rows], expected[:rows])


def _round(program: Program, row: Row) -> None:
    if row.failed:
        return
    answer = program.answer(f"round {row.batch} {row.variant}")
    row.failed = answer["failed"]
    if not row.failed:
        row.rates.append(answer["images"] / answer["seconds"])
