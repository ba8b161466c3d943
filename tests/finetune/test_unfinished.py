"""What a run that was cut off leaves, and for whom."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vggfeat import VggfeatError
from vggfeat.errors import UsageError
from vggfeat.finetune.history import Row
from vggfeat.finetune.settings import Settings
from vggfeat.finetune.unfinished import Unfinished, remove

SETTINGS = Settings(
    weights="0" * 64, source="a.h5", layer="fc7", train_from="conv5_1", epochs=9, patience=3,
    batch_size=8, learning_rate=1e-5, dropout=0.0, seed=0, classes=("a", "b"), data="1" * 64,
    fraction=0.2,
)  # fmt: skip


def opened(folder: Path, settings: Settings = SETTINGS, fresh: bool = False) -> Any:
    notes: list[str] = []
    return Unfinished(folder / "f.keras", settings, fresh=fresh, on_note=notes.append), notes


def keep(work: Unfinished, *val_losses: float) -> None:
    for loss in val_losses:
        epoch = len(work.history)
        work.keep({"0": np.array(epoch)}, Row(epoch, 1.0, 0.5, loss, 0.5, 0.0))


def test_the_last_and_the_best_epoch_are_there_for_the_next_run(tmp_path: Path) -> None:
    work, notes = opened(tmp_path)
    keep(work, 0.5, 0.3, 0.4, 0.45)
    assert notes == []
    again, notes = opened(tmp_path)
    assert notes == [f"{tmp_path / 'f.keras'}: goes on after epoch 3"]
    assert again.history == work.history
    assert [again.state(epoch)["0"] for epoch in (1, 3)] == [1, 3]
    states = {path.name for path in (tmp_path / "f.keras.part").glob("*.safetensors")}
    assert states == {"1.safetensors", "3.safetensors"}


def test_a_state_without_its_line_of_history_does_not_count(tmp_path: Path) -> None:
    work, _ = opened(tmp_path)
    keep(work, 0.5)
    (tmp_path / "f.keras.part/1.safetensors").write_bytes(b"cut off")
    again, _ = opened(tmp_path)
    keep(again, 0.4)
    assert again.state(1)["0"] == 1


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"weights": "2" * 64, "source": "b.h5"}, "weights b.h5, not a.h5"),
        ({"learning_rate": 0.1}, "learning rate 0.1, not 1e-05"),
        ({"classes": ("a", "c")}, "the pictures have changed"),
        ({"data": "3" * 64}, "the pictures have changed"),
    ],
)
def test_other_settings_begin_anew_and_say_so(
    tmp_path: Path, other: dict[str, Any], said: str
) -> None:
    keep(opened(tmp_path)[0], 0.5, 0.4)
    work, notes = opened(tmp_path, replace(SETTINGS, **other))
    left = f"{tmp_path / 'f.keras'}: what an unfinished run has left is not used: {said}"
    assert (notes, work.history) == ([left], [])
    assert opened(tmp_path, replace(SETTINGS, **other))[1] == []


def test_fresh_begins_anew_without_a_word(tmp_path: Path) -> None:
    keep(opened(tmp_path)[0], 0.5)
    work, notes = opened(tmp_path, fresh=True)
    assert (notes, work.history) == ([], [])


def test_what_is_damaged_or_not_ours_is_one_sentence(tmp_path: Path) -> None:
    work, _ = opened(tmp_path)
    keep(work, 0.5)
    (tmp_path / "f.keras.part/0.safetensors").write_bytes(b"damaged")
    with pytest.raises(VggfeatError, match="0.safetensors: cannot be read .*--fresh"):
        work.state(0)
    (tmp_path / "f.keras.part/history.csv").write_bytes(b"\xff")
    with pytest.raises(VggfeatError, match="history.csv: cannot be read .*--fresh"):
        opened(tmp_path)
    remove(tmp_path / "f.keras")
    assert list(tmp_path.iterdir()) == []

    (tmp_path / "f.keras.part").mkdir()
    (tmp_path / "f.keras.part/mine.txt").touch()
    with pytest.raises(VggfeatError, match=r"f.keras.part: is in the way, and not vggfeat's"):
        opened(tmp_path)
    remove(tmp_path / "f.keras")
    assert (tmp_path / "f.keras.part/mine.txt").exists()


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"epochs": 0}, "epochs 0: it must be at least 1"),
        ({"batch_size": 0}, "batch size 0"),
        ({"learning_rate": float("nan")}, "learning rate nan: it must be above 0"),
        ({"dropout": 1.0}, "dropout 1.0: it must be from 0 to below 1"),
        ({"seed": -1}, "seed -1: it must be 0 or more"),
    ],
)
def test_numbers_that_cannot_be_are_usage_errors(other: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        replace(SETTINGS, **other)
