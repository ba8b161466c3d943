"""`vggfeat extract` as a user, a pipeline and cron run it."""

from __future__ import annotations

import csv
import fcntl
import io
import json
import os
import pty
import re
import shutil
import struct
import subprocess
import termios
from pathlib import Path

import numpy as np
import pytest

from tests import networks
from tests.cli.command import COMMAND, bare_environment, lines, vggfeat
from vggfeat import Extractor, load_features
from vggfeat.weights.formats import canonical


@pytest.fixture
def images(tmp_path: Path, samples: list[Path]) -> Path:
    """A few photographs and a folder below."""
    folder = tmp_path / "imgs"
    (folder / "more").mkdir(parents=True)
    for path in samples:
        if path.name in ("china.jpg", "rocket_cmyk.jpg"):
            shutil.copy(path, folder)
        if path.name == "flower.jpg":
            shutil.copy(path, folder / "more" / "flower10.jpg")
            shutil.copy(path, folder / "more" / "flower2.jpg")
    return folder


NAMES = ["china.jpg", "more/flower2.jpg", "more/flower10.jpg", "rocket_cmyk.jpg"]


@pytest.fixture(autouse=True)
def settled(tmp_path: Path, narrow_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VGGFEAT_WEIGHTS", str(narrow_file))


def test_a_folder_becomes_vectors_an_index_and_a_description(
    images: Path, narrow_file: Path
) -> None:
    done = vggfeat("extract", "imgs", "-o", "feats.npy")
    assert done.stdout == b""
    (line,) = lines(done.stderr)
    assert line.startswith("vggfeat: feats.npy: fc7 of 4 images, float32 [4,256], in ")

    expected = Extractor(narrow_file)([images / name for name in NAMES])
    np.testing.assert_array_equal(np.load("feats.npy"), expected)
    vectors, paths = load_features("feats.npy")
    assert paths == [f"imgs/{name}" for name in NAMES]
    np.testing.assert_array_equal(vectors, expected)

    with open("feats.index.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["row"] for row in rows] == ["0", "1", "2", "3"]
    stat = (images / NAMES[1]).stat()
    assert (rows[1]["size"], rows[1]["mtime_ns"]) == (str(stat.st_size), str(stat.st_mtime_ns))

    about = json.loads(Path("feats.json").read_bytes())
    assert (about["rows"], about["failed"]) == (4, 0)
    assert about["layers"][0]["layer"] == "fc7"
    assert about["weights"]["source"] == "made for a test"
    assert about["preprocessing"]["resize"] == 256
    assert sorted(os.listdir()) == ["feats.index.csv", "feats.json", "feats.npy", "imgs"]


def test_convolutions_are_enough_for_pool5(images: Path, tmp_path: Path) -> None:
    weights = networks.weights(networks.without("fc6", "fc7", "fc8"))
    canonical.write(weights, tmp_path / "convolutions.safetensors")
    asked = vggfeat("extract", "imgs", "-o", "a.npy", "-w", "convolutions.safetensors", code=1)
    assert b"ask for --layer pool5" in asked.stderr
    vggfeat("extract", "imgs", "-o", "a.npy", "-w", "convolutions.safetensors", "--layer", "pool5")
    maps = np.load("a.npy")
    expected = Extractor(weights, "pool5")([images / name for name in NAMES])
    np.testing.assert_array_equal(maps, expected)
    assert maps.shape == (4, 7, 7, 32)


def test_csv_holds_the_same_numbers_to_the_last_bit(images: Path) -> None:
    vggfeat("extract", images, "-o", "a.npy")
    vggfeat("extract", images, "-o", "b.csv")
    with open("b.csv", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["path", *(f"f{number}" for number in range(256))]
    assert [row[0] for row in rows] == [str(images / name) for name in NAMES]
    numbers = np.array([row[1:] for row in rows], np.float32)
    np.testing.assert_array_equal(numbers, np.load("a.npy"))
    assert Path("b.index.csv").exists()


def test_a_second_run_replaces_what_the_first_one_wrote(images: Path) -> None:
    vggfeat("extract", images, "-o", "feats.npy")
    (images / NAMES[0]).unlink()
    (images / "bad.jpg").write_bytes(b"junk")
    vggfeat("extract", images, "-o", "feats.npy", code=3)
    assert len(load_features("feats.npy").paths) == 3
    assert Path("feats.failed.csv").exists()
    (images / "bad.jpg").unlink()
    vggfeat("extract", images, "-o", "feats.npy")
    assert not Path("feats.failed.csv").exists()


def test_bad_images_stop_nothing_and_are_listed(images: Path) -> None:
    (images / "a bad, one.jpg").write_bytes(b"junk")
    (images / "empty.png").touch()
    done = vggfeat("extract", "imgs", "-o", "feats.npy", code=3)
    assert lines(done.stderr)[0].startswith("vggfeat: imgs/a bad, one.jpg: not an image")
    assert lines(done.stderr)[-1] == "vggfeat: 2 images failed: see feats.failed.csv"
    with open("feats.failed.csv", newline="") as file:
        failed = {row["path"]: row["reason"] for row in csv.DictReader(file)}
    assert set(failed) == {"imgs/a bad, one.jpg", "imgs/empty.png"}
    assert failed["imgs/empty.png"] == "the file is empty"
    assert load_features("feats.npy").paths == [f"imgs/{name}" for name in NAMES]


def test_only_the_first_of_many_failures_are_shown(images: Path) -> None:
    for number in range(30):
        (images / f"bad{number}.jpg").touch()
    done = vggfeat("extract", images, "-o", "feats.npy", code=3)
    assert len(lines(done.stderr)) == 13
    assert len(Path("feats.failed.csv").read_text().splitlines()) == 31


def test_strict_ends_at_the_first_bad_image_with_nothing_written(images: Path) -> None:
    (images / "empty.png").touch()
    done = vggfeat("extract", images, "-o", "feats.npy", "--strict", code=1)
    assert lines(done.stderr) == [f"vggfeat: {images}/empty.png: the file is empty (--strict)"]
    assert os.listdir() == ["imgs"]


def test_paths_come_from_stdin_and_rows_go_to_stdout(images: Path) -> None:
    listed = b"imgs/more/flower10.jpg\nimgs/china.jpg\n"
    done = vggfeat("extract", "-", "-o", "-", input=listed)
    assert [line.split(",")[0] for line in lines(done.stdout)] == [
        "path",
        "imgs/more/flower10.jpg",
        "imgs/china.jpg",
    ]
    assert os.listdir() == ["imgs"]


def test_nul_separated_paths_may_hold_anything(images: Path) -> None:
    name = b'imgs/new\nline, "quoted" \xff.jpg'
    shutil.copy(images / "china.jpg", os.fsdecode(name))
    done = vggfeat("extract", "-0", "-", "-o", "feats.csv", input=name + b"\0imgs/china.jpg\0")
    assert done.stderr.startswith(b"vggfeat: feats.csv: fc7 of 2 images")
    with open("feats.csv", encoding="utf-8", errors="surrogateescape", newline="") as file:
        rows = list(csv.reader(file))
    assert os.fsencode(rows[1][0]) == name
    assert rows[1][1:] == rows[2][1:]


def test_npy_on_stdout_is_an_npy_file(images: Path) -> None:
    done = vggfeat("extract", images, "-o", "-", "--format", "npy")
    vggfeat("extract", images, "-o", "feats.npy")
    np.testing.assert_array_equal(np.load(io.BytesIO(done.stdout)), np.load("feats.npy"))


def test_a_listed_path_that_is_gone_fails_alone(images: Path) -> None:
    done = vggfeat("extract", "-", "-o", "f.npy", input=b"gone.jpg\nimgs/china.jpg\n", code=3)
    assert lines(done.stderr)[0] == "vggfeat: gone.jpg: No such file or directory"
    assert load_features("f.npy").paths == ["imgs/china.jpg"]


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["none", "-o", "f.npy"], 1, "none: no such file or folder"),
        (["empty", "-o", "f.npy"], 1, "no images in empty (skipped: 1 hidden, 2 not an image)"),
        (["-", "-o", "f.npy"], 1, "no images in -"),
        (["imgs", "-o", "f.dat"], 2, "f.dat: the name does not say which format to write"),
        (["imgs", "-o", "none/f.npy"], 1, "there is no folder"),
        (["imgs", "-o", "imgs", "--format", "npy"], 1, "imgs: is there and is not a file"),
        (["imgs", "-o", "f.npy", "-w", "none"], 1, "none: no such file, and no such name"),
        (["imgs", "-o", "f.npy", "-w", "imgs/china.jpg"], 1, "not a form of weights"),
        (["imgs"], 2, "Missing option '-o'"),
        (["imgs", "-o", "f.npy", "-0"], 2, "-0 is about a list on stdin"),
        (
            ["imgs", "-o", "f.npy", "--resize", "200"],
            2,
            "resize to 200: the crop takes 224, that is the least",
        ),
        (["imgs", "-o", "f.npy", "--batch-size", "0"], 2, "0 is not in the range x>=1"),
    ],
)
def test_what_cannot_run_says_so_and_writes_nothing(
    images: Path, args: list[str], code: int, said: str
) -> None:
    Path("empty").mkdir()
    for name in (".hidden", "notes.txt", "more.md"):
        Path("empty", name).touch()
    done = vggfeat("extract", *args, code=code)
    assert said in done.stderr.decode()
    assert b"Traceback" not in done.stderr
    assert sorted(os.listdir()) == ["empty", "imgs"]


