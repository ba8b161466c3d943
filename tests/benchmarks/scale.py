"""What `--ray` costs beside a local run, and what many shards cost.

`python -m tests.benchmarks.scale`; two tables, each of minutes or hours, as asked:

- `overhead`: photographs through the full-size network with random weights, in parts of a hundred,
  locally and over a Ray cluster of the same processors; whole runs, and the rate from the first
  part to the last, which no start counts in.
- `shards`: tar shards of a thousand tiny images through a narrow network at 32 pixels, so that all
  but the network is what it is; images a second, and the most memory of the driver.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from tests import networks
from tests.benchmarks import data
from tests.benchmarks.folder import Folder
from tests.benchmarks.markdown import table
from tests.benchmarks.process import ROOT, FailedError
from vggfeat.cores import cores
from vggfeat.weights.formats import canonical

IN_PART = 100  # photographs

# The command, whose parts are smaller than they would be.
_IN_PARTS = (
    "import sys; from vggfeat.dataset import job; job.MOST_IMAGES = int(sys.argv.pop(1)); "
    "from vggfeat.cli import main; main()"
)


class Ran(NamedTuple):
    """A run of the command.

    Attributes:
        seconds: from its start to its end.
        first: likewise, to its first part.
        rate: images a second, from the first part to the last.
        peak: bytes, the most that its process held.
    """

    seconds: float
    first: float
    rate: float
    peak: int


def main(asked: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", nargs="*", default=["overhead", "shards"])
    parser.add_argument("--photographs", type=int, default=1200)
    parser.add_argument("--rounds", type=int, default=2, help="of `overhead`")
    parser.add_argument("--shards", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--images", type=int, default=1000, help="in a shard")
    parser.add_argument("--folder", type=Path, default=ROOT / ".bench")
    options = parser.parse_args(asked)
    folder = Folder(options.folder)
    folder.root.mkdir(exist_ok=True)
    if "overhead" in options.tables:
        overhead(folder, options.photographs, options.rounds)
    if "shards" in options.tables:
        shards(folder, options.shards, options.images)


def overhead(folder: Folder, count: int, rounds: int) -> None:
    data.main(str(folder.root), f"500x375:{count}")
    images = folder.photographs("500x375", count)
    lines = []
    for _ in range(rounds):
        for way, options in _ways():
            with options as ray:
                command = [str(IN_PART), "extract", str(images), "--weights", "random"]
                ran = _run(folder, [*command, "--engine", "ncnn", *ray], IN_PART)
            lines.append((way, ran))
            _say(way, ran, count)
    cells = [
        [way, f"{ran.seconds:.1f}", f"{ran.first:.1f}", f"{ran.rate:.2f}"] for way, ran in lines
    ]
    print(table([f"{count} photographs", "s", "s to the first part", "images/s then"], cells))


def shards(folder: Folder, counts: Sequence[int], images: int) -> None:
    narrow = folder.root / "narrow.safetensors"
    canonical.write(networks.weights(), narrow)
    tars = folder.root / f"shards of {images}"
    tars.mkdir(exist_ok=True)
    cells = []
    for count in counts:
        for number in range(count):
            _write_shard(tars / f"{number:05}.tar", number, images)
        for way, options in _ways():
            with options as ray:
                command = [str(images), "extract", f"{tars}/{{00000..{count - 1:05}}}.tar"]
                command += ["--weights", str(narrow), "--layer", "pool5:avg", "--size", "32"]
                ran = _run(folder, [*command, "--engine", "ncnn", *ray], images)
            _say(f"{count} shards, {way}", ran, count * images)
            rate = count * images / ran.seconds
            figures = (
                f"{ran.seconds:.1f}",
                f"{rate:.0f}",
                f"{ran.rate:.0f}",
                f"{ran.peak / 1e6:.0f}",
            )
            cells.append([f"{count}", way, *figures])
    titles = ["shards", "way", "s", "images/s", "after the first part", "MB of the driver"]
    print(table(titles, cells))


def _ways() -> list[tuple[str, AbstractContextManager[list[str]]]]:
    return [("local", _local()), ("Ray", _ray())]


@contextmanager
def _local() -> Iterator[list[str]]:
    yield []


@contextmanager
def _ray() -> Iterator[list[str]]:
    """A cluster of one node, started beforehand, with as many processors as a local run has."""
    from ray.cluster_utils import Cluster

    head = {"num_cpus": cores(), "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        yield [f"--ray={cluster.address}"]
    finally:
        cluster.shutdown()


def _run(folder: Folder, command: Sequence[str], in_part: int) -> Ran:
    output = folder.root / "out" / "scale"
    shutil.rmtree(output, ignore_errors=True)
    output.parent.mkdir(exist_ok=True)
    began = time.time()
    process = subprocess.Popen(
        [sys.executable, "-c", _IN_PARTS, *command, "-o", f"{output}/"],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    said = process.stderr.read()
    # It alone tells the peak of this child and of no other.
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.time() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise FailedError(said.strip().splitlines()[-1])
    times = sorted(path.stat().st_mtime for path in output.glob("part-*.parquet"))
    span = times[-1] - times[0]
    rate = (len(times) - 1) * in_part / span if span else 0.0
    return Ran(seconds, times[0] - began, rate, usage.ru_maxrss * 1024)


def _write_shard(path: Path, number: int, images: int) -> None:
    if path.exists():
        return
    generator = np.random.default_rng(number)
    part = path.with_suffix(".part")
    with tarfile.open(part, "w") as tar:
        for key, pixels in enumerate(generator.integers(0, 256, (images, 8, 8, 3), np.uint8)):
            out = io.BytesIO()
            Image.fromarray(pixels).save(out, "PNG")
            member = tarfile.TarInfo(f"{number:05}{key:03}.png")
            member.size = out.tell()
            out.seek(0)
            tar.addfile(member, out)
    part.rename(path)


def _say(way: str, ran: Ran, images: int) -> None:
    print(
        f"{way}: {ran.seconds:.1f} s, {images / ran.seconds:.1f} images/s; first part after "
        f"{ran.first:.1f} s, then {ran.rate:.1f} images/s; {ran.peak / 1e6:.0f} MB",
        flush=True,
    )


if __name__ == "__main__":
    main()
