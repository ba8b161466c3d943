"""What is not vggfeat's is never replaced."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.sinks.outputs import TWO_LAYERS, Run, files, rows
from vggfeat import VggfeatError
from vggfeat.sinks.index import beside
from vggfeat.sinks.strangers import check_free

ABOUT = {"vggfeat": "1", "output": "f.npy", "format": "npy", "layers": [{"file": "f.npy"}]}


def put_about(output: Path, **changed: object) -> None:
    beside(output).about.write_text(json.dumps(ABOUT | changed))


def check_refused(output: Path, form: str, sentence: str) -> None:
    before = files(output.parent) if output.parent.is_dir() else None
    with pytest.raises(VggfeatError, match=f"^{sentence}"):
        check_free(output, form, ["fc7"])
    if before is not None:
        assert files(output.parent) == before


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "f.npy"


def test_an_empty_place_is_free(output: Path) -> None:
    (output.parent / "g.npy").touch()
    check_free(output, "npy", ["fc7"])


def test_an_own_output_may_be_replaced(output: Path) -> None:
    for path in (output, beside(output).rows, beside(output).failed):
        path.touch()
    put_about(output)
    check_free(output, "npy", ["fc7"])


def test_an_own_output_of_which_only_the_json_is_left_may_be_replaced(output: Path) -> None:
    put_about(output)
    check_free(output, "npy", ["fc7"])


@pytest.mark.parametrize("name", ["f.npy", "f.index.csv", "f.failed.csv"])
def test_files_that_nothing_tells_of_are_anothers(output: Path, name: str) -> None:
    (output.parent / name).write_text("mine")
    check_refused(output, "npy", f"{output.parent / name}: was not written by vggfeat")


@pytest.mark.parametrize("written", ["{", "[]", '{"name": "f"}', ""])
def test_another_programs_json_is_not_replaced(output: Path, written: str) -> None:
    beside(output).about.write_text(written)
    check_refused(output, "npy", f"{output.parent}/f.json: was not written by vggfeat")


def test_companions_of_another_output_are_not_replaced(output: Path) -> None:
    put_about(output)
    other = output.with_suffix(".csv")
    check_refused(other, "csv", f"{other}: f.json beside it belongs to f.npy; choose a name")


def test_an_output_in_another_format_is_not_replaced(output: Path) -> None:
    put_about(output)
    check_refused(output, "csv", f"{output}: is npy there: add --format npy, or choose")


def test_a_folder_or_a_device_is_no_place(output: Path, tmp_path: Path) -> None:
    output.mkdir()
    check_refused(output, "npy", f"{output}: is there and is not a file")
    check_refused(Path("/dev/null"), "npy", "/dev/null: is there and is not a file")


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    output = tmp_path / "gone" / "f.npy"
    check_refused(output, "npy", f"{output}: there is no folder {tmp_path}/gone")


def test_a_json_that_cannot_be_read_is_not_replaced(output: Path) -> None:
    beside(output).about.mkdir()
    check_refused(output, "npy", f"{output.parent}/f.json: cannot be read: Is a directory")


def test_a_json_that_tells_of_no_layers_is_of_another_version(output: Path) -> None:
    output.touch()
    put_about(output, layers=None)
    check_refused(output, "npy", f"{output.parent}/f.json: is of another version of vggfeat")


def test_an_output_by_itself_is_not_replaced_by_a_layer_of_another(output: Path) -> None:
    own = output.with_name("f.fc7.npy")
    Run(own, rows([0])).publish()
    with pytest.raises(VggfeatError, match=f"^{own}: is an output by itself, so it is not"):
        check_free(output, "npy", ["fc7", "pool5:avg"])


def test_a_layer_of_another_output_is_not_replaced(output: Path) -> None:
    Run(output, rows([0]), layers=TWO_LAYERS).publish()
    layer = output.with_name("f.fc7.npy")
    with pytest.raises(VggfeatError, match=f"^{layer}: is a layer of f.npy, so it is not"):
        check_free(layer, "npy", ["fc7"])
