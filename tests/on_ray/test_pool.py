"""Ray Data as a whole is tried again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.on_ray.test_line import part, record
from vggfeat.errors import VggfeatError
from vggfeat.ray import pool
from vggfeat.ray.actor import Answer


def gives_up(after: list[int], monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """Ray Data that does so after so many parts. Returns what it is given."""
    import ray

    given: list[list[int]] = []

    def some(_: Any, parts: list[Any], *__: Any) -> Iterator[Answer]:
        given.append([part.number for part in parts])
        for number in given[-1][: after[len(given) - 1]]:
            yield Answer(record(number), [])
        if len(given[-1]) > after[len(given) - 1]:
            raise ray.exceptions.ActorDiedError

    monkeypatch.setattr(pool, "_answers", some)
    return given


def asked(count: int) -> Iterator[int]:
    import ray

    nothing: Any = None
    for answer in pool.answers(ray, map(part, range(count)), nothing, nothing):
        assert not isinstance(answer.found, VggfeatError)
        yield answer.found.number


def test_it_goes_on_with_the_parts_that_have_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    given = gives_up([2, 0, 9], monkeypatch)
    assert list(asked(4)) == [0, 1, 2, 3]
    assert given == [[0, 1, 2, 3], [2, 3], [2, 3]]


def test_that_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    gives_up([1, 0, 0], monkeypatch)
    with pytest.raises(VggfeatError, match="^the Ray cluster failed: The actor died"):
        list(asked(2))
