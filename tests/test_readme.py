"""The README runs as it is written."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests import networks
from tests.cli.inside import run
from tests.conftest import SAMPLES
from vggfeat.weights import formats, store

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


# Has a test of its own, with files to read: test_readers.py.
FOR_OTHERS = re.compile(r"^## Read it with .*?(?=^## )", re.M | re.S)


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", FOR_OTHERS.sub("", README), re.M | re.S)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, narrow_file: Path) -> Path:
    """Where its reader would be: pictures in ./imgs, weights at hand, the command on the path."""
    (tmp_path / "imgs").mkdir()
    for name, sample in (("a.jpg", "china.jpg"), ("b.jpg", "flower.jpg")):
        shutil.copy(SAMPLES / sample, tmp_path / "imgs" / name)
    shutil.copy(narrow_file, tmp_path / "vgg16-397923af.pth")
    (tmp_path / "sample_images").symlink_to(SAMPLES)
    for archive in ("photos", "more", "shards/00000", "shards/00001"):
        kind = "zip" if archive == "more" else "tar"
        shutil.make_archive(str(tmp_path / archive), kind, tmp_path / "imgs")
    store.save(networks.weights(), "keras")
    (tmp_path / "vggfeat").write_text(f'#!/bin/sh\nexec {sys.executable} -m vggfeat "$@"\n')
    (tmp_path / "vggfeat").chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("VGGFEAT_WEIGHTS", str(narrow_file))
    return tmp_path


def cut_out_scraps() -> None:
    (example,) = (block for block in blocks("python") if "scraps/" in block)
    exec(compile(example, "README.md", "exec"), {})


def test_the_commands_run_and_say_what_is_shown() -> None:
    cut_out_scraps()
    for block in blocks("console"):
        for line in block.splitlines():
            if line.startswith("$ make"):
                assert f"\n{line.removeprefix('$ make ')}:" in (ROOT / "Makefile").read_text()
            elif line.startswith("$ "):
                told = run_as_written(line[2:])
            else:
                assert said(line) == said(told.strip())


def run_as_written(command: str) -> str:
    """What it says: in a shell if it needs one, else within this process, which is quicker."""
    if re.search(r"[|<>]", command):
        done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stderr
    name, *args = shlex.split(command)
    assert name == "vggfeat"
    return run(*args).stderr


def said(line: str) -> str:
    """A message without the numbers that differ from run to run."""
    return re.sub(r"[\d,.]+( min [\d]+)?( s\b)?", "N", line)


def test_the_python_runs(narrow_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vggfeat.cli import vggfeat

    vggfeat.main(["freeze", "-o", "vgg16_fc7.pb"], standalone_mode=False)
    cut_out_scraps()
    for command in ("head fit ./scraps -o scraps.head -w keras --layer pool5:avg",
                    "freeze -o scraps.pb -w keras --head scraps.head"):  # fmt: skip
        assert f"$ vggfeat {command}\n" in README
        vggfeat.main(command.split(), standalone_mode=False)
    names: dict[str, object] = {}
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), names)
    assert np.shape(names["fc7"]) == (2, 256)
    np.testing.assert_allclose(np.sum(names["probabilities"], axis=1), 1, rtol=1e-5)
    assert list(names["classes"]) == [b"brick", b"coffee", b"coins", b"flower", b"rocket"]


@pytest.mark.skipif("VGGFEAT_REAL_NOTOP" not in os.environ, reason="asks the real convolutions")
def test_the_accuracy_that_is_shown_is_that_of_the_commands(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from vggfeat.cli import vggfeat

    cut_out_scraps()
    real = os.environ["VGGFEAT_REAL_NOTOP"]
    command = "head fit ./scraps -o scraps.head -q --layer pool5:avg -w"
    vggfeat.main([*command.split(), real], standalone_mode=False)
    (shown,) = (block for block in blocks("text") if block.startswith("accuracy"))
    told = Path("scraps.report.txt").read_text()
    told = told[told.index("accuracy ") :].partition("\n\nmost frequent")[0] + "\n"
    assert said(told) == said(shown)
    # Other processors round elsewhere.
    np.testing.assert_allclose(numbers_in(told), numbers_in(shown), atol=0.01)


def numbers_in(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"\d+(?:\.\d+)?", text)]


def test_the_table_of_forms_is_that_of_the_code() -> None:
    assert f"\n\n{formats.table()}\n\n" in README


def test_what_show_says_has_the_lines_that_are_shown() -> None:
    (shown,) = (block for block in blocks("text") if block.startswith("what"))
    done = subprocess.run(
        ["vggfeat", "weights", "show", "keras"], capture_output=True, text=True, check=True
    )
    labels = [line[:13] for line in shown.splitlines() if line != "..."]
    assert [line[:13] for line in done.stdout.splitlines()[: len(labels)]] == labels


def test_the_exit_codes_are_those_of_the_help() -> None:
    from vggfeat.cli import EPILOG

    told = re.findall(r"^\| (\d+)[,\d ]* \|", README, re.M)
    assert told == re.findall(r"^  (\d+)  ", EPILOG, re.M)


def test_every_file_it_names_is_there() -> None:
    for name in ("sample_images/LICENSES.md", "LICENSE", "CHANGELOG.md", "Makefile"):
        assert (ROOT / name).is_file()
