"""What is seen in pictures, as far as a network's own classes go."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from vggfeat import imagenet
from vggfeat.each import Vector, each
from vggfeat.errors import WeightsError
from vggfeat.extractor import Extractor
from vggfeat.outcome import Failure
from vggfeat.sources import ImageRef
from vggfeat.weights import Weights

_LAYER = "prob"
_LAST = "fc8"


class Guess(NamedTuple):
    """A class that a picture may show.

    Attributes:
        number: of the network's output, from 0.
        wnid: the class's id in WordNet; empty where the classes are not ImageNet's.
        name: in words.
        probability: 0 to 1, as the network has it.
    """

    number: int
    wnid: str
    name: str
    probability: float


class Classified(NamedTuple):
    """A picture, and the most probable classes, the most probable first."""

    image: str
    guesses: list[Guess]


def classify(
    images: Iterable[ImageRef], weights: Weights, top: int = 5
) -> Iterator[Classified | Failure]:
    """The most probable classes of each picture, in order, as batches are done.

    Args:
        images: as `sources.open_inputs` gives them.
        weights: with fc8. Its 1,000 classes are taken for ImageNet's; of any other number they
            have numbers alone.
        top: how many classes of each, at least 1.

    Raises:
        WeightsError: the weights hold no fc8.
    """
    if _LAST not in weights.layers:
        raise WeightsError(
            f"the weights ({weights.source}) hold no {_LAST}, which tells the classes: give others "
            "by --weights, such as keras, slim, torchvision or timm"
        )
    extractor = Extractor(weights, _LAYER)
    classes = imagenet.named(*extractor.shape)
    return (
        item if isinstance(item, Failure) else _classified(item, classes, top)
        for item in each(extractor, images)
    )


def _classified(vector: Vector, classes: tuple[imagenet.Class, ...], top: int) -> Classified:
    guesses = []
    for number in np.argsort(-vector.numbers, kind="stable")[:top]:
        wnid, name = classes[int(number)]
        guesses.append(Guess(int(number), wnid, name, float(vector.numbers[number])))
    return Classified(vector.name, guesses)
