"""Whatever happens to images and outputs between runs: the result is that of a run from scratch.

VGGFEAT_EXAMPLES and VGGFEAT_STEPS say how many stories are tried, and how long they are.
"""

from __future__ import annotations

import contextlib
import errno
import io
import itertools
import json
import os
import pkgutil
import re
import shutil
import signal
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
import pytest
from hypothesis import settings, stateful
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule
from PIL import Image

from tests import networks
from tests.stopping import stopping
from vggfeat import Report, VggfeatError, extract, load_features, vgg16
from vggfeat.errors import Interrupted

EXAMPLES = int(os.environ.get("VGGFEAT_EXAMPLES", "25"))
STEPS = int(os.environ.get("VGGFEAT_STEPS", "20"))

WIDTHS = dict.fromkeys(vgg16.WIDTHS, 4) | {"fc6": 6, "fc7": 5, "fc8": 10}
WEIGHTS = [networks.weights(WIDTHS, seed) for seed in (1, 3)]


def picture(seed: int, form: str) -> bytes:
    out = io.BytesIO()
    noise = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    Image.fromarray(noise).save(out, form)
    return out.getvalue()


GOOD = [picture(0, "PPM"), picture(1, "PPM"), picture(2, "PNG"), picture(3, "JPEG")]
BAD = [b"", bytes(len(GOOD[0])), picture(2, "PNG")[:60]]
Version = tuple[bytes, int]  # content and mtime of a file at some time
Generation = tuple[list[str], bytes]  # paths and vectors

NAMES = [
    "imgs/1.png", "imgs/2.png", "imgs/10.png", "imgs/02.jpg", 'imgs/a, "b"\n.png',
    "imgs/\udcff.png", "imgs/.hidden.png", "imgs/notes.txt", "imgs/sub/1.png", "imgs/sub/3.jpg",
    "imgs/sub 2/1.png",
]  # fmt: skip


class Stop(NamedTuple):
    """What happens at the nth call of a function: an error, or SIGKILL."""

    function: str
    nth: int
    error: BaseException | None

    def prepared(self) -> contextlib.AbstractContextManager[object]:
        real, numbers = pkgutil.resolve_name(self.function), itertools.count(1)

        def call(*args: Any, **options: Any) -> Any:
            if next(numbers) == self.nth:
                if self.error is not None:
                    raise self.error
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **options)

        return mock.patch(self.function, call)


SETTINGS = [("weights", 0), ("weights", 1), ("layer", "fc6"), ("layer", "fc7"), ("resize", 224)]
WRITES = {"write": 12, "fsync": 12, "pwrite": 1, "ftruncate": 6, "replace": 5, "unlink": 6}
WORK = ["watcher.Watcher.advance", "engines.ncnn.NcnnEngine.image_stage"]
MOMENTS = [(f"os.{name}", nth + 1) for name in WRITES for nth in range(WRITES[name])] + [
    (f"vggfeat.{name}", nth + 1) for name in WORK for nth in range(5)
]
SIGINT = Interrupted(signal.SIGINT)
FULL_DISK = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

names, versions = st.sampled_from(NAMES), stateful.Bundle("versions")
moments = st.sampled_from(MOMENTS)


def run(output: str, inputs: list[str], wanted: dict[str, Any], **options: Any) -> Report | str:
    """Extract; what was done, or why it could not be."""
    options |= wanted | {"engine": "ncnn", "weights": WEIGHTS[wanted["weights"]]}
    try:
        return extract(inputs, output, **options)
    except VggfeatError as error:
        return str(error)


@pytest.fixture(name="stopping")
def runs_that_stop() -> Iterator[Connection]:
    with stopping(run) as jobs:
        yield jobs


