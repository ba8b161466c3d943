"""What is the TensorFlow engine's own."""

from __future__ import annotations

import pytest
import tensorflow as tf

from tests import networks
from vggfeat import Extractor, VggfeatError


def test_running_out_of_memory_names_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    extractor = Extractor(networks.weights(), engine="tensorflow")

    def exhausted(images: object) -> None:
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating")

    monkeypatch.setattr(extractor.engine, "_network", exhausted)
    with pytest.raises(VggfeatError, match="batch of 3 images: try a smaller --batch-size"):
        extractor(networks.pictures(3))
