"""The store of weights by name."""

from __future__ import annotations

from pathlib import Path

import platformdirs
import pytest

from tests import networks
from vggfeat import WeightsError
from vggfeat.weights import store


def test_what_is_saved_is_listed_opened_and_removed() -> None:
    weights = networks.weights()
    for name in ("net10", "net2"):
        store.save(weights, name)
    assert store.names() == ["net2", "net10"]
    assert store.open_weights("net2").fingerprint == weights.fingerprint
    store.remove("net2")
    assert store.names() == ["net10"]


def test_the_same_weights_may_be_saved_again_but_others_never_replace_them() -> None:
    store.save(networks.weights(), "net")
    store.save(networks.weights(), "net")
    with pytest.raises(WeightsError, match="already has other weights named 'net'"):
        store.save(networks.weights(seed=1), "net")
    assert store.open_weights("net").fingerprint == networks.weights().fingerprint


def test_a_file_of_another_version_is_told_of_and_may_be_replaced() -> None:
    store.save(networks.weights(), "mine")
    path = store.path_of("mine")
    path.write_bytes(path.read_bytes().replace(b'"vggfeat":"2"', b'"vggfeat":"1"'))
    with pytest.raises(WeightsError, match="not written by this version.*vggfeat weights remove"):
        store.open_weights("mine")
    store.save(networks.weights(seed=1), "mine")
    assert store.open_weights("mine").fingerprint == networks.weights(seed=1).fingerprint


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "-w", "a b", "x" * 101, "a\n"])
def test_a_name_can_lead_nowhere_else(name: str) -> None:
    with pytest.raises(WeightsError, match="cannot be a name in the store"):
        store.save(networks.weights(), name)
    assert not store.contains(name)


def test_what_is_not_there_is_one_sentence() -> None:
    for act in (store.open_weights, store.remove):
        with pytest.raises(WeightsError, match="no weights named 'none' in the store"):
            act("none")
    assert store.names() == []


def test_a_store_that_cannot_be_written_says_what_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("VGGFEAT_STORE", str(tmp_path / "file" / "store"))
    with pytest.raises(WeightsError, match="cannot be written.*set VGGFEAT_STORE"):
        store.save(networks.weights(), "net")


def test_without_a_setting_it_is_below_the_users_cache_folder(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VGGFEAT_STORE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    assert home in store.folder().parents


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("VGGFEAT_STORE")
    monkeypatch.setattr(platformdirs, "user_cache_path", fail)
    with pytest.raises(WeightsError, match=r"home directory: set HOME, or VGGFEAT_STORE"):
        store.folder()