class Story(stateful.RuleBasedStateMachine):
    """Images are in `imgs`, the output in `out`, that of a run from scratch in `scratch`."""

    def __init__(self, stopping: Connection) -> None:
        super().__init__()
        self.stopping = stopping
        self.inputs = ["imgs"]
        self.wanted: dict[str, Any] = {"weights": 0, "layer": "fc7"}
        # sha256 of the images whose rows are kept somewhere, and what made these rows.
        self.kept: set[bytes] = set()
        self.kept_for = self.wanted
        self.possible: list[Generation | None] = [None]

    @initialize(
        target=versions,
        output=st.sampled_from(["f.npy", "f.csv"]),
        # Stamps that tell all changes, and those of a future that tell none.
        clock=st.sampled_from([(10**18, 10**6), (4 * 10**18, 0)]),
    )
    def begin(self, output: str, clock: tuple[int, int]) -> Version:
        self.output, self.scratch = f"out/{output}", f"scratch/{output}"
        self.clock = itertools.count(*clock)
        for folder in ("imgs", "out"):
            shutil.rmtree(folder, ignore_errors=True)
        for folder in ("imgs/sub", "imgs/sub 2", "out"):
            os.makedirs(folder)
        for name, content in zip(NAMES, GOOD, strict=False):
            version = self.put(name, (content, next(self.clock)))
        return version

    @rule(target=versions, name=names, content=st.sampled_from(GOOD + BAD))
    def write(self, name: str, content: bytes) -> Version:
        return self.put(name, (content, next(self.clock)))

    @rule(name=names, version=versions)
    def put_back(self, name: str, version: Version) -> None:
        self.put(name, version)

    def put(self, name: str, version: Version) -> Version:
        content, time = version
        Path(name).unlink(missing_ok=True)
        Path(name).write_bytes(content)
        os.utime(name, ns=(time, time))
        return version

    @rule(name=names, to=names, how=st.sampled_from(["touch", "rename", "delete", "link"]))
    def change(self, name: str, to: str, how: str) -> None:
        if how == "touch" and Path(name).is_file():
            time = next(self.clock)
            os.utime(name, ns=(time, time))
        elif how == "rename" and os.path.lexists(name):
            os.replace(name, to)
        elif how in ("delete", "link"):
            Path(name).unlink(missing_ok=True)
            if how == "link":
                Path(name).symlink_to(os.path.abspath(to))

    @rule(inputs=st.lists(st.sampled_from(["imgs", "imgs/sub", "./imgs", *NAMES]), min_size=1))
    def name_inputs(self, inputs: list[str]) -> None:
        self.inputs = [name for name in inputs if os.path.lexists(name)] or ["imgs"]

    @rule(setting=st.sampled_from(SETTINGS))
    def change_setting(self, setting: tuple[str, object]) -> None:
        self.wanted = self.wanted | dict([setting])

    @precondition(lambda _: bool(spoilable()))
    @rule(
        number=st.integers(0, 9), how=st.sampled_from(["lose", "cut", "add"]), part=st.floats(0, 1)
    )
    def spoil(self, number: int, how: str, part: float) -> None:
        path = spoilable()[number % len(spoilable())]
        data = path.read_bytes()
        # Without its header the output would not be known as vggfeat's.
        header = data.find(b"\n") + 1 if path == Path(self.output) else 0
        path.unlink()
        if how != "lose":
            end = header + int(len(data[header:]) * part)
            path.write_bytes(data[:end] if how == "cut" else data + b"junk\n")
        self.kept = set()
        self.possible.append(None)

    @rule(moment=moments)
    def kill(self, moment: tuple[str, int]) -> None:
        self.stop(Stop(*moment, None))

    @rule(moment=moments, full=st.booleans())
    def cut_short(self, moment: tuple[str, int], full: bool) -> None:
        self.stop(Stop(*moment, FULL_DISK if full and moment[0].startswith("os.") else SIGINT))

    def stop(self, stop: Stop) -> None:
        self.extract_from_scratch()
        self.possible.append(generation(self.scratch))
        if stop.function.startswith("os."):
            self.possible.append(None)  # until the next run, where it was publishing
        known = set(hashes("out"))
        self.stopping.send((os.getcwd(), stop, (self.output, self.inputs, self.wanted)))
        assert self.stopping.recv() in (0, -signal.SIGKILL)
        assert generation(self.output) in self.possible
        if self.kept_for != self.wanted:
            self.kept, self.kept_for = set(), self.wanted
        self.kept &= set(hashes("scratch"))  # the others may be dropped
        if stop.error and not stop.function.startswith("os."):
            self.kept |= set(hashes("out")) - known

    @rule(batch_size=st.integers(1, 3), workers=st.integers(1, 2), fresh=st.booleans())
    def extract(self, **options: Any) -> None:
        expected = self.extract_from_scratch()
        report = run(self.output, self.inputs, self.wanted, **options)
        if isinstance(report, str) or isinstance(expected, str):
            assert report == expected
            assert self.kept <= set(hashes("out"))
            assert generation(self.output) in self.possible
            return
        assert (report.rows, report.failed) == (expected.rows, expected.failed)
        assert contents("out") == contents("scratch")
        rows = hashes("out/f.index.csv")
        kept = set() if options["fresh"] or self.kept_for != self.wanted else self.kept
        assert report.computed <= sum(sha256 not in kept for sha256 in rows)
        assert report.computed == len(rows) or not options["fresh"]
        self.kept, self.kept_for = set(rows), self.wanted
        self.possible = [generation(self.output)]
        stat = os.stat(self.output)
        again = run(self.output, self.inputs, self.wanted)
        assert isinstance(again, Report)
        assert again.computed == 0
        assert os.path.samestat(stat, os.stat(self.output))
        assert os.stat(self.output).st_mtime_ns == stat.st_mtime_ns
        assert contents("out") == contents("scratch")

    def extract_from_scratch(self) -> Report | str:
        shutil.rmtree("scratch", ignore_errors=True)
        os.mkdir("scratch")
        return run(self.scratch, self.inputs, self.wanted)


def contents(folder: str) -> dict[str, object]:
    """What is in the files of a folder; of `f.json`, what does not depend on the run."""
    found: dict[str, object] = {path.name: path.read_bytes() for path in Path(folder).iterdir()}
    if "f.json" in found:
        about = json.loads(Path(folder, "f.json").read_bytes())
        for layer in about["layers"]:
            del layer["mtime_ns"]
        found["f.json"] = {k: about[k] for k in about.keys() - {"began_ns", "runs"}}
    return found


def generation(output: str) -> Generation | None:
    """What is loaded; None where there is nothing to load."""
    with contextlib.suppress(VggfeatError):
        vectors, paths = load_features(output)
        return paths, vectors.tobytes()
    return None


def hashes(path: str) -> list[bytes]:
    """What a file, or those in a folder, tell that looks like sha256 of an image."""
    files = Path(path).iterdir() if Path(path).is_dir() else [Path(path)]
    return [found for file in files for found in re.findall(b"[0-9a-f]{64}", file.read_bytes())]


def spoilable() -> list[Path]:
    """All but what tells that the files are vggfeat's."""
    return sorted(path for path in Path("out").iterdir() if path.name != "f.json")


def test_the_result_is_always_that_of_a_run_from_scratch(
    stopping: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("vggfeat.sinks.published._PATIENCE", 0)  # nobody is publishing
    stateful.run_state_machine_as_test(
        lambda: Story(stopping),  # type: ignore[arg-type]
        settings=settings(max_examples=EXAMPLES, stateful_step_count=STEPS, deadline=None),
    )
