"""Several runs on one output at a time, kills among them, and readers meanwhile."""

from __future__ import annotations

import io
import itertools
import multiprocessing
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests import networks
from tests.cli.command import COMMAND, lines, vggfeat
from vggfeat import Extractor, Features, VggfeatError, extract, load_features, vgg16

IMAGES = 24
WIDTHS = dict.fromkeys(vgg16.WIDTHS, 4) | {"fc6": 6, "fc7": 5, "fc8": 10}
PUBLISHED = ["f.failed.csv", "f.index.csv", "f.json", "f.npy"]

Loaded = tuple[tuple[str, ...], bytes]


@pytest.fixture(autouse=True)
def images(tmp_path: Path, narrow_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small images that are all different, and one that fails."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VGGFEAT_WEIGHTS", str(narrow_file))
    os.mkdir("imgs")
    for number in range(IMAGES):
        put_image(f"imgs/{number}.png", number)
    Path("imgs/bad.png").touch()


@pytest.fixture
def chance() -> random.Random:
    seed = int(os.environ.get("VGGFEAT_SEED", time.time_ns()))
    print(f"to repeat it: VGGFEAT_SEED={seed}")
    return random.Random(seed)


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Runs, none of which outlives its test."""
    runs: list[subprocess.Popen[bytes]] = []
    yield runs
    for run in runs:
        run.kill()
        run.communicate()


Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start(started: list[subprocess.Popen[bytes]]) -> Start:
    def start(*args: str) -> subprocess.Popen[bytes]:
        command = [*COMMAND, "extract", *args, "-o", "f.npy"]
        run = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        started.append(run)
        return run

    return start


@pytest.fixture
def hold(start: Start) -> Start:
    def hold() -> subprocess.Popen[bytes]:
        """A run that is at work until its stdin ends."""
        run = start("-")
        until(Path(".f.lock").exists)
        return run

    return hold


def put_image(path: str, seed: int) -> None:
    out = io.BytesIO()
    noise = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    Image.fromarray(noise).save(out, "PNG")
    Path(path).write_bytes(out.getvalue())


def until(there: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not there():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def finish(run: subprocess.Popen[bytes], paths: bytes = b"") -> tuple[int, list[str]]:
    """Its exit code and what it said."""
    _, stderr = run.communicate(paths, timeout=60)
    return run.returncode, lines(stderr)


def waiting_line(run: subprocess.Popen[bytes]) -> str:
    """What a run says when it waits."""
    assert run.stderr is not None
    return run.stderr.readline().decode()


def result(folder: str = ".") -> dict[str, bytes]:
    """What was published, without what depends on the run; and nothing else is there."""
    files = {path.name: path for path in Path(folder).iterdir() if path.is_file()}
    assert sorted(files) == PUBLISHED
    return {name: path.read_bytes() for name, path in files.items() if name != "f.json"}


def undisturbed() -> dict[str, bytes]:
    os.mkdir("undisturbed")
    extract("imgs", "undisturbed/f.npy")
    return result("undisturbed")


def test_ten_runs_with_kills_among_them_leave_the_result_of_one(
    start: Start, chance: random.Random
) -> None:
    runs = [
        start("imgs", "--batch-size", "1", *options)
        for options in [["--wait", "--fresh"], ["--fresh"], ["--wait"], []] * 2 + [["--wait"]] * 2
    ]
    until(Path(".f.lock").exists)
    victims = chance.sample(runs, 4)
    for victim in victims:
        time.sleep(chance.uniform(0, 0.3))
        victim.kill()
    for run in runs:
        code, said = finish(run)
        allowed = {3} if "--wait" in run.args else {3, 75}  # type: ignore[operator]
        assert code in (allowed | {-signal.SIGKILL} if run in victims else allowed), said
    vggfeat("extract", "imgs", "-o", "f.npy", code=3)
    assert result() == undisturbed()


def test_who_waits_says_so_once_and_goes_on_when_the_other_is_killed(
    start: Start, hold: Start
) -> None:
    holder = hold()
    waiting = start("imgs", "--wait")
    said = waiting_line(waiting)
    assert said.endswith("/f.npy: waiting for another vggfeat that is writing it\n")
    time.sleep(0.5)
    assert waiting.poll() is None
    holder.kill()
    code, said = finish(waiting)
    assert code == 3
    assert not [line for line in said if "waiting" in line]
    assert result() == undisturbed()


def test_those_who_wait_go_on_one_after_the_other(start: Start, hold: Start) -> None:
    holder = hold()
    others = [start("-", "--wait") for _ in range(2)]
    for other in others:
        assert "waiting" in waiting_line(other)
    assert finish(holder, b"imgs/0.png\n")[0] == 0
    until(Path(".f.lock").exists)
    assert finish(start("imgs"))[0] == 75
    assert all(other.poll() is None for other in others)
    for other in others:
        assert other.stdin is not None
        other.stdin.write(b"imgs/1.png\n")
        other.stdin.close()
        other.stdin = None
    assert [finish(other)[0] for other in others] == [0, 0]
    assert load_features("f.npy").paths == ["imgs/1.png"]
    assert sorted(os.listdir()) == [*PUBLISHED[1:], "imgs"]


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_who_waits_can_be_sent_away_and_the_other_stays_undisturbed(
    start: Start, hold: Start, signum: signal.Signals
) -> None:
    holder = hold()
    waiting = start("imgs", "--wait")
    waiting_line(waiting)
    waiting.send_signal(signum)
    assert finish(waiting) == (-signum, [f"vggfeat: interrupted by {signum.name}"])
    assert finish(start("imgs"))[0] == 75
    assert finish(holder, b"imgs/0.png\n")[0] == 0
    assert load_features("f.npy").paths == ["imgs/0.png"]


@pytest.mark.parametrize("output", ["link.npy", "f.csv"])
def test_an_output_by_another_name_or_with_the_same_companions_is_busy_too(
    hold: Start, output: str
) -> None:
    Path("link.npy").symlink_to("f.npy")
    holder = hold()
    done = vggfeat("extract", "imgs", "-o", output, code=75)
    assert "another vggfeat is writing it" in lines(done.stderr)[-1]
    assert finish(holder, b"imgs/0.png\n")[0] == 0
    assert load_features("f.npy").paths == ["imgs/0.png"]


@pytest.mark.parametrize("content", [b"", b"\xff99999999\n"])
def test_the_lock_file_of_a_dead_process_blocks_nobody(content: bytes) -> None:
    Path(".f.lock").write_bytes(content)
    vggfeat("extract", "imgs", "-o", "f.npy", code=3)
    assert result() == undisturbed()


def loaded(features: Features) -> Loaded:
    return tuple(features.paths), features.vectors.tobytes()


def read_on_and_on(parent: Connection) -> None:
    """Tell all that was loaded until the parent sends something, and what did not go well."""
    seen: dict[Loaded, Features] = {}
    errors = set()
    parent.send("ready")
    while not parent.poll():
        try:
            features = load_features("f.npy")
        except VggfeatError as error:
            errors.add(str(error))
        else:
            seen.setdefault(loaded(features), features)
    moved = [first for first, features in seen.items() if loaded(features) != first]
    parent.send((set(seen), errors, moved))


def test_readers_always_get_one_of_the_published_sets_whole(chance: random.Random) -> None:
    weights = networks.weights(WIDTHS, seed=1)
    extractors = {layer: Extractor(weights, layer, engine="ncnn") for layer in ("fc7", "fc6")}
    vectors: dict[tuple[str, bytes], bytes] = {}

    def vector(layer: str, path: str) -> bytes:
        image = layer, Path(path).read_bytes()
        if image not in vectors:
            vectors[image] = extractors[layer](path).tobytes()
        return vectors[image]

    def publish(layer: str = "fc7", *, fresh: bool = False) -> Loaded:
        extract("imgs", "f.npy", weights=weights, engine="ncnn", layer=layer, fresh=fresh)
        paths = tuple(load_features("f.npy").paths)
        return paths, b"".join(vector(layer, path) for path in paths)

    def change() -> None:
        path = f"imgs/{chance.randrange(IMAGES)}.png"
        what = chance.choice(["add", "add", "change", "damage", "remove"])
        if what == "remove":
            Path(path).unlink(missing_ok=True)
        elif what == "damage":
            Path(path).write_bytes(b"damaged")
        else:
            end = f"imgs/{next(numbers)}.png"
            put_image(end if what == "add" else path, chance.randrange(10**6))

    numbers = itertools.count(IMAGES)
    published = {publish()}
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    reader = context.Process(target=read_on_and_on, args=(there,), daemon=True)
    reader.start()
    assert here.recv() == "ready"
    for _ in range(60):
        change()
        layer = chance.choices(["fc7", "fc6"], [9, 1])[0]
        published.add(publish(layer, fresh=chance.random() < 0.1))
    here.send("enough")
    seen, errors, moved = here.recv()
    reader.join()
    assert (errors, moved) == (set(), [])
    assert seen <= published
    assert len(seen) > 10
