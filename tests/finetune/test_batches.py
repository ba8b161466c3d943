"""Batches: the same pictures whenever they are asked for, and what is wrong with them is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.finetune import made
from vggfeat import VggfeatError
from vggfeat.finetune import batches
from vggfeat.finetune.pictures import Picture, listed
from vggfeat.preprocess import preprocess


@pytest.fixture
def pictures(tmp_path: Path) -> list[Picture]:
    return list(listed(made.pictures(tmp_path / "made", 3)).pictures)


def test_those_that_judge_are_seen_as_extract_sees_them(pictures: list[Picture]) -> None:
    data = batches.to_judge(pictures, 4)
    images, labels = (
        np.concatenate(parts) for parts in zip(data[0], data[1], data[2], strict=True)
    )
    assert len(data) == 3
    assert labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    expected = np.stack([preprocess(Path(picture.name).read_bytes()) for picture in pictures])
    assert (images == expected).all()


def test_an_epoch_is_the_same_again_and_the_next_is_another(pictures: list[Picture]) -> None:
    def epoch(seed: int, number: int) -> tuple[np.ndarray, list[int]]:
        images, labels = batches.to_learn(pictures, 9, seed, number)[0]
        return images, labels.tolist()

    images, labels = epoch(5, 1)
    assert sorted(labels) == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    for others in ((5, 1), (5, 2), (6, 1)):
        other_images, other_labels = epoch(*others)
        same = others == (5, 1)
        assert bool((images == other_images).all()) is same
        assert (labels == other_labels) is same


def test_views_do_not_depend_on_the_size_of_a_batch(pictures: list[Picture]) -> None:
    whole = batches.to_learn(pictures, 9, 0, 1)[0][0]
    parts = batches.to_learn(pictures, 5, 0, 1)
    assert (np.concatenate([parts[0][0], parts[1][0]]) == whole).all()


def test_a_picture_that_is_gone_meanwhile_is_named(pictures: list[Picture]) -> None:
    Path(pictures[1].name).unlink()
    data = batches.to_judge(pictures, 9)
    assert data[0][0].shape == (9, 224, 224, 3)
    with pytest.raises(VggfeatError, match=r"spots/1.png: cannot be read any more: No such file"):
        batches.check(data)


@given(count=st.integers(1, 200), batch_size=st.integers(1, 40), devices=st.integers(1, 9))
def test_all_but_the_last_batch_divide_by_the_devices(
    count: int, batch_size: int, devices: int
) -> None:
    sizes = [end - begin for begin, end in batches.bounds(count, batch_size, devices)]
    assert sum(sizes) == count
    assert max(sizes) <= max(batch_size, devices)
    first, *rest = sizes
    assert first % devices == 0 or count < devices
    assert all(size % devices == 0 for size in rest[:-1])
    if devices == 1:
        assert sizes[:-1] == [batch_size] * (len(sizes) - 1)
