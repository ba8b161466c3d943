"""Whole processes over the photographs of a folder, all ways in turn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tests.benchmarks.data import pixels_file
from tests.benchmarks.folder import Folder
from tests.benchmarks.process import FailedError, Run, run
from tests.benchmarks.reference import reference_file, relative_error
from tests.benchmarks.results import Row, Table
from tests.benchmarks.ways import NCNN, Way


def measure(
    ways: Sequence[Way],
    folder: Folder,
    kind: str,
    count: int,
    rounds: int,
    *,
    single: bool = False,
) -> Table:
    """Run every way over `count` photographs; with `single`, over one alone as well, once."""
    rows = {way.name: Row(way.name, way.label, images=count) for way in ways}
    for number in range(1, rounds + 1):
        for way in ways:
            row = rows[way.name]
            if row.failed:
                continue
            what = f"{count} of {kind}, round {number} of {rounds}: {way.label}"
            try:
                if single and number == 1:
                    row.single.append(_run(way, folder, kind, 1).seconds)
                output = folder.fresh_output(f"{kind} {way.name}")
                done = _run(way, folder, kind, count, output)
                row.error = error_of(output, count, pixels_file(folder, kind, way.pixels))
            except FailedError as error:
                row.failed = str(error)
                print(f"{what}: {error}", flush=True)
                continue
            add(row, done)
            print(f"{what}: {done.seconds:.2f} s, {done.peak / 1e9:.2f} GB", flush=True)
    return Table(list(rows.values()))


def measure_csv(folder: Folder, count: int, rounds: int) -> Table:
    """The command writing .npy and CSV in turn: what the form costs from end to end."""
    rows = {form: Row(form, f".{form}", images=count) for form in ("npy", "csv")}
    for number in range(1, rounds + 1):
        for form, row in rows.items():
            if row.failed:
                continue
            output = folder.fresh_output(form).with_suffix(f".{form}")
            what = f".{form}, round {number} of {rounds}"
            try:
                add(row, run(NCNN.files(folder, folder.photographs("500x375", count), output)))
            except FailedError as error:
                row.failed = str(error)
            print(f"{what}: {row.failed or f'{row.seconds[-1]:.2f} s'}", flush=True)
    return Table(list(rows.values()))


def add(row: Row, done: Run) -> None:
    row.seconds.append(done.seconds)
    row.rates.append(row.images / done.seconds)
    row.first.append(done.first)
    row.peaks.append(done.peak)


def _run(way: Way, folder: Folder, kind: str, count: int, output: Path | None = None) -> Run:
    output = output or folder.fresh_output(f"{kind} {way.name}")
    command = way.files(folder, folder.photographs(kind, count), output)
    return run(command, vectors=output if way.engine else None)


def error_of(output: Path, count: int, pixels: Path) -> float:
    """Against float64 on the same pixels; of what is missing, a FailedError."""
    vectors = np.load(output, mmap_mode="r")
    if vectors.shape != (count, 4096):
        raise FailedError(f"it wrote {vectors.shape} of {count} photographs")
    expected = np.load(reference_file(pixels))
    return relative_error(vectors[: len(expected)], expected)
