"""`vggfeat head` as a user runs it, from pictures to predictions."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import numpy as np
import pytest
from PIL import Image
from threadpoolctl import threadpool_limits

from tests.cli.command import COMMAND, vggfeat
from vggfeat import VggfeatError, extract
from vggfeat.cli import vggfeat as command
from vggfeat.head import file

Run = Callable[..., tuple[int, str, list[str]]]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, narrow_file: Path) -> Path:
    """Pictures of two classes, their features, and heads."""
    made = tmp_path_factory.mktemp("flowers")
    generator = np.random.default_rng(0)
    for kind, channel in (("roses", 0), ("tulips", 1)):
        (made / "imgs" / kind).mkdir(parents=True)
        for number in range(8):
            pixels = generator.integers(0, 90, (6, 6, 3), np.uint8)
            pixels[..., channel] += 150
            picture = Image.fromarray(pixels).resize((224, 224), Image.Resampling.BILINEAR)
            picture.save(made / "imgs" / kind / f"{number}.png")
    back = Path.cwd()
    os.chdir(made)
    try:
        extract("imgs", "feats.npy", weights=narrow_file)
        extract("imgs", "pool5.npy", weights=narrow_file, layer="pool5:avg", resize=300)
        options = ["--labels-from-folders", "-q", "-o", "flowers.head"]
        command.main(["head", "fit", "feats.npy", *options], standalone_mode=False)
    finally:
        os.chdir(back)
    return made


@pytest.fixture
def run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> Run:
    """The command within this process: its code, stdout and the lines of stderr."""
    monkeypatch.chdir(folder)

    def run(*args: str | Path) -> tuple[int, str, list[str]]:
        code = command.main(["head", *map(str, args)], standalone_mode=False)
        sys.stdout.flush()
        out, err = capfdbinary.readouterr()
        return code or 0, out.decode(), err.decode().splitlines()

    return run


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_fit_tells_how_well_it_does_and_writes_three_files(run: Run, folder: Path) -> None:
    before = (folder / "flowers.head").read_bytes()
    code, out, told = run("fit", "feats.npy", "--labels-from-folders", "-o", "flowers.head")
    assert code == 0
    assert told == [
        "vggfeat: flowers.head: 2 classes, fitted on 16 pictures; see flowers.report.txt and "
        "flowers.confusion.png"
    ]
    report = (folder / "flowers.report.txt").read_text()
    assert out.splitlines()[0].startswith("accuracy ")
    assert "in 5-fold cross-validation" not in out
    assert out.splitlines()[1] == "  to compare       0.500  by always telling roses"
    assert out.strip() in report
    assert "features           fc7, of 224 pixels out of 256" in report
    with Image.open(folder / "flowers.confusion.png") as picture:
        assert picture.format == "PNG"
        assert len(picture.convert("RGB").getcolors(1 << 20)) > 50
    assert (folder / "flowers.head").read_bytes() == before


def test_pictures_and_their_features_give_the_same(
    run: Run, folder: Path, narrow_file: Path
) -> None:
    assert run("predict", "flowers.head", "feats.npy", "-o", "a.csv") == (0, "", [])
    code, out, told = run(
        "predict", "flowers.head", "imgs", "-w", narrow_file, "--top", "9", "--probabilities"
    )
    assert (code, told) == (0, [])
    of_features, of_pictures = table((folder / "a.csv").read_text()), table(out)
    assert list(of_features[0]) == ["path", "label", "probability"]
    assert list(of_pictures[0]) == [
        "path", "label", "probability", "label2", "probability2", "p_roses", "p_tulips"
    ]  # fmt: skip
    assert [row["path"] for row in of_features] == [
        f"imgs/{kind}/{number}.png" for kind in ("roses", "tulips") for number in range(8)
    ]
    for one, other in zip(of_features, of_pictures, strict=True):
        assert (one["path"], one["label"]) == (other["path"], other["label"])
        assert float(one["probability"]) == pytest.approx(float(other["probability"]), abs=1e-5)
        assert other["probability"] == other[f"p_{other['label']}"]
        assert float(other["p_roses"]) + float(other["p_tulips"]) == pytest.approx(1)
    assert sum(row["label"] in row["path"] for row in of_features) >= 14


@pytest.mark.parametrize("form", ["npz", "parquet"])
def test_features_may_be_of_any_form(run: Run, folder: Path, narrow_file: Path, form: str) -> None:
    extract("imgs", f"{form}.{form}", weights=narrow_file)
    assert run("predict", "flowers.head", "feats.npy", "-o", "a.csv")[0] == 0
    assert run("predict", "flowers.head", f"{form}.{form}", "-o", "b.csv") == (0, "", [])
    assert (folder / "a.csv").read_bytes() == (folder / "b.csv").read_bytes()


def test_the_weights_are_found_in_the_store(run: Run, narrow_in_store: str) -> None:
    assert run("predict", "flowers.head", "imgs/roses/0.png")[0] == 0


def test_a_picture_that_fails_stops_nothing(
    folder: Path, narrow_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    listed = b"imgs/roses/1.png\0flowers.report.txt\0imgs/tulips/2.png\0"
    args = ("head", "predict", "flowers.head", "-0", "-", "-w", narrow_file)
    done = vggfeat(*args, code=3, input=listed)
    paths = [row["path"] for row in table(done.stdout.decode())]
    assert paths == ["imgs/roses/1.png", "imgs/tulips/2.png"]
    assert b"flowers.report.txt: " in done.stderr
    assert done.stderr.endswith(b"vggfeat: 1 pictures failed\n")


def test_who_reads_no_more_ends_it_quietly(folder: Path) -> None:
    ran = subprocess.Popen(
        [*COMMAND, "head", "predict", "flowers.head", "feats.npy"],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert ran.stdout is not None
    ran.stdout.close()
    ran.stdout = None
    assert ran.communicate(timeout=120) == (None, b"")
    assert ran.returncode == -13


def test_evaluate_counts_what_predict_says(run: Run, folder: Path) -> None:
    lines = [f"{kind}/{n}.png,{kind}" for kind in ("roses", "tulips") for n in range(6)]
    lines += ["roses/6.png,lily", "none.png,roses"]
    Path("labels.csv").write_text("\n".join(["path,label", *lines]))
    code, out, told = run("evaluate", "flowers.head", "feats.npy", "-l", "labels.csv", "--json")
    found = json.loads(out)
    assert code == 0
    assert told == [
        "vggfeat: 1 labels are of pictures that have no row in feats.npy",
        "vggfeat: 3 rows of feats.npy have no label and are left out",
        "vggfeat: 1 pictures are left out, of labels that are no class of the head (lily)",
        "vggfeat: 12 of the 12 pictures are among those that the head was fitted on: the figures "
        "flatter it (head fit tells what it does on others)",
    ]
    predicted = table(run("predict", "flowers.head", "feats.npy")[1])
    known = [row for row in predicted if int(Path(row["path"]).stem) < 6]
    right = sum(row["label"] in row["path"] for row in known)
    assert found["accuracy"] == pytest.approx(right / 12)
    assert (found["pictures"], found["seen"], found["left_out"]) == (12, 12, {"lily": 1})
    assert np.trace(found["confusion"]) == right
    out = run("evaluate", "flowers.head", "feats.npy", "-l", "labels.csv")[1]
    assert f"accuracy           {right / 12:.3f}\n" in out
    assert "  roses\n" in out


def test_only_pictures_that_were_seen_are_told(run: Run, folder: Path) -> None:
    lines = [f"imgs/{kind}/{n}.png,{kind}\n" for kind in ("roses", "tulips") for n in range(6)]
    Path("some.csv").write_text("".join(lines))
    run("fit", "feats.npy", "-l", "some.csv", "-o", "some.head", "--method", "svm", "--balanced")
    assert file.read("some.head").about["pictures"] == 12
    told = run("evaluate", "some.head", "feats.npy", "--labels-from-folders")[2]
    assert told[-1].startswith("vggfeat: 12 of the 16 ")


def test_a_picture_under_two_labels_is_told(
    run: Run, folder: Path, tmp_path: Path, narrow_file: Path
) -> None:
    for number in range(3):
        for kind in ("roses", "tulips"):
            Path(tmp_path, kind).mkdir(exist_ok=True)
            source = folder / "imgs" / ("roses" if number == 0 else kind) / f"{number}.png"
            Path(tmp_path, kind, f"{number}.png").write_bytes(source.read_bytes())
    extract(tmp_path, tmp_path / "f.npy", weights=narrow_file)
    told = run("fit", tmp_path / "f.npy", "--labels-from-folders", "-o", tmp_path / "a.head")[2]
    which = f"{tmp_path}/roses/0.png as roses and tulips"
    assert told[0] == f"vggfeat: 1 pictures are there under several labels, such as {which}"


@pytest.mark.parametrize(
    ("args", "why"),
    [
        ("predict flowers.head pool5.npy", "pool5.npy: not what the head was fitted on: layer "
         "pool5:avg, not fc7"),
        ("evaluate flowers.head pool5.npy --labels-from-folders", "pool5.npy: not what the head"),
        ("predict flowers.head imgs", r"the head: made by the weights .*made for a test \(.{8}\), "
         "which are not in the store: give them by --weights"),
        ("predict flowers.head none.jpg", "none.jpg: no such file or folder"),
        ("predict feats.npy imgs", "feats.npy: no head: make one"),
        ("predict flowers.head feats.npy imgs", "features are taken one file at a time"),
        ("predict flowers.head feats.npy -o none/a.csv", "none/a.csv: cannot be written: No such"),
        ("fit feats.npy --labels-from-folders -o feats.npy", "feats.npy: is no head, so it is not"),
        ("fit feats.npy --labels-from-folders -o none/a.head", "none/a.head: cannot be written"),
        ("fit feats.npy -l none.csv -o a.head", "none.csv: cannot be read: No such file"),
        ("fit none.npy --labels-from-folders -o a.head", "none.npy: no such file"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_told_in_a_sentence(run: Run, folder: Path, args: str, why: str) -> None:
    before = sorted(folder.iterdir())
    with pytest.raises(VggfeatError, match=f"^{why}[^\n]*$"):
        run(*args.split())
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize(
    ("args", "why"),
    [
        ("feats.npy --labels-from-folders --layer fc6", "-w and --layer are for a FOLDER"),
        ("feats.npy --labels-from-folders -w keras", "-w and --layer are for a FOLDER"),
        ("feats.npy", "give one of --labels CSV and --labels-from-folders"),
        ("imgs --labels-from-folders -l labels.csv", "give one of --labels CSV and"),
        ("none", "none: no such file or folder"),
    ],
)
def test_options_that_would_do_nothing_are_refused(
    run: Run, folder: Path, args: str, why: str
) -> None:
    before = sorted(folder.iterdir())
    with pytest.raises(click.UsageError, match=f"^{why}"):
        run("fit", *args.split(), "-o", "a.head")
    assert sorted(folder.iterdir()) == before


def test_a_folder_of_pictures_gives_what_its_features_give(
    run: Run, folder: Path, tmp_path: Path, narrow_file: Path
) -> None:
    output = tmp_path / "a.head"
    code, out, told = run("fit", "imgs", "-w", narrow_file, "-o", output)
    assert (code, out) == (0, run("fit", "feats.npy", "--labels-from-folders", "-o", "b.head")[1])
    assert told[-2] == f"vggfeat: {tmp_path}/a.features.npy: fc7 of 16 pictures, 16 computed"
    assert output.read_bytes() == Path("b.head").read_bytes()


def test_a_folder_with_a_broken_picture_gives_a_head_and_code_3(
    run: Run, folder: Path, tmp_path: Path, narrow_file: Path
) -> None:
    shutil.copytree(folder / "imgs", tmp_path / "imgs")
    (tmp_path / "imgs" / "roses" / "9.png").write_bytes(b"no picture")
    args = ("fit", tmp_path / "imgs", "-w", narrow_file, "--layer", "pool5:avg")
    code, _, told = run(*args, "-o", tmp_path / "a.head")
    assert code == 3
    assert any(line.startswith(f"vggfeat: {tmp_path}/imgs/roses/9.png: ") for line in told)
    made = file.read(tmp_path / "a.head")
    assert (made.about["pictures"], made.recipe.layer) == (16, "pool5:avg")


def test_weights_of_another_fingerprint_are_refused(run: Run, tmp_path: Path) -> None:
    from tests import networks
    from vggfeat.weights.formats import canonical

    canonical.write(networks.weights(seed=1), tmp_path / "other.safetensors")
    with pytest.raises(VggfeatError, match=r"^the head: made by the weights .*, not by "):
        run("predict", "flowers.head", "imgs", "-w", tmp_path / "other.safetensors")


def test_a_missing_library_is_named_before_anything_is_read(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("sklearn", "matplotlib"):
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(VggfeatError, match=r"pip install 'vggfeat\[head\]'$"):
            run("fit", "none.npy", "--labels-from-folders", "-o", "a.head")
    assert run("predict", "flowers.head", "feats.npy")[0] == 0
    assert run("evaluate", "flowers.head", "feats.npy", "--labels-from-folders")[0] == 0
