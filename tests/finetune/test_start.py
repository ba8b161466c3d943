"""What there is to learn from, once it is known which pictures can be read."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests import networks
from tests.finetune import made
from tests.finetune.test_unfinished import SETTINGS
from vggfeat import Extractor, VggfeatError
from vggfeat.finetune import start
from vggfeat.finetune.pictures import listed
from vggfeat.watcher import Watcher


def prepared(folder: Path, val: str | None = None) -> start.Start:
    features = folder.with_name("features.npy")
    found = listed(folder, val)
    return start.prepare(found, features, networks.weights(), SETTINGS, Watcher())


def test_pictures_are_divided_and_copies_on_both_sides_counted(tmp_path: Path) -> None:
    folder = tmp_path / "all"
    made.pictures(folder / "train", 2)
    made.pictures(folder / "val", 1, seed=5)
    shutil.copy(folder / "train/spots/0.png", folder / "val/spots/copy.png")
    (folder / "val/waves/broken.png").write_bytes(b"broken")
    found = prepared(folder)
    assert [len(found.learned), len(found.judging), found.shared] == [6, 4, 1]
    assert [Path(failure.name).name for failure in found.failed] == ["broken.png"]
    assert len(found.contents) == len(found.learned)


def test_the_fitted_classes_give_the_first_line_of_the_history(tmp_path: Path) -> None:
    found = prepared(made.pictures(tmp_path / "all", 4), "0.25")
    settings = replace(SETTINGS, classes=made.CLASSES)
    fitted = start.fit(found, tmp_path / "features.npy", settings)
    extractor = Extractor(networks.weights())
    for pictures, loss, accuracy in (
        (found.learned, fitted.row.loss, fitted.row.accuracy),
        (found.judging, fitted.row.val_loss, fitted.row.val_accuracy),
    ):
        vectors = extractor([picture.name for picture in pictures]).astype(float)
        grown = np.exp(vectors @ fitted.kernel + fitted.bias)
        probabilities = grown / grown.sum(axis=1, keepdims=True)
        labels = [picture.label for picture in pictures]
        of_label = probabilities[np.arange(len(labels)), labels]
        assert -np.log(of_label).mean() == pytest.approx(loss, rel=1e-3)
        assert (probabilities.argmax(axis=1) == labels).mean() == pytest.approx(accuracy)
    assert fitted.row.epoch == 0
    assert fitted.row.accuracy > 0.8


@pytest.mark.parametrize(
    ("count", "broken", "said"),
    [(2, 0, "no picture is left to judge by"), (3, 3, "class spots: no picture of it that could")],
)
def test_too_few_pictures_are_one_sentence(
    tmp_path: Path, count: int, broken: int, said: str
) -> None:
    folder = made.pictures(tmp_path / "all", count)
    for number in range(broken):
        (folder / f"spots/{number}.png").write_bytes(b"broken")
    with pytest.raises(VggfeatError, match=said):
        prepared(folder)
