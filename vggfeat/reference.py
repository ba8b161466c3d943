"""From pixels to numbers: both engines on the sample photographs, beside what Keras made of them.

The reference was computed once by Keras, on Oxford's published convolutions: pool5 of each
photograph, averaged over its positions. Lists of the five likeliest classes would not do: they stay
nearly the same where the means are in the wrong order. Vectors move by a tenth and more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vggfeat import Extractor, engines, vgg16
from vggfeat.errors import ImageError, VggfeatError, WeightsError
from vggfeat.explain import explanations
from vggfeat.preprocess import RESIZE, preprocess, to_rgb, upright
from vggfeat.weights import Weights, identity, oxford, recognition
from vggfeat.weights.canonical import check_intact

SAMPLES = Path(__file__).parent / "sample_images"

_EXACT = 1e-4  # of a vector's norm: two engines in float32 differ by 1e-6
_STEP = 5  # each fifth photograph is what explanations are tried on; most are in colour
_ROUNDED = 0.01  # where the weights have been through float16 or bfloat16

Float32 = NDArray[np.float32]
Say = Callable[[str], None]


def verify(weights: Weights, say: Say) -> None:
    """Prove weights and preprocessing, as far as there is something to prove them by.

    Args:
        say: called with each thing that has been seen to hold.

    Raises:
        VggfeatError: something does not hold; the message says what is wrong.
    """
    if check_intact(weights):
        say("numbers      fit their fingerprint")
    crops = _crops()
    _check_pixels(crops, say)
    stack = np.stack(list(crops.values()))
    found = _by_engine(weights, stack, say)
    tolerance = _tolerance(weights)
    if tolerance is None:
        say(
            "reference    none: the convolutions are not Oxford's published ones, so there is "
            "nothing to compare their vectors with"
        )
        return
    expected = np.stack([oxford.photographs()[name][1] for name in crops])
    for engine, vectors in found.items():
        error = _error(vectors, expected)
        if error > tolerance:
            some = slice(None, None, _STEP)
            raise WeightsError(_explain(weights, stack[some], expected[some], engine, error))
        say(f"{engine:<12} as Keras computes pool5 of {len(crops)} photographs, to {error:.0e}")


def _crops() -> dict[str, NDArray[np.uint8]]:
    try:
        return {name: preprocess((SAMPLES / name).read_bytes()) for name in oxford.photographs()}
    except (OSError, ImageError) as error:
        raise VggfeatError(
            f"the sample photographs in {SAMPLES} cannot be read ({error}): install vggfeat anew"
        ) from error


def _check_pixels(crops: Mapping[str, NDArray[np.uint8]], say: Say) -> None:
    """The crops against pixels that plain arithmetic gives."""
    levels = {}
    for name, crop in crops.items():
        expected = oxford.photographs()[name][0].astype(int)
        levels[name] = int(np.abs(oxford.sampled(crop) - expected).max())
    worst = max(levels, key=lambda name: levels[name])
    if levels[worst] > 1:
        raise VggfeatError(
            f"the preprocessing is not what it should be: pixels of {worst} are off by "
            f"{levels[worst]} grey levels{_resampling(worst, crops[worst])} (Pillow "
            f"{version('pillow')})"
        )
    say(f"pixels       as plain arithmetic gives them, to {levels[worst]} grey level")


def _resampling(name: str, crop: NDArray[np.uint8]) -> str:
    """Which other way of resizing gives these pixels, if one does."""
    with Image.open(SAMPLES / name) as image:
        rgb = to_rgb(upright(image))
    for resampling in Image.Resampling:
        if np.abs(_plain(rgb, resampling).astype(int) - crop).max() <= 2:
            return f", as if they were resized with {resampling.name.lower()} resampling"
    return ""


def _plain(image: Image.Image, resampling: Image.Resampling) -> NDArray[np.uint8]:
    smaller = min(image.size)
    width, height = (side * RESIZE // smaller for side in image.size)
    left, top = (width - vgg16.SIZE) // 2, (height - vgg16.SIZE) // 2
    resized = image.resize((width, height), resampling)
    return np.asarray(resized.crop((left, top, left + vgg16.SIZE, top + vgg16.SIZE)))


def _by_engine(weights: Weights, crops: NDArray[np.uint8], say: Say) -> dict[str, Float32]:
    """pool5, averaged, by each engine that is installed; they have to agree."""
    found: dict[str, Float32] = {}
    for name in engines.installed():
        found[name] = _pool5(weights, crops, name)
    if "ncnn" not in found:
        say("ncnn         is not installed: not tried")
    (first, expected), *others = found.items()
    for name, vectors in others:
        if (error := _error(vectors, expected)) > _EXACT:
            raise VggfeatError(
                f"the engines {first} and {name} differ by {error:.1e} of a vector's norm: one of "
                "them does not compute what it should on this machine"
            )
        say(f"engines      {first} and {name} agree to {error:.0e}")
    return found


def _pool5(weights: Weights, crops: NDArray[np.uint8], engine: str) -> Float32:
    averaged: Float32 = Extractor(weights, "pool5", engine=engine)(crops).mean(axis=(1, 2))
    return averaged


def _error(found: Float32, expected: Float32) -> float:
    """Of the photograph in the middle, relative to its vector's norm."""
    norms = np.linalg.norm(expected, axis=1)
    return float(np.median(np.linalg.norm(found - expected, axis=1) / norms))


def _tolerance(weights: Weights) -> float | None:
    """How near the reference has to be; None where the convolutions are not Oxford's.

    conv1_1 does not count: it may have been understood wrongly, which is to be found out.
    """
    compared = identity.compare(weights)
    if all(compared[layer] == identity.SAME for layer in vgg16.CONVOLUTIONS[1:]):
        return _EXACT
    rounded = all(recognition.is_near(weights.tensors, layer) for layer in vgg16.CONVOLUTIONS[1:])
    return _ROUNDED if rounded else None


def _explain(
    weights: Weights, crops: NDArray[np.uint8], expected: Float32, engine: str, error: float
) -> str:
    for sentence, right in explanations(weights):
        if _error(_pool5(right, crops, engine), expected) < _ROUNDED:
            return (
                f"{sentence}: vectors are {error:.0%} off; import the weights again, if need be "
                "with --channels and --scale"
            )
    return (
        f"the vectors of {engine} are {error:.1%} off what Keras computes on the same "
        "convolutions, and neither the order of channels nor mean nor scale explains it"
    )
