"""Which weights extract would take, without fetching any."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests import networks
from vggfeat.doctor import weights
from vggfeat.weights import store


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def test_an_empty_store_means_that_keras_is_fetched_once() -> None:
    found = weights.look()
    assert (found.taken, found.origin, found.where) == ("keras", "default", "network")
    assert found.fetched == 553_467_096
    assert found.needed == 2 * found.fetched  # what comes, and what is kept of it


@pytest.mark.usefixtures("narrow_in_store")
def test_what_is_in_the_store_is_taken() -> None:
    found = weights.look()
    assert (found.names, found.taken) == (["narrow"], "narrow")
    assert (found.origin, found.where, found.fetched) == ("store", "store", 0)


@pytest.mark.usefixtures("narrow_in_store")
def test_several_to_choose_from_are_a_problem() -> None:
    store.save(networks.weights(seed=1), "other")
    found = weights.look()
    assert found.taken is None
    assert "choose with --weights, one of narrow, other" in (found.problem or "")


@pytest.mark.parametrize(
    ("asked", "where"), [("narrow", "store"), ("random", "made"), ("timm", "network")]
)
@pytest.mark.usefixtures("narrow_in_store")
def test_the_variable_goes_first(monkeypatch: pytest.MonkeyPatch, asked: str, where: str) -> None:
    monkeypatch.setenv("VGGFEAT_WEIGHTS", asked)
    found = weights.look()
    assert (found.taken, found.origin, found.where) == (asked, "VGGFEAT_WEIGHTS", where)
    assert bool(found.fetched) == (where == "network")


def test_a_file_has_to_be_one_that_can_be_read(
    monkeypatch: pytest.MonkeyPatch, narrow_file: Path
) -> None:
    monkeypatch.setenv("VGGFEAT_WEIGHTS", str(narrow_file))
    assert weights.look().where == "file"
    monkeypatch.setenv("VGGFEAT_WEIGHTS", "nowhere.h5")
    assert "nowhere.h5: no such file" in (weights.look().problem or "")


def test_weights_that_do_not_reach_fc7_are_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    store.save(networks.weights(networks.without("fc6", "fc7", "fc8")), "notop")
    assert "fc7 cannot be computed" in (weights.look().problem or "")


def test_a_home_that_is_unknown_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home(*args: object, **options: object) -> None:
        raise RuntimeError("could not determine the home directory")

    monkeypatch.delenv("VGGFEAT_STORE", raising=False)
    monkeypatch.setattr("platformdirs.user_cache_path", no_home)
    problem = weights.look().problem or ""
    assert problem.startswith("could not determine the home directory: set HOME, or VGGFEAT_STORE")


def test_a_damaged_store_is_a_problem(narrow_in_store: str) -> None:
    store.path_of(narrow_in_store).write_bytes(b"cut short")
    assert weights.look().problem
