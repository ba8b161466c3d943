"""From photographs to vectors on a card: `vggfeat extract`, beside decoding alone."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.benchmarks import weights
from tests.benchmarks.data import pixels_file
from tests.benchmarks.folder import Folder
from tests.benchmarks.gpu.place import Place
from tests.benchmarks.photographs import add, error_of
from tests.benchmarks.plan import Plan
from tests.benchmarks.process import FailedError, Program, run
from tests.benchmarks.programs import of_peer
from tests.benchmarks.results import Row, Table

DECODING = "decoding"
PRECISIONS = ("bfloat16", "float32")


def measure(folder: Folder, plan: Plan, place: Place) -> Table:
    """Decoding alone, then whole processes, in turn."""
    photographs = folder.photographs("500x375", plan.gpu_many)
    decoding = Row(DECODING, "decoding alone", images=plan.gpu_many)
    rows = [
        Row(
            "extract",
            f"vggfeat extract, {precision}",
            images=plan.gpu_many,
            precision=precision,
            batch=plan.gpu_batches[0],
        )
        for precision in PRECISIONS
    ]
    for _ in range(plan.gpu_file_rounds):
        _decode(decoding, photographs)
        for row in rows:
            _extract(row, folder, photographs, place)
    return Table([decoding, *rows])


def _decode(row: Row, photographs: Path) -> None:
    program = Program([*of_peer("decoding_alone"), str(photographs)])
    try:
        answer = program.answer()
        row.rates.append(answer["images"] / answer["seconds"])
        program.wait()
    except FailedError as error:
        row.failed = str(error)
    print(f"{row.label}: {row.failed or f'{row.rates[-1]:,.1f} images/s'}", flush=True)


def _extract(row: Row, folder: Folder, photographs: Path, place: Place) -> None:
    if row.failed:
        return
    output = folder.fresh_output(f"gpu {row.label}")
    command = [sys.executable, "-m", "vggfeat", "extract", str(photographs), "-o", str(output)]
    command += ["--weights", str(folder.weights / weights.CANONICAL), "--quiet"]
    command += ["--engine", "tensorflow", "--precision", row.precision]
    try:
        done = run(command, vectors=output, card=place.card)
        row.error = error_of(output, row.images, pixels_file(folder, "500x375", "vggfeat"))
        add(row, done)
        if done.growth:
            row.steady.append(done.growth * row.images / output.stat().st_size)
    except FailedError as error:
        row.failed = str(error)
    else:
        about = json.loads(output.with_suffix(".json").read_text(encoding="utf-8"))
        row.limited_by = about["runs"][-1].get("limited_by") or ""
    told = row.failed or f"{row.seconds[-1]:.2f} s, first vectors after {row.first[-1]:.2f} s"
    print(f"{row.label}: {told}", flush=True)
