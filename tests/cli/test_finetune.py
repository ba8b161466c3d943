"""`vggfeat finetune` as a user meets it."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from tests import networks
from tests.cli.command import lines, vggfeat
from tests.finetune import made
from vggfeat.cli.finetune import finetune
from vggfeat.weights.formats import canonical


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = made.pictures(tmp_path_factory.mktemp("made"), 5, classes=("a", "b"))
    (folder / "b/broken.jpg").write_bytes(b"broken")
    (folder / "b/notes.txt").touch()
    return folder


def test_it_says_what_it_does_and_then_that_it_is_done(classes: Path, tmp_path: Path) -> None:
    weights = networks.weights(networks.without("fc6", "fc7", "fc8"))
    canonical.write(weights, tmp_path / "w.safetensors")
    arguments = [
        *(str(classes), "-o", str(tmp_path / "f.keras"), "-w", str(tmp_path / "w.safetensors")),
        *("--train-from", "head", "--epochs", "1"),
    ]

    def run() -> list[str]:
        done = CliRunner().invoke(finetune, arguments, standalone_mode=False)
        assert (done.exception, done.return_value, done.stdout) == (None, 3, "")
        return done.stderr.replace(f"{tmp_path}/", "").replace(f"{classes}/", "").splitlines()

    skipped, failed, start, epoch, *told = run()
    assert skipped == "vggfeat: skipped in folders: 1 not an image"
    assert failed.startswith("vggfeat: b/broken.jpg: not an image")
    assert start.startswith("vggfeat: start, on frozen features: loss ")
    assert epoch.startswith("vggfeat: epoch 1 of 1: loss ")
    assert told[0].startswith("vggfeat: f.keras: 2 classes, of 8 pictures; accuracy on 2 others ")
    assert told[1] == "vggfeat: 1 of the pictures cannot be read: see f.unread.csv"
    there = "vggfeat: f.keras: is made of these pictures with these settings; nothing to do"
    assert run() == [there, *told]


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["-o", "{0}/f.h5"], 2, "f.h5: the name of a Keras file must end in .keras"),
        (["-o", "{0}/none/f.keras"], 1, "f.keras: cannot be written: there is no folder "),
        (["-o", "{0}/there.keras"], 1, "there.keras: vggfeat did not make it, so it is not"),
        (["-o", "{0}/mine.keras"], 1, "mine.head: vggfeat did not make it, so it is not replaced"),
        (["-o", "{0}/f.keras", "--train-from", "fc9"], 2, "no layer 'fc9'; there are conv1_1"),
        (["-o", "{0}/f.keras", "--val", "2"], 2, "--val 2: neither a fraction between 0 and 1"),
        (["-o", "{0}/f.keras", "--layer", "fc6"], 2, "no layer 'fc6' for classes to stand on"),
        (["-o", "{0}/f.keras", "--epochs", "0"], 2, "epochs 0: it must be at least 1"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    classes: Path, tmp_path: Path, narrow_file: Path, args: list[str], code: int, said: str
) -> None:
    for name in ("there.keras", "mine.head"):
        (tmp_path / name).write_bytes(b"mine")
    placed = [arg.format(tmp_path) for arg in args]
    done = vggfeat("finetune", classes, *placed, "-w", narrow_file, code=code)
    (line,) = lines(done.stderr)
    assert line.startswith("vggfeat: ")
    assert said in line
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "there.keras": b"mine",
        "mine.head": b"mine",
    }


def test_help_is_a_screen() -> None:
    text = lines(vggfeat("finetune", "--help").stdout)
    assert len(text) < 60
    assert max(map(len, text)) <= 100
