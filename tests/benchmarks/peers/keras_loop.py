"""Keras' own VGG16, one image a call, as most scripts have it."""

from __future__ import annotations

from tests.benchmarks.peers.keras_predict import load
from tests.benchmarks.peers.program import main

if __name__ == "__main__":
    main(load, batch=1, ahead=False)
