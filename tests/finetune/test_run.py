"""Fine-tuning a narrow network on made pictures: what comes of it, and what a kill costs."""

from __future__ import annotations

import json
import math
import resource
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import networks
from tests.finetune import made
from tests.networks import relative_error
from vggfeat import Extractor, VggfeatError
from vggfeat.finetune import Finetuned, FinetuneWatcher, finetune
from vggfeat.finetune.history import Row, from_csv
from vggfeat.finetune.pictures import listed
from vggfeat.head import file as heads
from vggfeat.preprocess import preprocess

SETTINGS: dict[str, Any] = {
    "epochs": 2, "batch_size": 8, "learning_rate": 3e-5, "val": "0.25", "dropout": 0.1
}  # fmt: skip


class Killed(BaseException):
    """As a signal ends a run."""


class Watcher(FinetuneWatcher):
    """Keeps the notes, and does something at a moment."""

    def __init__(self, at: str = "", act: Callable[[], None] = lambda: None) -> None:
        self.notes: list[str] = []
        self._at, self._act = at, act

    def note(self, message: str) -> None:
        self.notes.append(message)

    def start(self, total: int | None) -> None:
        self._reached("features")

    def epoch_begins(self, epoch: int, epochs: int, pictures: int) -> None:
        self._reached(f"epoch {epoch}")

    def step(self, pictures: int, loss: float, accuracy: float) -> None:
        self._reached("step")

    def _reached(self, moment: str) -> None:
        if moment == self._at:
            self._act()


def kill() -> None:
    raise Killed


def run(place: Path, watcher: FinetuneWatcher | None = None, **others: Any) -> Finetuned:
    settings = SETTINGS | others
    return finetune(
        place / "classes",
        place / "f.keras",
        weights=networks.weights(),
        watcher=watcher,
        **settings,
    )


def test_a_fine_tuning(tmp_path: Path) -> None:
    """All in one, since each run takes seconds. One of the pictures is broken."""
    import keras

    place = tmp_path / "undisturbed"
    made.pictures(place / "classes")
    (place / "classes/waves/broken.jpg").write_bytes(b"broken")
    run(place)
    model = keras.saving.load_model(place / "f.keras")
    it_learns_from_a_start_that_is_better_than_chance(place, model)
    frozen_kernels_are_as_they_were_to_the_bit(model)
    extract_and_heads_take_what_it_makes(place, model)
    classes_and_failures_are_told_beside_it_and_in_it(place)
    a_run_that_is_cut_off_and_gone_on_with_comes_to_the_same(place, model, tmp_path / "cut off")
    what_is_made_is_left_alone_and_other_settings_are_told(place)
    a_disk_without_room_for_the_model_leaves_all_as_it_was(place)


def judging(place: Path) -> tuple[np.ndarray, np.ndarray]:
    """The pictures that judge, as the index of those learned from leaves them over."""
    seen = set(heads.read(place / "f.head").seen.tolist())
    found = [
        (Path(p.name).read_bytes(), p.label)
        for p in listed(place / "classes").pictures
        if "broken" not in p.name
    ]
    left = [(d, k) for d, k in found if int(sha256(d).hexdigest()[:16], 16) not in seen]
    return np.stack([preprocess(data) for data, _ in left]), np.array([k for _, k in left])


def it_learns_from_a_start_that_is_better_than_chance(place: Path, model: Any) -> None:
    history = from_csv((place / "f.history.csv").read_text())
    start, first, *_ = history
    assert start.val_loss < 0.9 * math.log(3)
    assert start.val_accuracy > 0.5
    assert first.learning_rate == 3e-5
    kept = min(history, key=lambda row: row.val_loss)
    assert kept.epoch > 0
    assert kept.val_loss < 0.8 * start.val_loss

    images, labels = judging(place)
    assert len(images) == 6
    probabilities = np.asarray(model(images.astype(np.float32)), float)
    loss = -np.log(probabilities[np.arange(6), labels]).mean()
    assert loss == pytest.approx(kept.val_loss, rel=1e-4)
    assert (probabilities.argmax(axis=1) == labels).mean() == pytest.approx(kept.val_accuracy)


def frozen_kernels_are_as_they_were_to_the_bit(model: Any) -> None:
    tensors = networks.weights().tensors
    for layer in model.layers:
        if layer.weights and layer.name.startswith("block"):
            name = f"conv{layer.name[5]}_{layer.name[-1]}"
            same = (layer.kernel.numpy() == tensors[f"{name}/kernel"]).all()
            assert same == (name < "conv5_1"), name
            assert layer.trainable is (name >= "conv5_1")


