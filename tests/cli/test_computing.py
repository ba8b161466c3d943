"""`--precision`, `--devices` and `--batch-size`: what reaches the engine, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cli.inside import run
from vggfeat import engines
from vggfeat.engines import precision
from vggfeat.errors import UsageError, VggfeatError


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What an engine is asked for, which then cannot be made."""
    told: dict[str, Any] = {}

    def create(name: str, *args: Any, **how: Any) -> engines.Engine:
        told.update(name=name, **how)
        raise VggfeatError("no engine in this test")

    monkeypatch.setattr(engines, "create", create)
    monkeypatch.setattr(precision, "_processor_has_bfloat16", lambda: True)
    return told


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], ("float32", "all", None)),
        (["--batch-size", "auto"], ("float32", "all", None)),
        (["--precision", "bfloat16", "--batch-size", "5"], ("bfloat16", "all", 5)),
        (["--devices", "1,0"], ("float32", "1,0", None)),
    ],
)
def test_what_is_asked_for_reaches_the_engine(
    asked: dict[str, Any],
    narrow_file: Path,
    samples: list[Path],
    tmp_path: Path,
    options: list[str],
    expected: tuple[str, str, int | None],
) -> None:
    with pytest.raises(VggfeatError, match="no engine in this test"):
        run("extract", samples[0], "-o", tmp_path / "f.npy", "-w", narrow_file, *options)
    assert (asked["precision"], asked["devices"], asked["batch_size"]) == expected
    assert asked["name"] == ("ncnn" if expected[:2] == ("float32", "all") else "tensorflow")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--precision", "tf32"], "tf32 cannot be computed here: it takes a GPU, and there is"),
        (["--precision", "float16", "--engine", "ncnn"], "ncnn computes in float32 alone"),
        (["--devices", "x"], "no devices 'x': give all, or numbers of cards such as 0,1"),
        (["--devices", "0", "--engine", "ncnn"], "--devices is for --engine tensorflow"),
        (["--devices", "0"], "--devices: there is no GPU here"),
    ],
)
def test_what_this_machine_has_not_is_one_sentence(
    narrow_file: Path, samples: list[Path], tmp_path: Path, options: list[str], sentence: str
) -> None:
    with pytest.raises(UsageError, match=sentence):
        run("extract", samples[0], "-o", tmp_path / "f.npy", "-w", narrow_file, *options)
    assert list(tmp_path.iterdir()) == []


def test_the_precision_is_told_kept_and_computed_again(
    monkeypatch: pytest.MonkeyPatch, narrow_file: Path, samples: list[Path], tmp_path: Path
) -> None:
    monkeypatch.setattr(precision, "_processor_has_bfloat16", lambda: True)
    output = tmp_path / "f.npy"
    command = ["extract", samples[0], "-o", output, "-w", narrow_file, "--precision", "bfloat16"]
    run(*command)
    about = json.loads((tmp_path / "f.json").read_text())
    assert (about["precision"], about["engine"], about["dtype"]) == (
        "bfloat16", "tensorflow", "float32",
    )  # fmt: skip
    assert about["runs"][-1]["devices"] == ["CPU"]
    assert np.load(output).dtype == np.float32
    assert "nothing to compute" in run(*command).stderr
    assert b"1 rows" in run("verify", output, "--recompute", "1", "-w", narrow_file).stdout
    changed = run(*command[:-1], "float32", "--engine", "tensorflow").stderr
    assert "all is computed anew: precision float32, not bfloat16" in changed
