"""The self-test of one engine: a program of its own, because a broken engine ends its process.

It writes a line of JSON for each thing that it has come to know, so that what was known last is
known of a process that has died.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_PICTURES = 4


def main(engine: str, precisions: Sequence[str]) -> None:
    """Compute one batch on each device, in each precision, and compare it with plain NumPy."""
    from vggfeat.errors import VggfeatError

    file = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is none of ours

    def tell(**known: Any) -> None:
        print(json.dumps(known), file=file, flush=True)

    tell(doing="loading it")
    if engine == "tensorflow":
        try:
            tell(**_tensorflow())
        except VggfeatError as error:
            sys.exit(str(error))
    from vggfeat.doctor import network

    weights, images = network.weights(), network.pictures(_PICTURES)
    expected = network.fc7(weights, images)
    for precision in precisions:
        tell(doing=f"computing in {precision}")
        tell(**_computed(engine, precision, weights, images, expected))
    tell(doing=None)


def _tensorflow() -> dict[str, Any]:
    """Its version, and the GPUs that it sees itself."""
    from vggfeat.quiet_tensorflow import tensorflow

    tf = tensorflow()
    gpus = tf.config.list_physical_devices("GPU")
    details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    return {
        "version": tf.__version__,
        "gpus": [str(about.get("device_name", "unknown")) for about in details],
    }


def _computed(
    engine: str,
    precision: str,
    weights: Any,
    images: NDArray[np.uint8],
    expected: NDArray[np.float64],
) -> dict[str, Any]:
    from vggfeat import engines
    from vggfeat.activations import Activation
    from vggfeat.errors import VggfeatError

    notes: list[str] = []
    started = time.monotonic()
    try:
        made = engines.create(
            engine, weights, [Activation("fc7")], precision=precision, note=notes.append
        )
        batch = [np.stack(arrays) for arrays in zip(*map(made.image_stage, images), strict=True)]
        devices = made.devices
        # Batches are dealt in turn, so each device gets one of them.
        together = [made.batch_stage(batch)[0] for _ in devices]
        alone = [made.batch_stage([array[:1] for array in batch])[0] for _ in devices]
    except VggfeatError as error:
        return {"doing": None, precision: {"failed": str(error), "notes": notes}}
    errors = [_relative(found, expected) for found in together]
    same = all(np.array_equal(one[0], all_[0]) for one, all_ in zip(alone, together, strict=True))
    return {
        "version": made.version,
        "batch_size": made.batch_size,
        precision: {
            "error": max(errors),
            "same_bits": same,
            "seconds": round(time.monotonic() - started, 2),
            "devices": devices,
            "notes": notes,
        },
    }


def _relative(found: NDArray[np.float32], expected: NDArray[np.float64]) -> float:
    """The largest error of a row, relative to the row's norm; infinite where it is no number."""
    errors = np.linalg.norm(found - expected, axis=1) / np.linalg.norm(expected, axis=1)
    return float(errors.max()) if np.isfinite(errors).all() else sys.float_info.max
