"""The ceiling: how much arithmetic the card does in large matrix products, in each precision."""

from __future__ import annotations

from tests.benchmarks.gpu.place import Place
from tests.benchmarks.gpu.ways import PRECISIONS
from tests.benchmarks.plan import Plan
from tests.benchmarks.process import FailedError, Program
from tests.benchmarks.programs import of_peer
from tests.benchmarks.results import Row, Table

LIBRARIES = {"matmul_tensorflow": "TensorFlow", "matmul_pytorch": "PyTorch"}


def measure(plan: Plan, place: Place) -> Table:
    """FLOP/s of each library, precision and size, as the rates of rows."""
    rows = []
    for script, label in LIBRARIES.items():
        alike = [
            Row(script, label, precision=precision, batch=size)
            for precision in PRECISIONS
            for size in plan.gpu_matrices
        ]
        _measure(script, alike, plan, place)
        rows += alike
    return Table(rows)


def _measure(script: str, rows: list[Row], plan: Plan, place: Place) -> None:
    arguments = [place.name, str(plan.gpu_seconds / 2)]
    program = Program([*of_peer(script), *arguments], card=place.card)
    try:
        program.answer()
        for _ in range(plan.gpu_rounds):
            for row in rows:
                answer = program.answer(f"{row.precision} {row.batch}")
                row.rates.append(answer["flop"] / answer["seconds"])
        program.wait()
    except FailedError as error:
        for row in rows:
            row.failed = "" if row.rates else str(error)
    for row in rows:
        told = row.failed or f"{max(row.rates) / 1e12:.2f} TFLOP/s"
        print(f"{row.label}, {row.precision}, {row.batch} squared: {told}", flush=True)
