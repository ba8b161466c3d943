"""`vggfeat weights` and `vggfeat freeze` as a user runs them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests import networks
from tests.cli.command import lines, vggfeat
from tests.cli.inside import run
from tests.weights.servers import Server, serving
from tests.weights.written import WRITERS, channels_first
from vggfeat import VggfeatError, vgg16
from vggfeat.weights import store


@pytest.fixture(scope="module")
def keras_h5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keras") / "my_vgg.h5"
    networks.keras_vgg16(classes=7).save(path)
    return path


def test_a_file_is_imported_listed_shown_and_removed(keras_h5: Path) -> None:
    done = vggfeat("weights", "import", keras_h5)
    assert lines(done.stderr)[0].startswith("vggfeat: my_vgg: VGG16-shaped network with layers of ")
    assert lines(done.stderr)[0].endswith("(7 classes), training: unknown")
    assert lines(done.stderr)[1] == "vggfeat: my_vgg: use it with --weights my_vgg"
    fingerprint = store.open_weights("my_vgg").fingerprint

    (line,) = lines(vggfeat("weights", "list").stdout)
    assert line.startswith(f"my_vgg  {fingerprint[:16]}  VGG16-shaped")

    shown = lines(vggfeat("weights", "show", "my_vgg").stdout)
    assert shown[1:7] == [
        "source       Keras file my_vgg.h5",
        "training     unknown",
        "input        BGR, caffe scale",
        "decided by   declared by the names of keras.applications",
        f"fingerprint  {fingerprint}",
        "mean (RGB)   123.680, 116.779, 103.939",
    ]
    assert [line.split()[0] for line in shown[7:]] == list(vgg16.LAYERS)
    assert shown[7].split() == ["conv1_1", "[3,3,3,4]", "[4]"]

    (path,) = lines(vggfeat("weights", "path", "my_vgg").stdout)
    assert Path(path).is_file()
    vggfeat("weights", "remove", "my_vgg")
    assert not Path(path).exists()


def test_a_file_can_be_shown_without_importing_it(keras_h5: Path, narrow_file: Path) -> None:
    for file in (keras_h5, narrow_file):
        assert b"VGG16-shaped" in vggfeat("weights", "show", file).stdout
    assert store.names() == []


@pytest.fixture(scope="module")
def nobodys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network whose file does not tell what it takes."""
    path = tmp_path_factory.mktemp("nobodys") / "mine.safetensors"
    kept = {}
    for number, (name, (kernel, bias)) in enumerate(networks.layers().items()):
        kept[f"layer{number}.weight"] = channels_first(name, kernel)
        kept[f"layer{number}.bias"] = bias
    save_file(kept, path)
    return path


@pytest.mark.parametrize("command", [("show",), ("import",), ("verify",)])
def test_what_neither_form_nor_numbers_tell_is_asked_for(
    nobodys: Path, command: tuple[str, ...]
) -> None:
    asked = vggfeat("weights", *command, nobodys, code=1)
    (line,) = lines(asked.stderr)
    assert "neither its form nor its numbers tell what pixels it takes" in line
    assert "--channels rgb|bgr --scale caffe|torch|tf|unit|raw" in line
    told = vggfeat("weights", *command, nobodys, "--channels", "bgr", "--scale", "unit")
    assert told.returncode == 0


def test_extract_asks_for_it_too_and_says_where(nobodys: Path, samples: list[Path]) -> None:
    asked = vggfeat("extract", samples[0], "-o", "-", "-w", nobodys, code=1)
    assert b"to vggfeat weights import" in asked.stderr


def test_what_was_told_is_kept_and_goes_into_each_runs_json(
    nobodys: Path, samples: list[Path], tmp_path: Path
) -> None:
    vggfeat("weights", "import", nobodys, "--channels", "bgr", "--scale", "unit")
    vggfeat("extract", samples[0], "-o", tmp_path / "feats.npy", "-w", "mine")
    about = json.loads((tmp_path / "feats.json").read_bytes())
    assert about["weights"] == {
        "fingerprint": store.open_weights("mine").fingerprint,
        "source": "safetensors file mine.safetensors",
        "training": "unknown",
        "channels": "bgr",
        "scale": "unit",
        "taken": "BGR, unit scale",
        "decided": "given with --channels bgr --scale unit",
        "warnings": [],
    }
    assert about["preprocessing"]["mean"] == [0, 0, 0]


def test_verify_says_what_holds(narrow_in_store: str) -> None:
    said = lines(vggfeat("weights", "verify", narrow_in_store).stdout)
    assert said[0] == "numbers      fit their fingerprint"
    assert said[-1].startswith("reference    none")


def test_an_imported_name_is_used_by_extract(keras_h5: Path, samples: list[Path]) -> None:
    vggfeat("weights", "import", keras_h5, "--name", "mine")
    by_name = vggfeat("extract", samples[0], "-o", "-", "-w", "mine").stdout
    by_file = vggfeat("extract", samples[0], "-o", "-", "-w", keras_h5).stdout
    assert by_name == by_file
    assert len(by_name) > 1000


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["import", "none.h5"], 1, "none.h5: no such file"),
        (["import", "{file}", "--name", "a/b"], 1, "'a/b' cannot be a name in the store"),
        (["import", "{file}", "--name", "random"], 2, "'random' is the name of the random weights"),
        (["import", "{file}", "--name", "narrow"], 1, "already has other weights named 'narrow'"),
        (
            ["import", "{file}", "--ema"],
            1,
            "moving averages are a matter of TensorFlow checkpoints",
        ),
        (["show", "keras"], 1, "keras: no such file, and no such name in the store (narrow)"),
        (["show", "x" * 300], 1, "cannot be read: File name too long"),
        (["show", "https://example.org/vgg16.pth"], 1, "addresses are not read: download it"),
        (["path", "none"], 1, "no weights named 'none' in the store"),
        (["remove", "none"], 1, "no weights named 'none' in the store"),
    ],
)
@pytest.mark.usefixtures("narrow_in_store")
def test_what_cannot_be_is_one_sentence(
    keras_h5: Path, args: list[str], code: int, said: str
) -> None:
    args = [arg.format(file=keras_h5) for arg in args]
    done = vggfeat("weights", *args, code=code)
    assert said in lines(done.stderr)[-1]
    assert store.names() == ["narrow"]


