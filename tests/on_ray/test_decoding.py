"""Images that are decoded by tasks of a cluster."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.on_ray import runs
from tests.on_ray.conftest import CPUS, TwoNodes
from tests.on_ray.deadly import Fragile, sha256
from vggfeat.outcome import Failure
from vggfeat.preparing import Decoded
from vggfeat.preprocess import ImageData, Preprocessing
from vggfeat.ray import connected
from vggfeat.ray.decoding import Decoders
from vggfeat.sources.files import LocalFile


@dataclass(frozen=True)
class Where(Preprocessing):
    """Tells by the first pixel whether it is in a process."""

    home: int = 0

    def __call__(self, image: ImageData) -> NDArray[np.uint8]:
        pixels = super().__call__(image).copy()
        pixels[0, 0, 0] = os.getpid() == self.home
        return pixels


@pytest.fixture(scope="module", autouse=True)
def _cluster(two_nodes: TwoNodes) -> Iterator[None]:
    two_nodes.whole_again()
    with connected(two_nodes.address) as cluster:
        cluster.connect()
        yield


@pytest.fixture
def images(tmp_path: Path) -> list[LocalFile]:
    folder = runs.pictures(tmp_path / "imgs", 5)
    (folder / "0003.png").write_bytes(b"no image")
    return [LocalFile(str(path)) for path in sorted(folder.iterdir())]


def decoded(images: list[LocalFile], **options: Any) -> list[Decoded | Failure]:
    settings = {
        "preprocessing": Where(home=os.getpid()),
        "calls": 2,
        "folder": os.getcwd(),
        **options,
    }
    return list(Decoders(**settings)(images))


def in_this_process(item: Decoded | Failure) -> bool:
    assert isinstance(item, Decoded)
    return bool(item.pixels[0, 0, 0])


def test_what_is_decoded_elsewhere_is_as_if_it_were_here(images: list[LocalFile]) -> None:
    found = decoded(images)
    assert [item.name for item in found] == [image.name for image in images]
    for image, item in zip(images, found, strict=True):
        if image.name.endswith("0003.png"):
            assert isinstance(item, Failure)
            assert item.stamp == image.stamp()
            continue
        assert isinstance(item, Decoded)
        assert not in_this_process(item)
        assert item.stamp == image.stamp()
        assert item.sha256 == sha256(Path(image.name))
        pixels = Preprocessing()(image.read().data)
        assert np.array_equal(item.pixels[1:], pixels[1:])


def test_relative_names_start_where_the_driver_is(images: list[LocalFile]) -> None:
    folder = os.path.dirname(images[0].name)
    found = decoded([LocalFile(os.path.basename(images[0].name))], folder=folder)
    assert not in_this_process(found[0])


def test_where_no_processor_is_free_this_process_decodes(images: list[LocalFile]) -> None:
    import ray

    class Occupies:
        def there(self) -> None: ...

    holders = [ray.remote(num_cpus=CPUS)(Occupies).remote() for _ in range(2)]
    ray.get([holder.there.remote() for holder in holders])
    decoders = Decoders(Where(home=os.getpid()), 2, os.getcwd(), patience=0.5)
    for _ in range(2):  # the second time without waiting
        assert in_this_process(decoders(images)[0])
    for holder in holders:
        ray.kill(holder)


def test_an_image_over_which_tasks_die_costs_only_itself(images: list[LocalFile]) -> None:
    deadly = Path(images[1].name)
    found = decoded(images, preprocessing=Fragile(deadly=sha256(deadly)))
    assert found[1] == Failure(images[1].name, "its decoder crashed (SIGSEGV)", images[1].stamp())
    assert [type(item) for item in found] == [Decoded, Failure, Decoded, Failure, Decoded]
