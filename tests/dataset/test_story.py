"""Whatever happens to images and parts between runs: the folder is that of a run from scratch.

VGGFEAT_EXAMPLES and VGGFEAT_STEPS say how many stories are tried, and how long they are.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shutil
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import settings, stateful
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from tests.dataset.made import IMAGES, WEIGHTS, content, files, run, told
from tests.stopping import stopping
from tests.test_idempotence import BAD, FULL_DISK, GOOD, SIGINT, Stop
from vggfeat import Report, VggfeatError

EXAMPLES = int(os.environ.get("VGGFEAT_EXAMPLES", "6"))
STEPS = int(os.environ.get("VGGFEAT_STEPS", "12"))

NAMES = [*(f"imgs/{number}.png" for number in range(8)), "imgs/\udcff, \uef80.png", "imgs/z/1.png"]
CALLS = {"os.replace": 12, "os.fsync": 20, "pathlib.Path.unlink": 20, "os.mkdir": 2}
STEPS_OF_A_PART = [
    "vggfeat.dataset.work.PartWork.publish", "vggfeat.dataset.manifest.encode_about",
    "vggfeat.watcher.Watcher.advance", "pyarrow.parquet.ParquetWriter.write_table",
]  # fmt: skip
MOMENTS = [(name, nth + 1) for name in CALLS for nth in range(CALLS[name])] + [
    (name, nth + 1) for name in STEPS_OF_A_PART for nth in range(4)
]
names, moments = st.sampled_from(NAMES), st.sampled_from(MOMENTS)


def tried(output: str, wanted: dict[str, Any], **options: Any) -> Report | str:
    """Extract; what was done, or why it could not be."""
    try:
        return run("imgs", output, **wanted, **options)
    except VggfeatError as error:
        return str(error)


def in_small_parts(*args: Any, batch_size: int) -> None:
    with mock.patch("vggfeat.dataset.job.MOST_IMAGES", IMAGES):
        tried(*args, batch_size=batch_size)


@pytest.fixture(name="stopping")
def runs_that_stop() -> Iterator[Connection]:
    with stopping(in_small_parts) as jobs:
        yield jobs


class Story(stateful.RuleBasedStateMachine):
    """Images are in `imgs`, the output is `out/`, that of a run from scratch `scratch/`."""

    def __init__(self, stopping: Connection) -> None:
        super().__init__()
        self.stopping = stopping
        self.wanted: dict[str, Any] = {}

    @initialize(
        form=st.sampled_from(["parquet", "parquet", "npy"]),
        # Stamps that tell all changes, and those of a future that tell none.
        clock=st.sampled_from([(10**18, 10**6), (10**18, 10**6), (4 * 10**18, 0)]),
    )
    def begin(self, form: str, clock: tuple[int, int]) -> None:
        self.clock = itertools.count(*clock)
        self.wanted = {"form": form, "seed": 0}
        for folder in ("imgs", "out"):
            shutil.rmtree(folder, ignore_errors=True)
        os.makedirs("imgs/z")
        for name, image in zip(NAMES, itertools.cycle(GOOD), strict=False):
            self.write(name, image)

    @rule(name=names, image=st.sampled_from(GOOD + BAD))
    def write(self, name: str, image: bytes) -> None:
        Path(name).write_bytes(image)
        time = next(self.clock)
        os.utime(name, ns=(time, time))

    @rule(some=st.lists(names, min_size=1, max_size=6), how=st.sampled_from(["touch", "delete"]))
    def change(self, some: list[str], how: str) -> None:
        for name in filter(os.path.exists, some):
            if how == "touch":
                time = next(self.clock)
                os.utime(name, ns=(time, time))
            else:
                os.unlink(name)

    @rule(name=names, to=names)
    def rename(self, name: str, to: str) -> None:
        if os.path.exists(name):
            os.replace(name, to)

    @rule(seed=st.sampled_from([0, 1]))
    def take_other_weights(self, seed: int) -> None:
        self.wanted["seed"] = seed

    @precondition(lambda _: bool(spoilable()))
    @rule(number=st.integers(0, 30), how=st.sampled_from(["lose", "cut"]), part=st.floats(0, 1))
    def spoil(self, number: int, how: str, part: float) -> None:
        path = spoilable()[number % len(spoilable())]
        data = path.read_bytes()
        path.unlink()
        if how == "cut":
            path.write_bytes(data[: int(len(data) * part)])

    @rule(moment=moments)
    def kill(self, moment: tuple[str, int]) -> None:
        self.stop(Stop(*moment, None))

    @rule(moment=moments, full=st.booleans())
    def cut_short(self, moment: tuple[str, int], full: bool) -> None:
        self.stop(Stop(*moment, FULL_DISK if full and moment[0].startswith("os.") else SIGINT))

    def stop(self, stop: Stop) -> None:
        self.stopping.send((os.getcwd(), stop, ("out/", self.wanted)))
        assert self.stopping.recv() in (0, -9)

    @rule(fresh=st.booleans())
    def extract(self, fresh: bool) -> None:
        there = contents_that_count(self.wanted)
        shutil.rmtree("scratch", ignore_errors=True)
        expected = tried("scratch/", self.wanted)
        report = tried("out/", self.wanted, fresh=fresh)
        if isinstance(report, str) or isinstance(expected, str):
            assert report == (expected if isinstance(expected, str) else report), report
            assert isinstance(report, str)
            return
        assert (report.rows, report.failed) == (expected.rows, expected.failed)
        assert content("out") == content("scratch")
        assert files("out").keys() == files("scratch").keys()
        about, wanted = told("out"), told("scratch")
        for one in (*about["parts"], *wanted["parts"]):
            del one["began_ns"], one["looked_ns"], one["bytes"]
        assert about["parts"] == wanted["parts"]
        rows = [row[-1] for part in content("out").rows for row in part]
        assert report.computed == len(rows) or not fresh
        assert report.computed <= sum(sha256 not in there for sha256 in rows) or fresh
        before = {name: stamp for name, stamp in files("out").items() if name[0] != "_"}
        again = tried("out/", self.wanted)
        assert isinstance(again, Report)
        assert (again.computed, again.kept) == (0, len(rows))
        assert before.items() <= files("out").items()


def contents_that_count(wanted: dict[str, Any]) -> set[str]:
    """sha256 of the images whose rows are in parts of the same settings, if all are sound."""
    fingerprint = WEIGHTS[wanted["seed"]].fingerprint.encode()
    with contextlib.suppress(Exception):
        tells = sorted(Path("out").glob("part-*.parquet")) or sorted(
            Path("out").glob("part-*.json")
        )
        parts = zip(tells, content("out").rows, strict=True)
        return {row[-1] for path, rows in parts if fingerprint in path.read_bytes() for row in rows}
    return set()


def spoilable() -> list[Path]:
    """All but what tells that the folder is vggfeat's."""
    found = sorted(path for path in Path("out").rglob("*") if path.is_file())
    return [path for path in found if not re.fullmatch("_.*json", path.name)]


def test_the_folder_is_always_that_of_a_run_from_scratch(stopping: Connection) -> None:
    stateful.run_state_machine_as_test(
        lambda: Story(stopping),  # type: ignore[arg-type]
        settings=settings(max_examples=EXAMPLES, stateful_step_count=STEPS, deadline=None),
    )