def test_damage_in_the_store_is_found_by_show(narrow_in_store: str) -> None:
    path = store.path_of(narrow_in_store)
    data = bytearray(path.read_bytes())
    data[-1000] ^= 255
    path.write_bytes(data)
    done = vggfeat("weights", "show", narrow_in_store, code=1)
    assert "damaged: the numbers no longer fit the fingerprint" in lines(done.stderr)[-1]


def test_an_empty_store_says_so() -> None:
    done = vggfeat("weights", "list")
    assert done.stdout == b""
    assert lines(done.stderr)[0].endswith("store is empty")


@pytest.fixture
def keras_server(
    keras_h5: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Server]:
    """A Keras whose published file is a narrow one on a server of ours."""
    data = keras_h5.read_bytes()
    with serving(data) as server:
        source = tmp_path / "site" / "keras" / "src" / "applications" / "vgg16.py"
        source.parent.mkdir(parents=True)
        (tmp_path / "site" / "keras" / "__init__.py").touch()
        source.write_text(
            f"WEIGHTS_PATH = ('{server.url[:8]}'\n    '{server.url[8:]}')\n"
            f"get_file('x', WEIGHTS_PATH, file_hash='{hashlib.md5(data).hexdigest()}')\n"
        )
        paths = [str(tmp_path / "site"), str(Path(__file__).parent.parent.parent)]
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        yield server


def test_the_published_file_is_downloaded_and_resumed(keras_server: Server) -> None:
    keras_server.break_after = [1_000_000]
    done = vggfeat("weights", "download")
    assert lines(done.stderr)[-1].endswith("(7 classes); use it with --weights keras")
    assert len(keras_server.requests) == 2
    assert [path.name for path in store.folder().iterdir()] == ["keras.safetensors"]


def test_a_download_that_fails_keeps_what_came_for_the_next_try(keras_server: Server) -> None:
    content = keras_server.content
    keras_server.break_after = [500_000, 0, 0, 0, 0]
    done = vggfeat("weights", "download", code=1)
    assert "Run the same again to go on" in lines(done.stderr)[-1]
    keras_server.requests.clear()
    vggfeat("weights", "download")
    (start,) = keras_server.requests
    assert start is not None
    assert 0 < int(start.removeprefix("bytes=")[:-1]) <= 500_000 < len(content)


def test_freeze_writes_a_graph_and_says_its_names(narrow_file: Path, tmp_path: Path) -> None:
    done = run("freeze", "-o", tmp_path / "vgg16.pb", "-w", narrow_file)
    assert done.stderr.endswith("vgg16.pb: input images:0, outputs fc6:0, fc7:0\n")
    assert (tmp_path / "vgg16.pb").stat().st_size > np.prod((1568, 256)) * 4


def test_freeze_into_no_folder_is_one_sentence(narrow_file: Path) -> None:
    sentence = "^none/vgg16.pb: cannot be written: No such file or directory$"
    with pytest.raises(VggfeatError, match=sentence):
        run("freeze", "-o", "none/vgg16.pb", "-w", narrow_file)


@pytest.mark.parametrize("form", WRITERS)
def test_a_file_cut_short_is_one_line_and_exit_code_1(form: str, tmp_path: Path) -> None:
    path = WRITERS[form](networks.layers(), tmp_path / "network")
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    largest = max(files, key=lambda file: file.stat().st_size)
    largest.write_bytes(largest.read_bytes()[: largest.stat().st_size // 2])
    (line,) = lines(vggfeat("weights", "import", path, "--name", "x", code=1).stderr)
    assert line.startswith(f"vggfeat: {path}: ")
    assert store.names() == []


@pytest.mark.parametrize(
    "command", [["show", "{own}", "--scale", "torch"], ["import", "{own}", "--name", "a", "--ema"],
                ["show", "narrow", "--channels", "bgr"]],
)  # fmt: skip
@pytest.mark.usefixtures("narrow_in_store")
def test_what_was_settled_at_the_import_is_not_told_anew(
    narrow_file: Path, command: list[str]
) -> None:
    command = [word.format(own=narrow_file) for word in command]
    (line,) = lines(vggfeat("weights", *command, code=1).stderr)
    assert "import the original file with --channels, --scale or --ema" in line


def test_random_weights_can_be_shown_without_being_kept() -> None:
    assert b"random, He-scaled" in vggfeat("weights", "show", "random").stdout
    assert store.names() == []


def test_names_within_a_file_cannot_break_the_line(tmp_path: Path) -> None:
    kept = {f"a\nb\x1b[31m{n}.weight": np.zeros((4, 3, 3, 3), np.float32) for n in range(2)}
    save_file(kept, tmp_path / "odd.safetensors")
    (line,) = lines(vggfeat("weights", "show", tmp_path / "odd.safetensors", code=1).stderr)
    assert "\x1b" not in line
