"""Several devices: the same rows, whatever becomes of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests import networks
from tests.engines.logical import DEVICES, IMAGES, LAYERS
from vggfeat import Extractor, load_features
from vggfeat.engines.devices import numbers, reason
from vggfeat.errors import UsageError


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("logical")
    program = [sys.executable, "-m", "tests.engines.logical", str(folder)]
    done = subprocess.run(program, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return folder


def told(played: Path, scene: str) -> Any:
    return json.loads((played / "told.json").read_text())[scene]


def assert_all_rows(played: Path, scene: str) -> None:
    """They are those of one device, to the bit, in the order of the images."""
    for layer in LAYERS:
        file = layer.replace(":", ".")
        rows, paths = load_features(played / f"{scene}.{file}.npy")
        expected, _ = load_features(played / f"alone.{file}.npy")
        np.testing.assert_array_equal(rows, expected)
        assert [Path(path).stem for path in paths] == list(map(str, range(IMAGES)))


def test_one_device_alone_is_right(played: Path) -> None:
    assert set(told(played, "alone")["batches"]) == {"CPU 1"}
    rows, _ = load_features(played / "alone.fc7.npy")
    images = [played / "images" / f"{number}.png" for number in range(IMAGES)]
    expected = Extractor(networks.weights(), engine="ncnn")(images)
    assert networks.relative_error(rows, expected) < 1e-5


@pytest.mark.parametrize(("scene", "devices"), [("together", DEVICES), ("two", ("CPU 0", "CPU 2"))])
def test_batches_are_dealt_to_all_that_are_asked_for(
    played: Path, scene: str, devices: tuple[str, ...]
) -> None:
    batches = told(played, scene)["batches"]
    assert tuple(sorted(batches)) == devices
    assert sum(batches.values()) == -(-IMAGES // 4)
    assert told(played, scene)["notes"] == []
    assert_all_rows(played, scene)


def test_what_a_lost_device_had_goes_to_the_others(played: Path) -> None:
    (note,) = told(played, "lost")["notes"]
    assert note == (
        "CPU 1 failed: CUDA_ERROR_ECC_UNCORRECTABLE; goes on without it, on CPU 0, CPU 2"
    )
    assert told(played, "lost")["batches"]["CPU 1"] == 2
    assert_all_rows(played, "lost")


def test_out_of_memory_makes_batches_smaller_and_loses_no_row(played: Path) -> None:
    first, *others = told(played, "small")["notes"]
    assert first == "CPU 2: out of memory with batches of 8, goes on with 4"
    # Where it comes to another batch before the end.
    assert others in ([], ["CPU 2: out of memory with batches of 4, goes on with 2"])
    assert_all_rows(played, "small")


def test_one_device_is_enough(played: Path) -> None:
    dropped = [note for note in told(played, "full")["notes"] if "goes on without it" in note]
    assert [note.split(" failed")[0] for note in sorted(dropped)] == ["CPU 1", "CPU 2"]
    assert_all_rows(played, "full")


def test_where_all_are_lost_the_next_run_goes_on(played: Path) -> None:
    scene = told(played, "dead")
    assert scene["error"].endswith(
        "failed: the driver has been unloaded; `vggfeat doctor` looks into it"
    )
    batches = sum(told(played, "dead, again")["batches"].values())
    assert batches <= -(-IMAGES // 4) - 3  # those computed before count
    assert_all_rows(played, "dead")


def test_devices_that_are_not_there_are_named(played: Path) -> None:
    assert told(played, "missing")["error"] == "--devices 7: there are CPU 0, CPU 1, CPU 2"


def test_the_processors_are_no_gpu() -> None:
    with pytest.raises(UsageError, match="--devices: there is no GPU here"):
        Extractor(networks.weights(), devices="0")
    with pytest.raises(UsageError, match="ncnn computes on the processors: --devices is for"):
        Extractor(networks.weights(), engine="ncnn", devices="0")


@pytest.mark.parametrize(
    ("asked", "expected"), [("all", None), ("0", (0,)), ("2,0,2", (2, 0)), ([1, 3], (1, 3))]
)
def test_devices_are_numbers(asked: Any, expected: tuple[int, ...] | None) -> None:
    assert numbers(asked) == expected


@pytest.mark.parametrize("asked", ["", "gpu", "0,", "-1", "0-3", "1.5", [], 1, None])
def test_what_names_no_device_is_refused(asked: Any) -> None:
    with pytest.raises(UsageError, match="give all, or numbers of cards such as 0,1"):
        numbers(asked)


def test_of_an_error_in_a_graph_the_line_is_told_that_says_what_happened() -> None:
    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
    def network(x: Any) -> Any:
        return tf.reshape(x, [-1, 7])

    with pytest.raises(tf.errors.OpError) as caught:
        network(tf.zeros(3))
    assert reason(caught.value.message).startswith("Input to reshape is a tensor with 3 values")
    full = (  # TensorFlow waits ten seconds for memory before it says so
        "{{function_node __wrapped__Fill_device_/job:localhost/device:CPU:0}} OOM when allocating "
        "tensor with shape[1,2] and type float [Op:Fill] name: "
    )
    assert reason(full) == "OOM when allocating tensor with shape[1,2] and type float"


def test_an_error_without_words_has_a_reason_too() -> None:
    assert reason("Graph execution error:\n\n\t [[{{node conv1_1}}]]") == (
        "for no reason that TensorFlow tells"
    )
