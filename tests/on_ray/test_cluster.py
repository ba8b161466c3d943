"""What a cluster of two nodes makes of parts, whatever dies meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.on_ray import runs
from tests.on_ray.conftest import TwoNodes
from tests.on_ray.deadly import Deadly, Fragile, sha256
from vggfeat.dataset.part import part_of
from vggfeat.errors import VggfeatError
from vggfeat.ray import Cluster, connected
from vggfeat.ray import cluster as clusters
from vggfeat.ray.actor import Task
from vggfeat.ray.layout import Layout
from vggfeat.ray.nodes import Needs
from vggfeat.sources.units import Files
from vggfeat.watcher import Watcher

MOST = 10  # images in a part


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = runs.pictures(tmp_path_factory.mktemp("images") / "imgs", 300)
    (folder / "0100.jpg").write_bytes(b"no image")
    return folder


@pytest.fixture(scope="module")
def expected(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of a local run."""
    folder = tmp_path_factory.mktemp("local") / "feats"
    runs.here(runs.parts(images, MOST), folder, runs.computation())
    return folder


@pytest.fixture
def cluster(two_nodes: TwoNodes) -> Iterator[Cluster]:
    two_nodes.whole_again()
    with connected(two_nodes.address) as cluster:
        cluster.connect()
        yield cluster


class Heard(Watcher):
    def __init__(self) -> None:
        self.images = 0
        self.failures: list[str] = []

    def advance(self, images: int) -> None:
        self.images += images

    def failed(self, failure: object) -> None:
        self.failures.append(str(failure))


def test_an_actor_dies_and_then_a_node_and_nothing_is_lost_or_there_twice(
    cluster: Cluster, two_nodes: TwoNodes, images: Path, expected: Path, tmp_path: Path
) -> None:
    computed = runs.computation()
    job = runs.job(tmp_path / "feats", computed)
    heard = Heard()
    records = []
    for record in cluster.extract_parts(runs.parts(images, MOST), job, computed, heard):
        records.append(record)
        if len(records) == 3:
            two_nodes.kill_an_actor(two_nodes.head)
        if len(records) == 8:
            two_nodes.kill_second()
    runs.check_same(tmp_path / "feats", expected, records)
    assert heard.images == 301
    assert len(heard.failures) == 1


def test_decoding_on_processors_elsewhere_gives_the_same_bits(
    cluster: Cluster,
    images: Path,
    expected: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As for actors with GPUs, of which Ray believes that there is one."""
    monkeypatch.setattr(clusters, "layout", lambda *_, **__: Layout(1, 0, 1, decoders=3))
    computed = runs.computation()
    job = runs.job(tmp_path / "feats", computed)
    found = cluster.extract_parts(runs.parts(images, MOST)[:12], job, computed, Watcher())
    records = list(found)
    assert len(records) == 12
    for name, table in runs.tables(tmp_path / "feats"):
        assert table.equals(dict(runs.tables(expected))[name])


def test_a_part_over_which_every_process_dies_ends_the_run(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clusters, "Task", partial(Task, tries=1))
    computed = runs.computation()
    job = runs.job(tmp_path / "feats", computed)
    parts = [part_of(number, Files([Deadly(f"{number}.jpg")])) for number in range(1)]
    with pytest.raises(VggfeatError, match="^1 processes died over part-00000,"):
        list(cluster.extract_parts(parts, job, computed, Watcher()))


def test_an_image_over_which_a_process_dies_is_decoded_apart_by_the_next(
    cluster: Cluster, images: Path, tmp_path: Path
) -> None:
    deadly = sha256(images / "0030.png")
    computed = runs.computation(preprocessing=Fragile(deadly=deadly))
    job = runs.job(tmp_path / "feats", computed)
    parts = runs.parts(images, 50)[:1]
    (record,) = cluster.extract_parts(parts, job, computed, Watcher())
    assert (record.rows, record.failed) == (49, 1)
    (failure,) = record.failures
    assert failure.name == str(images / "0030.png")
    assert failure.reason == "its decoder crashed (SIGSEGV)"


def test_the_best_engine_is_that_of_the_cluster(cluster: Cluster) -> None:
    assert cluster.engine("auto") == "tensorflow"
    assert cluster.engine("auto", before="ncnn") == "ncnn"
    assert cluster.engine("ncnn") == "ncnn"


def test_a_node_that_lacks_something_is_named_before_work_begins(
    cluster: Cluster, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lacking = Needs(str(tmp_path), (), None, {"numpy": "0.1"})
    monkeypatch.setattr(clusters, "needs", lambda *_: lacking)
    computed = runs.computation()
    job = runs.job(tmp_path / "feats", computed)
    with pytest.raises(VggfeatError, match="^the node .* of the Ray cluster has numpy .* 0.1:"):
        list(cluster.extract_parts(runs.parts(images, MOST), job, computed, Watcher()))


def test_a_program_that_uses_ray_itself_goes_on_with_it(cluster: Cluster) -> None:
    import ray

    with connected("10.0.0.1:6379") as same:
        assert same.has_gpus
    assert ray.is_initialized()
