"""What an actor answers, asked in this process."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.on_ray import runs
from tests.on_ray.conftest import TwoNodes
from vggfeat.computation import Computation
from vggfeat.dataset.part import Part, Record
from vggfeat.errors import VggfeatError
from vggfeat.ray import attempts, connected
from vggfeat.ray.actor import ANSWER, PART, Actor, Answer, Task, packed
from vggfeat.ray.cluster import reduced
from vggfeat.ray.nodes import Needs, needs
from vggfeat.weights.formats import canonical


@pytest.fixture(scope="module", autouse=True)
def _cluster(two_nodes: TwoNodes) -> Iterator[None]:
    with connected(two_nodes.address) as cluster:
        cluster.connect()
        yield


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = runs.pictures(tmp_path / "imgs", 12)
    (folder / "0003.png").write_bytes(b"no image")
    return folder


def task(output: Path, **changes: Any) -> Task:
    import ray

    computed = runs.computation()
    job = runs.job(output, computed, **changes)
    return Task(job, needs((), None, job.settings), ray.put(computed), 2, 0)


def asked(actor: Actor, *parts: Part) -> list[Answer]:
    """As Ray Data does: each in a thread of its own."""
    with ThreadPoolExecutor() as pool:
        blocks = pool.map(lambda part: actor({PART: [packed(part)]}), parts)
        return [pickle.loads(answer) for block in blocks for answer in block[ANSWER]]


def test_parts_that_are_asked_for_side_by_side_are_those_of_a_local_run(
    images: Path, tmp_path: Path
) -> None:
    parts = runs.parts(images, 5)
    runs.here(parts, tmp_path / "here", runs.computation())
    actor = Actor(task(tmp_path / "there"))
    answers = asked(actor, *parts)
    assert [len(answer.notes) for answer in answers] == [0, 0, 0]
    records = [answer.found for answer in answers if isinstance(answer.found, Record)]
    runs.check_same(tmp_path / "there", tmp_path / "here", records)


def test_a_part_that_is_there_is_not_computed_again(images: Path, tmp_path: Path) -> None:
    (part,) = runs.parts(images, 100)
    actor = Actor(task(tmp_path / "feats"))
    ((before, *_),) = asked(actor, part)
    written = (tmp_path / "feats" / "part-00000.parquet").stat().st_mtime_ns
    # As another actor, after the one that has written it died.
    ((after, *_),) = asked(actor, part)
    assert isinstance(before, Record)
    assert isinstance(after, Record)
    assert (before.rows, before.failed) == (after.rows, after.failed) == (11, 1)
    assert (tmp_path / "feats" / "part-00000.parquet").stat().st_mtime_ns == written


def test_what_ends_a_run_is_an_answer(images: Path, tmp_path: Path) -> None:
    (part,) = runs.parts(images, 100)
    ((found, *_),) = asked(Actor(task(tmp_path / "feats", strict=True)), part)
    assert isinstance(found, VggfeatError)
    assert str(found).startswith(f"{images / '0003.png'}: not an image")


def test_so_is_what_its_node_lacks(images: Path, tmp_path: Path) -> None:
    (part,) = runs.parts(images, 100)
    whole = task(tmp_path / "feats")
    lacking = replace(whole, needs=replace(whole.needs, versions={"numpy": "0.1"}))
    ((found, *_),) = asked(Actor(lacking), part)
    assert isinstance(found, VggfeatError)
    assert "a node of the cluster has numpy" in str(found)


def test_so_is_that_the_engine_cannot_be_loaded(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ImportError("libGL.so.1: not there")

    monkeypatch.setattr(Computation, "create", broken)
    (part,) = runs.parts(images, 100)
    ((found, *_),) = asked(Actor(task(tmp_path / "feats")), part)
    assert isinstance(found, VggfeatError)
    assert str(found) == (
        "a node of the cluster cannot compute: ImportError: libGL.so.1: not there"
    )


def test_an_actor_that_dies_whenever_it_starts_is_given_up(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(_: object) -> None:
        os._exit(9)

    (part,) = runs.parts(images, 100)
    fatal = task(tmp_path / "feats")
    monkeypatch.setattr(Needs, "lacking", dies)
    for number in range(attempts.MOST):
        monkeypatch.setattr(attempts, "_THIS_PROCESS", str(number))
        if (child := os.fork()) == 0:
            Actor(fatal)
        os.waitpid(child, 0)
    monkeypatch.setattr(attempts, "_THIS_PROCESS", "the last")
    ((found, *_),) = asked(Actor(fatal), part)
    assert isinstance(found, VggfeatError)
    assert str(found).startswith("4 processes of an actor died while the engine was loaded")


def test_the_weights_are_those_of_the_object_store(narrow_file: Path) -> None:
    """Views of memory that all actors of a node share: nobody may write to it."""
    import ray

    mapped = replace(runs.computation(), weights=canonical.read(narrow_file))
    kept = ray.get(ray.put(reduced(mapped))).weights
    assert kept.fingerprint == mapped.weights.fingerprint
    large = [tensor for tensor in kept.tensors.values() if tensor.nbytes > 1 << 16]
    assert large
    assert not any(tensor.flags.writeable or tensor.flags.owndata for tensor in large)
