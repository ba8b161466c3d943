"""vggfeat from Python, with its TensorFlow engine."""

from __future__ import annotations

from pathlib import Path

from tests.benchmarks.peers.program import Compute, main
from tests.benchmarks.weights import CANONICAL


def load(weights: Path) -> Compute:
    from vggfeat import Extractor

    return Extractor(weights / CANONICAL, "fc7", engine="tensorflow")


if __name__ == "__main__":
    main(load, batch=None)
