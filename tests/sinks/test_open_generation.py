"""Readers have one generation, while a run puts another one in its place."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from tests.sinks.outputs import Run, rows
from vggfeat import VggfeatError
from vggfeat.sinks import published
from vggfeat.sinks.index import beside
from vggfeat.sinks.published import Published, TornError, open_generation


@pytest.fixture
def output(tmp_path: Path) -> Path:
    Run(tmp_path / "f.npy", rows([0])).publish()
    return tmp_path / "f.npy"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published, "_PATIENCE", 0.3)


def count(found: Published) -> int:
    return len(found.entries)


def test_it_is_opened_once_where_nobody_publishes(output: Path) -> None:
    opened: list[Published] = []
    found, nothing = open_generation(output, opened.append)
    assert nothing is None
    assert opened == [found]
    assert count(found) == 1


def test_a_generation_that_was_replaced_meanwhile_is_left_for_the_new_one(output: Path) -> None:
    opened: list[int] = []

    def opener(found: Published) -> int:
        opened.append(count(found))
        if len(opened) == 1:
            Run(output, rows([0, 1])).publish()
        return opened[-1]

    found, rows_there = open_generation(output, opener)
    assert count(found) == rows_there == 2
    assert opened == [1, 2]


def test_one_whose_json_is_gone_meanwhile_is_not_taken(output: Path) -> None:
    def opener(found: Published) -> None:
        beside(output).about.unlink()

    with pytest.raises(VggfeatError, match="there is no f.json beside it: vggfeat did not write"):
        open_generation(output, opener)


def test_who_looks_while_a_run_publishes_waits_for_its_end(output: Path) -> None:
    index = beside(output).rows
    os.rename(index, index.with_name("aside"))
    timer = threading.Timer(0.1, os.rename, (index.with_name("aside"), index))
    timer.start()
    assert open_generation(output, count)[1] == 1
    timer.join()


def test_vectors_of_another_generation_are_opened_again(output: Path) -> None:
    opened: list[Published] = []

    def opener(found: Published) -> str:
        opened.append(found)
        if len(opened) < 3:
            raise TornError("not yet")
        return "vectors"

    assert open_generation(output, opener)[1] == "vectors"


def test_what_stays_torn_is_told_after_a_while(output: Path) -> None:
    beside(output).rows.unlink()
    began = time.monotonic()
    with pytest.raises(TornError, match="is missing"):
        open_generation(output, count)
    assert 0.3 <= time.monotonic() - began < 5


def test_what_is_not_vggfeats_is_told_at_once(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(VggfeatError, match="f.npy: there is no f.json beside it") as caught:
        open_generation(tmp_path / "f.npy", count)
    assert not isinstance(caught.value, TornError)
    assert time.monotonic() - began < 0.3
