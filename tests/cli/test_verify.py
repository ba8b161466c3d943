"""`vggfeat verify`, and how `extract` treats its own files where they are there already."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest

from tests import networks
from tests.cli.command import lines, vggfeat
from tests.cli.test_bad_input import powerless
from tests.cli.test_incremental import check_like_from_scratch, files, images, put, put_junk, run
from vggfeat import VggfeatError, load_features
from vggfeat.weights.formats import canonical

__all__ = ["images"]  # the fixture, which every test here starts from


def damage(row: int = 1) -> None:
    with open("f.npy", "r+b") as file:
        file.seek(4096 + row * 256 * 4)
        file.write(b"\x01\x02\x03\x04")


def as_json(*args: str, code: int = 0) -> dict[str, object]:
    done = vggfeat("verify", "f.npy", "--json", *args, code=code)
    assert done.stderr == b""
    found = json.loads(done.stdout)
    assert found.pop("exit_code") == code
    assert isinstance(found, dict)
    return found


def test_a_whole_output_ends_with_0_and_says_what_is_there() -> None:
    put_junk("imgs/bad.ppm")
    run()
    generation = json.loads(Path("f.json").read_bytes())["generation"]
    before = files()
    done = vggfeat("verify", "f.npy", "--against", "imgs", "--recompute", "2")
    assert done.stderr == b""
    assert lines(done.stdout) == [
        "rows         3, each with the checksum that is listed",
        f"generation   {generation}",
        "failed       1 images have no row",
        "recomputed   2 rows, 2 of them equal to the bit",
        "images       as they were",
    ]
    assert as_json("--against", "imgs", "--recompute", "2") == {
        "output": "f.npy",
        "generation": generation,
        "rows": 3,
        "failed": 1,
        "damages": [],
        "outdated": {},
        "recomputed": 2,
        "bit_equal": 2,
    }
    assert files() == before


def test_a_damaged_output_ends_with_4_until_it_is_made_anew() -> None:
    run()
    damage()
    put("imgs/2.ppm", 2)
    said = "row 1 (imgs/3.ppm) has not the checksum that is listed"
    done = vggfeat("verify", "f.npy", "--against", "imgs", code=4)
    assert (lines(done.stdout)[0], done.stderr) == (f"damaged      {said}", b"")
    assert as_json("--recompute", "3", code=4)["damages"] == [said]
    vggfeat("extract", "imgs", "-o", "f.npy", "--fresh")
    vggfeat("verify", "f.npy", "--against", "imgs")


def test_an_outdated_output_ends_with_5_until_it_is_brought_up_to_date() -> None:
    run()
    put("imgs/2.ppm", 2)
    put("imgs/3.ppm", 33)
    os.unlink("imgs/10.ppm")
    done = vggfeat("verify", "f.npy", "--against", "imgs", code=5)
    assert lines(done.stdout)[-1] == "images       1 new, 1 changed, 1 gone"
    counts = {"new": 1, "changed": 1, "gone": 1}
    assert as_json("--against", "imgs", code=5)["outdated"] == counts
    vggfeat("verify", "f.npy")
    vggfeat("extract", "imgs", "-o", "f.npy")
    vggfeat("verify", "f.npy", "--against", "imgs")


def test_several_inputs_are_given_one_by_one() -> None:
    run("imgs/1.ppm", "imgs/3.ppm")
    vggfeat("verify", "f.npy", "--against", "imgs/1.ppm", "--against", "imgs/3.ppm")
    assert as_json("--against", "imgs/1.ppm", code=5)["outdated"] == {"gone": 1}


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["none.npy"], 1, "none.npy: there is no none.json beside it"),
        (["imgs/1.ppm"], 1, "imgs/1.ppm: there is no 1.json beside it"),
        (["f.npy", "--against", "none"], 1, "none: no such file or folder"),
        (["f.npy", "--recompute", "1", "-w", "other.safetensors"], 1, "cannot be computed again"),
        (["f.npy", "--recompute", "0"], 2, "0 is not in the range x>=1"),
        ([], 2, "Missing argument 'FILE'"),
    ],
)
def test_what_cannot_be_looked_through_is_one_sentence(
    args: list[str], code: int, said: str
) -> None:
    run()
    canonical.write(networks.weights(seed=5), Path("other.safetensors"))
    done = vggfeat("verify", *args, code=code)
    assert done.stdout == b""
    assert said in lines(done.stderr)[-1]
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("output", ["f.npy", "f.csv"])
@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (os.unlink, " is missing"),
        (lambda output: os.truncate(output, os.stat(output).st_size - 1), " was cut short"),
        (lambda _: os.unlink("f.index.csv"), "f.index.csv is missing"),
        (lambda _: os.truncate("f.index.csv", 90), "do not belong together"),
        (lambda _: os.unlink("f.failed.csv"), "do not belong together"),
    ],
)
def test_a_spoiled_output_is_made_anew_and_one_line_says_why(
    spoil: Callable[[str], None], why: str, output: str
) -> None:
    put_junk("imgs/bad.ppm")
    run(output=output)
    spoil(output)
    note = Mock()
    assert run(output=output, watcher=Mock(note=note)).computed == 3
    ((line,),) = (call.args for call in note.call_args_list)
    assert line.startswith("all is computed anew: ")
    assert line.endswith(why)
    check_like_from_scratch(output=output)


def test_a_file_of_another_program_in_its_place_is_not_touched() -> None:
    run()
    for replacement in (np.zeros((3, 256), np.float32), np.zeros(3)):
        np.save("f.npy", replacement)
        before = files()
        for option in ("wait", "fresh", "dry_run"):
            with pytest.raises(VggfeatError, match="f.npy: is not what vggfeat wrote there"):
                run(**{option: True})  # type: ignore[arg-type]
        assert files() == before


@pytest.mark.parametrize("name", ["imgs/2.ppm", "imgs/11.ppm"])
def test_permissions_stay(name: str) -> None:
    run()
    modes = {"f.npy": 0o640, "f.index.csv": 0o600, "f.json": 0o664}
    for path, mode in modes.items():
        os.chmod(path, mode)
    put(name, 2)
    for fresh in (False, True):
        run(fresh=fresh)
        assert {path: os.stat(path).st_mode & 0o777 for path in modes} == modes


@pytest.mark.skipif(sys.platform != "linux", reason="root can write everywhere")
def test_a_folder_that_cannot_be_written_is_one_sentence() -> None:
    run()
    before = files()
    put("imgs/2.ppm", 2)
    os.chmod(".", 0o555)
    (line,) = lines(vggfeat("extract", "imgs", "-o", "f.npy", code=1, preexec_fn=powerless).stderr)
    assert line.startswith(f"vggfeat: {os.getcwd()}/f.npy: ")
    assert files() == before
    vggfeat("verify", "f.npy", preexec_fn=powerless)


def test_a_link_as_output_stays_and_what_it_leads_to_is_brought_up_to_date() -> None:
    os.mkdir("big")
    os.symlink("big/g.npy", "f.npy")
    run()
    inode = os.stat("f.npy").st_ino
    put("imgs/11.ppm", 11)
    assert run().computed == 1
    assert os.readlink("f.npy") == "big/g.npy"
    assert os.stat("f.npy").st_ino == inode
    assert sorted(os.listdir("big")) == ["g.index.csv", "g.json", "g.npy"]
    assert len(load_features("f.npy").paths) == 4
    vggfeat("verify", "f.npy", "--against", "imgs")


def test_the_last_twenty_runs_are_told() -> None:
    run()
    os.unlink("imgs/1.ppm")
    put("imgs/2.ppm", 2)
    put_junk("imgs/bad.ppm")
    run()
    told = json.loads(Path("f.json").read_bytes())["runs"]
    names = ("computed", "kept", "resumed", "dropped", "failed")
    assert [[one[name] for name in names] for one in told] == [[3, 0, 0, 0, 0], [1, 2, 0, 1, 1]]
    for _ in range(20):
        run()
    told = json.loads(Path("f.json").read_bytes())["runs"]
    assert [one["computed"] for one in told] == [0] * 20
