"""OpenVINO on the processor, reading the ONNX file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.peers.channels_first import prepared
from tests.benchmarks.peers.program import Compute, main
from tests.benchmarks.weights import ONNX


def load(weights: Path) -> Compute:
    import openvino

    # Where the processor has bfloat16, OpenVINO would use it: faster, but not these numbers.
    options = {"INFERENCE_PRECISION_HINT": "f32"}
    model = openvino.Core().compile_model(weights / ONNX, "CPU", options)

    def compute(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.array(model([prepared(images)])[0])

    return compute


if __name__ == "__main__":
    main(load)
