"""What is told of parts that are under work."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.on_ray.conftest import TwoNodes
from tests.on_ray.test_line import record
from vggfeat.ray import connected, progress
from vggfeat.ray.progress import Progress, Telling
from vggfeat.watcher import Watcher


class Heard(Watcher):
    def __init__(self) -> None:
        self.images = 0
        self.notes: list[str] = []

    def advance(self, images: int) -> None:
        assert images > 0
        self.images += images

    def note(self, message: str) -> None:
        self.notes.append(message)

    def becomes(self, images: int) -> bool:
        end = time.monotonic() + 20
        while self.images != images and time.monotonic() < end:
            time.sleep(0.01)
        return self.images == images


@pytest.fixture(autouse=True)
def _cluster(two_nodes: TwoNodes, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(progress, "_EVERY", 0.05)
    with connected(two_nodes.address) as cluster:
        cluster.connect()
        yield


def test_images_count_once_though_actors_die_and_parts_are_done() -> None:
    import ray

    heard = Heard()
    with Progress(ray, heard) as shown:
        one, other = Telling(shown.tally, "one"), Telling(shown.tally, "other")
        time.sleep(0.1)
        one.advance(5)
        other.advance(3)
        assert heard.becomes(8)
        again = Telling(shown.tally, "one")  # it died, and begins the part again
        time.sleep(0.1)
        again.advance(4)
        time.sleep(0.3)
        assert heard.images == 8
        time.sleep(0.1)
        again.advance(2)
        assert heard.becomes(9)
        shown.part_done(record(0)._replace(rows=6), again.part_done(6))
        time.sleep(0.3)
        assert heard.images == 9
        shown.part_done(record(1)._replace(rows=7), other.part_done(7))
        assert heard.images == 13


def test_that_nothing_has_started_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    monkeypatch.setattr(progress, "_PATIENCE", 0.1)
    heard = Heard()
    with Progress(ray, heard):
        time.sleep(1)
    (note,) = heard.notes
    assert note.startswith("the run waits for processors of the cluster")