@pytest.mark.parametrize("name", ["f.npy", "f.json", "f.index.csv", "f.failed.csv"])
def test_what_vggfeat_did_not_write_is_never_replaced(images: Path, name: str) -> None:
    Path(name).write_text("{}")
    done = vggfeat("extract", images, "-o", "f.npy", code=1)
    assert f"{name}: was not written by vggfeat" in done.stderr.decode()
    assert Path(name).read_text() == "{}"
    assert sorted(os.listdir()) == sorted(["imgs", name])


def test_two_outputs_do_not_share_their_companions(images: Path) -> None:
    vggfeat("extract", images, "-o", "f.npy")
    done = vggfeat("extract", images, "-o", "f.csv", code=1)
    assert "f.json beside it belongs to f.npy" in done.stderr.decode()


def test_quiet_is_quiet_and_the_exit_code_tells(images: Path) -> None:
    (images / "empty.png").touch()
    done = vggfeat("extract", images, "-o", "f.npy", "-q", code=3)
    assert (done.stdout, done.stderr) == (b"", b"")


def test_cron_gives_no_environment_no_terminal_and_no_home(images: Path, narrow_file: Path) -> None:
    for extra in ({}, {"LC_ALL": "C"}, {"HOME": "/dev/null"}):
        vggfeat("extract", images, "-o", "f.npy", "-w", narrow_file, env=bare_environment(**extra))
    assert len(load_features("f.npy").paths) == 4


