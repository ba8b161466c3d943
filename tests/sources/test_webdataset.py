"""Shards that the webdataset package writes, as its own reader reads them."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from tests.sources.archives import tar, whole

wds: Any = pytest.importorskip("webdataset")


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """Three shards of seven samples each: two images, a class and notes."""
    drawn = random.Random(0)
    with wds.ShardWriter(f"{tmp_path}/%05d.tar", maxcount=7, verbose=0) as writer:
        for number in range(21):
            writer.write(
                {
                    "__key__": f"folder/{number:06}",
                    "jpg": drawn.randbytes(300),
                    "right.PNG": drawn.randbytes(200),
                    "cls": b"3",
                    "json": {"of": number},
                }
            )
    return tmp_path


def read_by_webdataset(pattern: str) -> list[tuple[str, bytes]]:
    """Key, extension and bytes of each image, in the order of the shards."""
    samples = wds.WebDataset(pattern, shardshuffle=False, empty_check=False)
    return [
        (f"{sample['__url__']}/{sample['__key__']}.{extension}".lower(), data)
        for sample in samples
        for extension, data in sample.items()
        if isinstance(data, bytes) and extension.rpartition(".")[2] in ("jpg", "png")
    ]


@pytest.mark.parametrize("pattern", ["{00000..00002}.tar", "0000{0,2,1}.tar", "{00001..00001}.tar"])
def test_a_pattern_gives_the_images_that_webdataset_gives(shards: Path, pattern: str) -> None:
    expected = read_by_webdataset(f"{shards}/{pattern}")

    found = whole(f"{shards}/{pattern}")

    assert len(found) in (14, 42)
    assert [(name.lower(), data) for name, data in found] == expected


def test_its_own_members_are_passed_over(tmp_path: Path) -> None:
    members = [
        ("__meta__/a.jpg", b"x"),
        ("__x__.jpg", b"y"),
        ("a.Jpg", b"z"),
        ("a.b.png", b"s"),
    ]
    (tmp_path / "x.tar").write_bytes(tar(members))

    found = whole(tmp_path / "x.tar")

    # A name that only begins so is none of them.
    assert [data for _, data in found] == [b"y", b"z", b"s"]
    assert [data for _, data in read_by_webdataset(f"{tmp_path}/x.tar")] == [b"y", b"z", b"s"]
