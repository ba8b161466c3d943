"""How machines are divided among actors."""

from __future__ import annotations

import pytest

from vggfeat.errors import VggfeatError
from vggfeat.ray.layout import Layout, layout


@pytest.mark.parametrize(
    ("cpus", "expected"),
    [
        ([1], Layout(1, 1)),
        ([2], Layout(1, 2)),
        ([64], Layout(8, 8)),
        ([12], Layout(2, 6)),
        ([2, 2, 0], Layout(2, 2)),
        ([11], Layout(2, 5)),
        ([1, 64], Layout(8, 8)),  # the small one is not worth it
        ([4, 4, 8], Layout(4, 4)),
    ],
)
def test_actors_have_groups_of_processors(cpus: list[int], expected: Layout) -> None:
    assert layout([{"CPU": count} for count in cpus], gpus=False) == expected


def test_as_many_threads_as_are_asked_for() -> None:
    assert layout([{"CPU": 16}, {"CPU": 3}], gpus=False, workers=3) == Layout(6, 3)
    with pytest.raises(VggfeatError, match="--workers 17: no node .* more than 16 processors"):
        layout([{"CPU": 16}, {"CPU": 3}], gpus=False, workers=17)


def test_each_gpu_has_an_actor_and_the_processors_decode() -> None:
    nodes = [{"CPU": 16, "GPU": 2}, {"CPU": 30}]
    assert layout(nodes, gpus=True) == Layout(2, 1, 1, 44)
    # Where a processor a card is all there is, they have none of their own.
    assert layout([{"CPU": 1, "GPU": 1}], gpus=True) == Layout(1, 0, 1, 2)
    assert layout([{"CPU": 4}, {"GPU": 1}], gpus=True) == Layout(1, 0, 1, 8)


def test_a_cluster_without_processors_is_told() -> None:
    with pytest.raises(VggfeatError, match="no processors for work"):
        layout([{"memory": 1e9}], gpus=False)