def test_names_that_are_no_utf_8_are_the_same_bytes_in_any_locale(
    images: Path, narrow_file: Path
) -> None:
    name = b"imgs/\xe9t\xe9.jpg"
    shutil.copy(images / "china.jpg", os.fsdecode(name))
    for locale in ({}, {"LC_ALL": "C"}, {"LC_ALL": "C.UTF-8"}):
        environment = bare_environment(**locale)
        vggfeat("extract", "imgs", "-o", "f.npy", "-w", narrow_file, env=environment)
        assert b"," + name + b"," in Path("f.index.csv").read_bytes()


def test_warnings_of_libraries_appear_only_with_v(images: Path) -> None:
    """A bad image's reason is enough; what broke inside vggfeat is shown on request."""
    done = vggfeat("extract", images, "-o", "none/f.npy", "-v", code=1)
    assert b"Traceback" in done.stderr
    assert lines(done.stderr)[-1].startswith("vggfeat: ")


def test_a_terminal_gets_a_progress_bar_and_a_clean_last_line(images: Path) -> None:
    for number in range(200):  # long enough for the bar to be drawn more than once
        os.link(images / "china.jpg", images / f"{number}.jpg")
    terminal, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    with subprocess.Popen(
        [*COMMAND, "extract", "imgs", "-o", "f.npy", "--batch-size", "2"], stderr=theirs
    ) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                data = os.read(terminal, 4096)
            except OSError:  # the other end is closed
                break
            if not data:
                break
            shown += data
    os.close(terminal)
    assert process.returncode == 0
    assert re.search(rb"[1-9]\d*/204 .*images/s", shown)
    assert lines(shown.split(b"\r")[-2])[-1].startswith("vggfeat: f.npy: fc7 of 204 images")


def test_a_stream_of_paths_flows(images: Path) -> None:
    """Rows come out while the list is still being written."""
    with subprocess.Popen(
        [*COMMAND, "extract", "-", "-o", "-", "--batch-size", "2"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"imgs/china.jpg\n" * 40)
        process.stdin.flush()
        assert process.stdout.readline().startswith(b"path,f0,")
        assert process.stdout.readline().startswith(b"imgs/china.jpg,")
        process.stdin.close()
        assert len(process.stdout.readlines()) == 39


def test_head_ends_the_pipeline_without_noise(images: Path) -> None:
    listed = "\n".join(["imgs/china.jpg"] * 200)
    command = " ".join(COMMAND)
    done = subprocess.run(
        ["bash", "-c", f"{command} extract -q - -o - | head -n 2; echo ${{PIPESTATUS[0]}}"],
        input=listed.encode(),
        capture_output=True,
        timeout=120,
        check=True,
    )
    assert done.stderr == b""
    assert lines(done.stdout)[-1] == "141"


def test_tensorflow_is_not_imported_where_nothing_is_computed() -> None:
    done = subprocess.run(
        [COMMAND[0], "-X", "importtime", *COMMAND[1:], "extract", "--help"],
        capture_output=True,
        check=True,
    )
    imported = {line.rpartition("|")[2].strip() for line in lines(done.stderr)}
    assert not imported & {"tensorflow", "numpy", "PIL", "h5py", "requests"}
