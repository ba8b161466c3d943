"""Runs on three logical devices, into which TensorFlow divides the processors of one process.

    python -m tests.engines.logical FOLDER

TensorFlow does not divide them any more once it has begun, so the tests start this program once
and look at what it writes: an output a scene, and `told.json`.
"""

from __future__ import annotations

import json
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import tensorflow as tf
from PIL import Image

from tests import networks
from vggfeat import VggfeatError, extract
from vggfeat.engines.replica import Replica
from vggfeat.watcher import Watcher

IMAGES = 31
LAYERS = ["fc7", "pool5:avg"]
DEVICES = ("CPU 0", "CPU 1", "CPU 2")

# Raises what a device raises: called with its label, the images of a batch, and how many batches
# it has had before.
Fault = Callable[[str, int, int], None]


fallen = threading.Event()


def lost(device: str, images: int, before: int) -> None:
    """One falls off the bus at its second batch, which the others leave it the time for."""
    if device == "CPU 1" and before:
        fallen.set()
        raise tf.errors.InternalError(None, None, "CUDA_ERROR_ECC_UNCORRECTABLE\nat 0x7f")
    if before:
        assert fallen.wait(20)


def small(device: str, images: int, before: int) -> None:
    """One holds three images at once."""
    if device == "CPU 2" and images > 3:
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")


def full(device: str, images: int, before: int) -> None:
    """One holds none at all, and one is lost."""
    lost(device, images, before)
    if device == "CPU 2":
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")


def dead(device: str, images: int, before: int) -> None:
    """All are lost after two batches each."""
    if before >= 2:
        raise tf.errors.UnavailableError(None, None, "the driver has been unloaded")


SCENES: dict[str, tuple[dict[str, Any], Fault | None]] = {
    "alone": ({"devices": "1"}, None),
    "together": ({}, None),
    "two": ({"devices": "2,0"}, None),
    "lost": ({}, lost),
    "small": ({"batch_size": 8}, small),
    "full": ({}, full),
    "dead": ({}, dead),
    "missing": ({"devices": [0, 7]}, None),
}


class Listener(Watcher):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)


def play(folder: Path, name: str, options: dict[str, Any], fault: Fault | None) -> dict[str, Any]:
    """Extract on those devices, and tell what was computed where."""
    fallen.clear()
    batches: Counter[str] = Counter()
    real = Replica._program

    def program(replica: Any, shape: int | None) -> Callable[[Any], Any]:
        def compute(images: Any) -> Any:
            before = batches[replica.label]
            batches[replica.label] += 1
            if fault:
                fault(replica.label, len(images), before)
            found = real(replica, shape)(images)
            assert {part.device for part in found} == {images.device}
            return found

        return compute

    fallen.clear()
    listener, error = Listener(), ""
    with mock.patch.object(Replica, "_program", program):
        try:
            asked = {"batch_size": 4, **options}
            extract(
                folder / "images", folder / f"{name}.npy",
                weights=networks.weights(), layer=LAYERS, engine="tensorflow", watcher=listener,
                **asked,
            )  # fmt: skip
        except VggfeatError as caught:
            error = str(caught)
    return {"batches": batches, "notes": listener.notes, "error": error}


def main() -> None:
    (processors,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(
        processors, [tf.config.LogicalDeviceConfiguration()] * len(DEVICES)
    )
    folder = Path(sys.argv[1])
    (folder / "images").mkdir()
    for number, pixels in enumerate(networks.pictures(IMAGES)):
        Image.fromarray(pixels).save(folder / "images" / f"{number}.png", compress_level=1)
    told = {name: play(folder, name, *scene) for name, scene in SCENES.items()}
    told["dead, again"] = play(folder, "dead", {}, None)
    (folder / "told.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main()
