"""`extract` from Python: the same as the command, told to a watcher."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests import networks
from vggfeat import Extractor, VggfeatError, extract, load_features
from vggfeat.errors import UsageError
from vggfeat.outcome import Failure, Stamp
from vggfeat.watcher import Watcher


class Recorder(Watcher):
    def __init__(self) -> None:
        self.heard: list[object] = []

    def note(self, message: str) -> None:
        self.heard.append(message)

    def start(self, total: int | None) -> None:
        self.heard.append(("start", total))

    def advance(self, images: int) -> None:
        self.heard.append(images)

    def failed(self, failure: Failure) -> None:
        self.heard.append(failure)

    def stop(self) -> None:
        self.heard.append("stop")


def test_it_writes_what_the_extractor_gives(tmp_path: Path, samples: list[Path]) -> None:
    weights = networks.weights()
    report = extract(samples[:3], tmp_path / "f.npy", weights=weights, layer="fc6", resize=300)
    assert (report.rows, report.failed, report.layers) == (3, 0, (("fc6", "f.npy", (256,)),))
    vectors, paths = load_features(tmp_path / "f.npy")
    expected = Extractor(weights, "fc6", resize=300)(samples[:3])
    np.testing.assert_array_equal(vectors, expected)
    assert paths == list(map(str, samples[:3]))


def test_pool5_is_written_as_maps(tmp_path: Path, samples: list[Path]) -> None:
    extract(samples[0], tmp_path / "f.npy", weights=networks.weights(), layer="pool5")
    assert load_features(tmp_path / "f.npy").vectors.shape == (1, 7, 7, 32)


def test_the_watcher_hears_every_image_once(tmp_path: Path, samples: list[Path]) -> None:
    (tmp_path / "bad.jpg").touch()
    recorder = Recorder()
    inputs = [samples[0], tmp_path / "bad.jpg", samples[1]]
    report = extract(
        inputs, tmp_path / "f.npy", weights=networks.weights(), watcher=recorder, batch_size=2
    )
    assert (report.rows, report.failed) == (2, 1)
    info = (tmp_path / "bad.jpg").stat()
    stamp = Stamp(info.st_size, info.st_mtime_ns)
    failure = Failure(str(tmp_path / "bad.jpg"), "the file is empty", stamp)
    assert recorder.heard == [("start", 3), failure, 3, "stop"]


def test_random_weights_are_named_on_every_run(tmp_path: Path, samples: list[Path]) -> None:
    from vggfeat.weights import store
    from vggfeat.weights.random import random_weights

    store.save(random_weights(networks.NARROW), "random")
    for _ in range(2):
        recorder = Recorder()
        extract(samples[0], tmp_path / "f.npy", weights="random", watcher=recorder)
        assert recorder.heard[0] == (
            "weights are random, He-scaled, seed 0: not trained, for trials only"
        )


def test_what_a_row_depends_on_is_written_down(tmp_path: Path, samples: list[Path]) -> None:
    weights = networks.weights()
    for engine in ("ncnn", "tensorflow"):
        extract(
            samples[0],
            tmp_path / "f.npy",
            weights=weights,
            engine=engine,
            fast_decode=True,
            workers=1,
        )
        about = json.loads((tmp_path / "f.json").read_text())
        assert about["engine"] == engine
        assert engine in about["versions"]
        told = {"vggfeat": about["vggfeat"], **about["versions"]}
        assert about["runs"][-1]["versions"] == told
        assert about["runs"][-1]["computed"] == 1
        assert about["preprocessing"]["decode"] == "fast"
        assert about["weights"]["fingerprint"] == weights.fingerprint


def test_settings_that_cannot_be_are_refused(tmp_path: Path, samples: list[Path]) -> None:
    for options in ({"batch_size": 0}, {"workers": 0}, {"resize": 223}, {"form": "xml"}):
        with pytest.raises(UsageError):
            extract(samples[0], tmp_path / "f.npy", weights=networks.weights(), **options)  # type: ignore[arg-type]
    with pytest.raises(VggfeatError, match="no engine 'none'"):
        extract(samples[0], tmp_path / "f.npy", weights=networks.weights(), engine="none")
    assert not list(tmp_path.iterdir())
