"""Bad images of all kinds: a vector or a reason, from the function and from the command."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.cli.command import COMMAND
from tests.zoo import animals
from tests.zoo.sound import cuts, sound_images
from vggfeat.errors import ImageError
from vggfeat.preprocess import preprocess

# Pillow warns of flaws; pytest would show each.
pytestmark = pytest.mark.filterwarnings("ignore")

MOST_MEMORY = 2_000_000_000

# A sentence: words, numbers and what is between them, nothing of Python's insides.
SENTENCE = re.compile(r"[A-Za-z][\w ,:;()\[\].-]{10,198}")
INSIDES = re.compile(r"Error|object|index|None|unpack|buffer|int\(\)|0x|\bb'|codec|tuple|NoneType")


def reason(data: bytes) -> str | None:
    """Why there is no vector, or None for a vector."""
    try:
        result = preprocess(data)
    except ImageError as error:
        return str(error)
    assert result.shape == (224, 224, 3)
    assert result.dtype == np.uint8
    return None


def test_there_are_hundreds_of_them_of_every_kind() -> None:
    zoo = animals()

    assert len(zoo) > 800
    assert len({Path(name).suffix for name in zoo}) > 15
    assert sum(map(len, zoo.values())) < 30_000_000


def test_each_becomes_a_vector_or_a_reason_that_a_person_understands() -> None:
    reasons = {name: reason(data) for name, data in animals().items()}

    told = {name: words for name, words in reasons.items() if words is not None}
    assert 300 < len(told) < len(reasons) - 100
    assert [words for words in told.values() if not SENTENCE.fullmatch(words)] == []
    assert [words for words in told.values() if INSIDES.search(words)] == []


@pytest.mark.parametrize("name", sound_images())
def test_a_sound_image_that_is_cut_is_refused_or_all_there(name: str) -> None:
    data = sound_images()[name]
    whole = preprocess(data)

    refused = 0
    for kept in cuts(data, most=200):
        try:
            result = preprocess(data[:kept])
        except ImageError:
            refused += 1
        else:
            assert np.array_equal(result, whole), f"half a picture from {kept} bytes"
    assert refused > 5


@pytest.mark.parametrize(
    "name", [name for name in sound_images() if name.endswith((".jpg", ".mpo"))]
)
def test_a_jpeg_whose_end_was_put_behind_half_of_it_is_refused(name: str) -> None:
    data = sound_images()[name]
    end = data.find(b"\xff\xd9", data.rfind(b"\xff\xda")) if name.endswith(".jpg") else 2000
    # The last bits are not sure: what libjpeg makes up may be what was there.
    kept = [place for place in cuts(data[:end], most=200) if place < end - 24]

    assert len(kept) > 20
    for place in kept:
        with pytest.raises(ImageError, match=r"^(damaged|not an image)"):
            preprocess(data[:place] + b"\xff\xd9")


def test_the_rest_as_zeros_makes_no_whole_jpeg() -> None:
    data = sound_images()["baseline.jpg"]

    for place in range(len(data) // 2, len(data), 50):
        assert reason(data[:place] + bytes(len(data) - place)) is not None


# Under which a command prints, in megabytes, what the largest of its processes took.
MEASURED = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:]).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""


def test_the_command_survives_all_of_them_in_bounded_memory(
    tmp_path: Path, narrow_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VGGFEAT_WEIGHTS", str(narrow_file))
    os.mkdir("imgs")
    for name, data in animals().items():
        Path("imgs", name).write_bytes(data)

    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *COMMAND, "extract", "imgs", "-o", "feats.npy"],
        capture_output=True,
        timeout=200,
        check=False,
    )

    assert done.returncode == 3, done.stderr.decode()
    rows = len(np.load("feats.npy", mmap_mode="r"))
    with open("feats.failed.csv", newline="") as file:
        failed = list(csv.DictReader(file))
    assert rows + len(failed) == len(animals())
    assert [row["path"] for row in failed if not SENTENCE.fullmatch(row["reason"])] == []
    assert [line for line in done.stderr.splitlines() if not line.startswith(b"vggfeat: ")] == []
    unit = 1 if sys.platform == "darwin" else 1024
    assert int(done.stdout) * unit < MOST_MEMORY
