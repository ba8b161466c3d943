"""Heads over a narrow network, and the probabilities that they must give wherever they go."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from tests import networks
from tests.exports.networks import whole
from vggfeat import Extractor
from vggfeat.head.file import Head

CLASSES = ("rose", "tulip", "été \udcff", "two\nlines")


@dataclass(frozen=True)
class Case:
    layer: str
    normalize: str | None = None
    size: int = 224

    def __str__(self) -> str:
        return f"{self.layer} {self.normalize or ''} {self.size}"


FC7 = Case("fc7")
CASES = [
    FC7,
    Case("fc7", "l2"),
    Case("pool5:avg"),
    Case("conv4_3:linear:max", "l2", 100),
    Case("fc6:linear", None, 260),
    Case("pool3", None, 33),
    Case("fc8", None, 288),
]


@dataclass(frozen=True)
class Headed:
    """A head, images, and what the head gives for vggfeat's features of them."""

    head: Head
    crops: NDArray[np.uint8]
    probabilities: NDArray[np.float32]


@cache
def headed(case: Case) -> Headed:
    extractor = Extractor(whole(), case.layer, size=case.size, normalize=case.normalize)
    crops = networks.pictures(3).repeat(2, axis=1).repeat(2, axis=2)[:, : case.size, : case.size]
    features = extractor(crops)
    flat = features.reshape(3, -1)
    generator = np.random.default_rng(5)
    kernel = generator.standard_normal((flat.shape[1], len(CLASSES))).astype(np.float32)
    kernel /= flat.std(axis=0).mean() * len(kernel) ** 0.5
    bias = (-(flat.mean(axis=0) @ kernel) + [0.1, -0.3, 0.2, 0.0]).astype(np.float32)
    head = Head(kernel, bias, CLASSES, extractor.recipe)
    probabilities = head.probabilities(features)
    assert probabilities.std(axis=0).max() > 0.01, "no picture differs from the others"
    assert 0.001 < probabilities.min() < probabilities.max() < 0.999
    return Headed(head, crops, probabilities)
