"""ONNX Runtime on the processor."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.peers.channels_first import prepared
from tests.benchmarks.peers.program import Compute, main
from tests.benchmarks.weights import ONNX


def load(weights: Path) -> Compute:
    import onnxruntime

    session = onnxruntime.InferenceSession(weights / ONNX, providers=["CPUExecutionProvider"])

    def compute(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.asarray(session.run(["fc7"], {"images": prepared(images)})[0])

    return compute


if __name__ == "__main__":
    main(load)
