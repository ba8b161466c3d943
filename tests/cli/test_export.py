"""`vggfeat weights export` as a user runs it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests import networks
from tests.cli.command import lines, vggfeat
from tests.exports.headed import FC7, Case, headed
from vggfeat import exports
from vggfeat.cli import vggfeat as command
from vggfeat.errors import UsageError
from vggfeat.head.file import write
from vggfeat.weights import formats
from vggfeat.weights.canonical import Weights
from vggfeat.weights.formats import canonical


def test_a_file_is_written_by_its_name_and_says_how_to_feed_it(
    narrow_file: Path, tmp_path: Path
) -> None:
    done = vggfeat("weights", "export", tmp_path / "vgg16.pth", "-w", narrow_file)
    assert done.stdout == b""
    assert lines(done.stderr) == [
        f"vggfeat: {tmp_path / 'vgg16.pth'}: a state dict of torchvision's VGG16; prepare pixels "
        "with Normalize(mean=[0.4850196, 0.4579569, 0.4076039], std=[1 / 255] * 3)"
    ]
    assert (tmp_path / "vgg16.pth").stat().st_size > narrow_file.stat().st_size * 0.99


def test_extract_gives_the_same_vectors_with_what_was_exported(
    narrow_in_store: str, tmp_path: Path, samples: list[Path]
) -> None:
    vggfeat("weights", "export", tmp_path / "vgg16.h5", "-w", narrow_in_store, "-q")
    given = vggfeat("extract", samples[0], "-o", "-", "-q", "-w", narrow_in_store).stdout
    taken = vggfeat("extract", samples[0], "-o", "-", "-q", "-w", tmp_path / "vgg16.h5").stdout
    assert taken == given
    assert len(given) > 1000


def test_format_goes_before_the_name(narrow_file: Path, tmp_path: Path) -> None:
    vggfeat("weights", "export", "-f", "npz", tmp_path / "vgg16.bin", "-w", narrow_file)
    with np.load(tmp_path / "vgg16.bin") as loaded:
        assert loaded["fc7_W"].shape == (256, 256)


def test_one_form_is_converted_to_another(narrow_file: Path, tmp_path: Path) -> None:
    vggfeat("weights", "export", tmp_path / "a.h5", "-w", narrow_file)
    vggfeat("weights", "export", tmp_path / "b.pth", "-w", tmp_path / "a.h5")
    found = formats.read(tmp_path / "b.pth")
    assert found.fingerprint == canonical.read(narrow_file).fingerprint


def test_without_weights_those_of_the_store_are_taken(narrow_in_store: str, tmp_path: Path) -> None:
    vggfeat("weights", "export", tmp_path / "vgg16.npz")
    assert (tmp_path / "vgg16.npz").is_file()


def test_quiet_says_nothing(narrow_file: Path, tmp_path: Path) -> None:
    done = vggfeat("weights", "export", tmp_path / "vgg16.onnx", "-w", narrow_file, "-q")
    assert done.stderr == b""


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("a.h5", "BGR pixels minus the mean B, G, R = 123, 117, 104"),
        ("a.npz", "RGB pixels minus the mean 104, 117, 123"),
        ("a.pth", "Normalize(mean=[0.4078431, 0.4588235, 0.4823529], std=[1 / 255] * 3)"),
    ],
)
def test_an_unusual_mean_is_said(tmp_path: Path, file: str, said: str) -> None:
    weights = networks.weights()
    tensors = {**weights.tensors, "mean": np.array([104, 117, 123], np.float32)}
    canonical.write(Weights(tensors, weights.origin), tmp_path / "odd.safetensors")
    done = vggfeat("weights", "export", tmp_path / file, "-w", tmp_path / "odd.safetensors")
    assert said in lines(done.stderr)[-1]


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["{folder}/vgg16.bin"], 2, "vgg16.bin: its name tells no form: add --format slim|keras"),
        (["-f", "keras", "{folder}/a.keras"], 2, "ends in .h5, and not in .weights.h5 or .keras"),
        (
            ["-f", "keras-model", "{folder}/a.h5"],
            2,
            "a model from a file whose name ends in .keras",
        ),
        (["--head", "none.head", "{folder}/a.npz"], 1, "none.head: cannot be read: No such file"),
        (["{folder}/none/a.npz"], 1, "none/a.npz: cannot be written: No such file or directory"),
        (["-f", "caffe", "{folder}/a.npz"], 2, "'caffe' is not one of 'slim', 'keras', 'keras-mo"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    narrow_file: Path, tmp_path: Path, args: list[str], code: int, said: str
) -> None:
    args = [arg.format(folder=tmp_path) for arg in args]
    done = vggfeat("weights", "export", *args, "-w", narrow_file, code=code)
    assert said in lines(done.stderr)[-1]
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_is_found_before_weights_are_fetched(tmp_path: Path) -> None:
    done = vggfeat("weights", "export", tmp_path / "none" / "a.npz", "-w", "none", code=1)
    assert "No such file or directory" in lines(done.stderr)[-1]


@pytest.fixture
def flowers(tmp_path: Path) -> Path:
    """A head over fc7 of the narrow network."""
    write(headed(FC7).head, tmp_path / "flowers.head")
    return tmp_path / "flowers.head"


def test_with_a_head_the_file_ends_in_it(narrow_file: Path, tmp_path: Path, flowers: Path) -> None:
    file = tmp_path / "flowers.onnx"
    done = vggfeat("weights", "export", file, "-w", narrow_file, "--head", flowers)
    assert done.stdout == b""
    assert lines(done.stderr) == [
        f"vggfeat: {file}: an ONNX model; input images uint8 [n,224,224,3] RGB, outputs logits, "
        f"probabilities; 4 classes, named in {tmp_path / 'flowers.classes.txt'}"
    ]
    shown = lines(vggfeat("weights", "show", file).stdout)
    assert any("fc6, fc7, fc8 (4 classes)" in line for line in shown)


def test_a_head_that_a_form_cannot_hold_is_refused_before_weights_are_fetched(
    tmp_path: Path,
) -> None:
    write(headed(Case("pool5:avg")).head, tmp_path / "pooled.head")
    args = [tmp_path / "a.ckpt", "--head", tmp_path / "pooled.head", "-w", "none"]
    done = vggfeat("weights", "export", *args, code=2)
    (line,) = lines(done.stderr)
    assert line.endswith(
        "this one takes pool5:avg: export a .keras or .onnx file, or use vggfeat freeze"
    )


def test_freeze_with_a_head_names_its_outputs_and_its_classes(
    narrow_file: Path, tmp_path: Path, flowers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "flowers.pb"
    args = ["-o", file, "-w", narrow_file, "--head", flowers, "--layer", "pool5:avg"]
    command.main(["freeze", *map(str, args)], standalone_mode=False)
    assert capsys.readouterr().err.splitlines() == [
        f"vggfeat: {file}: input images:0, outputs pool5_avg:0, logits:0, probabilities:0; "
        f"4 classes, named in {tmp_path / 'flowers.classes.txt'}"
    ]


def test_help_lists_every_form() -> None:
    text = vggfeat("weights", "export", "--help").stdout.decode()
    for name, form in exports.FORMS.items():
        assert f"  {name:<13}{form.suffixes[0]:<14}{form.about}\n" in text


def test_what_it_is_made_of_is_not_replaced(narrow_file: Path, flowers: Path) -> None:
    options = ["-w", str(narrow_file), "--head", str(flowers)]
    for file in (flowers, narrow_file):
        kept = file.read_bytes()
        for args in (["weights", "export", "-f", "onnx", str(file)], ["freeze", "-o", str(file)]):
            with pytest.raises(UsageError, match="it would be replaced while it is read"):
                command.main([*args, *options], standalone_mode=False)
        assert file.read_bytes() == kept
