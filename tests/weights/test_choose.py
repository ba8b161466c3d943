"""Which weights a run takes, in the order that is promised."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import networks
from tests.weights.servers import Server, serving
from vggfeat import WeightsError, weights
from vggfeat.weights import published, store
from vggfeat.weights.formats import canonical
from vggfeat.weights.published import PublishedFile


@pytest.fixture(scope="module")
def keras_h5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keras") / "narrow.h5"
    networks.keras_vgg16(classes=7).save(path)
    return path


@pytest.fixture
def keras(keras_h5: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Keras' address and hash, of a narrow file on a server of ours."""
    data = keras_h5.read_bytes()
    with serving(data) as server:
        file = PublishedFile(server.url, f"md5:{hashlib.md5(data).hexdigest()}")
        monkeypatch.setitem(published.FILES, "keras", lambda: file)
        yield server


def test_what_is_asked_for_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    store.save(networks.weights(seed=1), "asked")
    store.save(networks.weights(seed=2), "set")
    monkeypatch.setenv("VGGFEAT_WEIGHTS", "set")
    assert weights.choose("asked").fingerprint == networks.weights(seed=1).fingerprint
    assert weights.choose().fingerprint == networks.weights(seed=2).fingerprint


def test_the_only_weights_of_the_store_are_the_default() -> None:
    store.save(networks.weights(seed=1), "mine")
    assert weights.choose().fingerprint == networks.weights(seed=1).fingerprint


def test_random_weights_are_never_the_default(keras: Server) -> None:
    store.save(networks.weights(seed=1), "random")
    assert weights.choose().source.startswith("Keras file")


def test_among_several_keras_is_the_default() -> None:
    store.save(networks.weights(seed=1), "mine")
    store.save(networks.weights(seed=2), "keras")
    assert weights.choose().fingerprint == networks.weights(seed=2).fingerprint


def test_several_without_keras_are_not_guessed_between() -> None:
    store.save(networks.weights(seed=1), "a")
    store.save(networks.weights(seed=2), "b")
    with pytest.raises(WeightsError, match="several weights: choose with --weights, one of a, b"):
        weights.choose()


def test_the_keras_cache_is_used_before_any_download(
    keras: Server, keras_h5: Path, home: Path
) -> None:
    (home / "keras" / "models").mkdir(parents=True)
    shutil.copy(keras_h5, home / "keras" / "models" / "vgg16.h5")
    assert weights.choose().width_of["fc8"] == 7
    assert keras.requests == []
    assert store.names() == ["keras"]


def test_a_damaged_copy_in_the_keras_cache_is_passed_over(keras: Server, home: Path) -> None:
    (home / "keras" / "models").mkdir(parents=True)
    (home / "keras" / "models" / "vgg16.h5").write_bytes(b"half a download")
    weights.choose()
    assert len(keras.requests) == 1


def test_else_it_is_downloaded_once_and_only_the_canonical_file_stays(keras: Server) -> None:
    first, second = weights.choose(), weights.choose()
    assert first.fingerprint == second.fingerprint
    assert len(keras.requests) == 1
    assert [path.name for path in store.folder().iterdir()] == ["keras.safetensors"]


def test_a_file_is_taken_as_it_is_and_not_kept(narrow_file: Path) -> None:
    chosen = weights.choose(narrow_file)
    assert chosen.fingerprint == networks.weights().fingerprint
    assert store.names() == []


def test_a_name_goes_before_a_file_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    canonical.write(networks.weights(seed=1), Path("net"))
    store.save(networks.weights(seed=2), "net")
    assert weights.choose("net").fingerprint == networks.weights(seed=2).fingerprint
    assert weights.choose("./net").fingerprint == networks.weights(seed=1).fingerprint


def test_what_is_neither_name_nor_file_says_which_names_there_are() -> None:
    store.save(networks.weights(), "mine")
    with pytest.raises(WeightsError, match=r"nothing: no such file, and no such name .*\(mine\)"):
        weights.choose("nothing")


def test_random_weights_are_made_once_and_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    made = networks.weights()
    monkeypatch.setattr(weights, "random_weights", lambda: made)
    weights.choose("random")
    monkeypatch.delattr(weights, "random_weights")
    assert weights.choose("random").fingerprint == made.fingerprint


def test_random_weights_do_without_a_store_that_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("VGGFEAT_STORE", str(tmp_path / "file" / "store"))
    made = networks.weights()
    monkeypatch.setattr(weights, "random_weights", lambda: made)
    assert weights.choose("random").fingerprint == made.fingerprint
