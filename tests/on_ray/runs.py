"""The same parts computed here and on a cluster."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from tests import networks
from vggfeat import activations
from vggfeat.computation import Computation
from vggfeat.dataset.compute import compute_parts
from vggfeat.dataset.job import Job
from vggfeat.dataset.part import Part, Record, part_of
from vggfeat.finish import Finish
from vggfeat.pace import Pace
from vggfeat.preprocess import Preprocessing
from vggfeat.sources.units import open_units


def computation(**changes: object) -> Computation:
    """fc7 of a narrow network."""
    options = {"preprocessing": Preprocessing(), "finish": Finish(), "engine": "ncnn", **changes}
    asked = activations.parse_all(["fc7"])
    return Computation(networks.weights(), asked, **options)  # type: ignore[arg-type]


def pictures(folder: Path, count: int, side: int = 40) -> Path:
    """Noise, each another."""
    folder.mkdir()
    generator = np.random.default_rng(count)
    for number in range(count):
        pixels = generator.integers(0, 256, (side, side, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:04d}.png")
    return folder


def parts(folder: Path, most: int) -> list[Part]:
    units = open_units([str(folder)], most).units
    return [part_of(number, unit) for number, unit in enumerate(units)]


def job(output: Path, computed: Computation, **changes: object) -> Job:
    output.mkdir()
    return Job(f"{output}/", "parquet", computed.settings("parquet"), output.name, **changes)  # type: ignore[arg-type]


def here(of: Iterable[Part], output: Path, computed: Computation) -> list[Record]:
    """A local run."""
    engine = computed.create()
    made = compute_parts(
        of, job(output, computed),
        lambda images, contents, suspects: computed.run_on(
            engine, images, contents, suspects, Pace()
        ),
    )  # fmt: skip
    return list(made)


def tables(folder: Path) -> Iterator[tuple[str, pa.Table]]:
    """All parts, those of images that failed as well."""
    for path in sorted(folder.rglob("*.parquet")):
        yield str(path.relative_to(folder)), pq.read_table(path)


def check_same(folder: Path, expected: Path, records: Sequence[Record]) -> None:
    """The same parts, rows and bits, and one record of each part."""
    found, wanted = dict(tables(folder)), dict(tables(expected))
    assert found.keys() == wanted.keys()
    for name, table in wanted.items():
        assert found[name].equals(table), name
    numbers = sorted(record.number for record in records)
    assert numbers == list(range(sum(not name.startswith("_") for name in wanted)))