def extract_and_heads_take_what_it_makes(place: Path, model: Any) -> None:
    import keras

    images, _ = judging(place)
    pixels = images.astype(np.float32)
    for layer, keras_layer in (("fc7", "fc2"), ("pool5", "block5_pool")):
        part = keras.Model(model.input, model.get_layer(keras_layer).output)
        found = Extractor(place / "f.keras", layer)(images)
        assert relative_error(found, np.asarray(part(pixels))) < 1e-5
    head = heads.read(place / "f.head")
    assert head.classes == made.CLASSES
    probabilities = head.probabilities(Extractor(place / "f.keras", head.recipe.layer)(images))
    assert np.abs(probabilities - np.asarray(model(pixels))).max() < 1e-5
    assert head.recipe.source == "Keras file f.keras"


def classes_and_failures_are_told_beside_it_and_in_it(place: Path) -> None:
    names = {path.name for path in place.iterdir()}
    ends = ("keras", "finetune.json", "history.csv", "history.png", "head", "unread.csv")
    assert names == {"classes", *(f"f.{end}" for end in ends)}
    with zipfile.ZipFile(place / "f.keras") as archive:
        assert archive.read("vggfeat.json") == (place / "f.finetune.json").read_bytes()
    told = json.loads((place / "f.finetune.json").read_text())
    assert told["classes"] == list(made.CLASSES)
    assert (told["learned_from"], told["judged_by"], told["failed"]) == (18, 6, 1)
    assert "waves/broken.jpg" in (place / "f.unread.csv").read_text()
    assert (place / "f.history.png").read_bytes().startswith(b"\x89PNG")


def a_run_that_is_cut_off_and_gone_on_with_comes_to_the_same(
    place: Path, model: Any, other: Path
) -> None:
    import keras

    other.mkdir()
    (other / "classes").symlink_to(place / "classes")
    steps = iter(range(4))  # three an epoch: the fourth is the first of epoch 2

    def kill_in_epoch_2() -> None:
        if next(steps) == 3:
            raise Killed

    with pytest.raises(Killed):
        run(other, watcher := Watcher("step", kill_in_epoch_2))
    assert watcher.notes == ["epochs up to 1 are kept for the next run"]
    assert not (other / "f.keras").exists()

    report = run(other, watcher := Watcher())
    assert watcher.notes[0].endswith("f.keras: goes on after epoch 1")
    assert (report.epochs, report.was_there) == (2, False)
    assert not (other / "f.keras.part").exists()
    for end in ("history.csv", "finetune.json"):
        assert (other / f"f.{end}").read_bytes() == (place / f"f.{end}").read_bytes()
    again = keras.saving.load_model(other / "f.keras")
    for kernel, expected in zip(again.get_weights(), model.get_weights(), strict=True):
        assert (kernel == expected).all()


def what_is_made_is_left_alone_and_other_settings_are_told(place: Path) -> None:
    before = (place / "f.keras").stat().st_mtime_ns
    report = run(place)
    assert report.was_there
    assert (report.classes, report.failed, report.judged_by) == (made.CLASSES, 1, 6)
    assert isinstance(report.best, Row)
    for others, said in (
        ({"seed": 1}, "seed 1, not 0"),
        ({"train_from": "fc7"}, "train from fc7, not conv5_1"),
        ({"val": "0.5"}, "fraction 0.5, not 0.25"),
    ):
        with pytest.raises(Killed):
            run(place, watcher := Watcher("features", kill), **others)
        assert watcher.notes[0].endswith(f"f.keras: is made anew: {said}")
    assert (place / "f.keras").stat().st_mtime_ns == before
    assert run(place).was_there  # what was begun otherwise is in nobody's way
    assert not (place / "f.keras.part").exists()


def a_disk_without_room_for_the_model_leaves_all_as_it_was(place: Path) -> None:
    before = files(place)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    class Full(Watcher):
        def epoch_ends(self, row: Row, epochs: int) -> None:
            if row.epoch == epochs:
                resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, limits[1]))

    try:
        with pytest.raises(VggfeatError, match=r"f\.keras: cannot be written: File too large"):
            run(place, Full(), epochs=1, train_from="head")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert files(place) == before


def files(place: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in place.iterdir() if path.is_file()}
