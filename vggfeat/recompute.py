"""Rows of an output computed again, and compared with those that are there."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from vggfeat.activations import parse_all
from vggfeat.errors import VggfeatError
from vggfeat.extractor import Extractor
from vggfeat.features import recipe_of
from vggfeat.outcome import Numbers
from vggfeat.settings import difference, settings
from vggfeat.sinks.index import Entry
from vggfeat.sinks.published import Published
from vggfeat.sinks.rows import Rows, checksum
from vggfeat.sources.again import ref
from vggfeat.weights import Weights

# Of a row's norm, by what the network is computed in: in float32 engines differ by 1e-6, and
# otherwise a GPU may round anew where it takes another way to the same sum.
_TOLERANCES = {"float32": 1e-4, "tf32": 2e-3, "bfloat16": 2e-2, "float16": 4e-3}
_TOLERANCE_IN_FLOAT16 = 2e-3  # of what is kept so


class Recomputed(NamedTuple):
    """How many rows were right, how many of those to the last bit, and what is wrong."""

    right: int
    bit_equal: int
    damages: list[str]


def recompute(
    published: Published, layers: Sequence[Rows], count: int, weights: Weights
) -> Recomputed:
    """Compute some rows again, of images that are still the same.

    Args:
        layers: the rows of each layer.
        count: how many, chosen at random.

    Raises:
        VggfeatError: the weights are others.
    """
    about, entries, _ = published
    extractor = _extractor_of(about, weights)
    some = sorted(random.sample(range(len(entries)), min(count, len(entries))))
    same = {row: data for row in some if (data := _unchanged(entries[row])) is not None}
    again = extractor(list(same.values()))
    right, equal, damages = 0, 0, []
    for number, row in enumerate(same):
        made = [again[layer["layer"]][number] for layer in about["layers"]]
        before = [rows.numbers(row) for rows in layers]
        if error := _worst(made, before, _tolerance(about)):
            damages.append(
                f"row {row} ({entries[row].name}) is off by {error:.1e} of its norm when it is "
                "computed again"
            )
            continue
        right += 1
        equal += list(map(checksum, made)) == entries[row].crc32s
    return Recomputed(right, equal, damages)


def _extractor_of(about: dict[str, Any], weights: Weights) -> Extractor:
    """What makes such rows, layer by layer. Raises VggfeatError where the weights are others."""
    recipe = recipe_of(about)
    layers = [layer["layer"] for layer in about["layers"]]
    asked = settings(
        about["format"], parse_all(layers), recipe.preprocessing, about["engine"], weights,
        precision=about["precision"], normalize=recipe.normalize, dtype=about["dtype"],
    )  # fmt: skip
    if why := difference(about, asked):
        raise VggfeatError(f"rows cannot be computed again: {why}; give --weights")
    return Extractor.of(
        recipe, weights, layers,
        engine=about["engine"], precision=about["precision"], dtype=about["dtype"],
    )  # fmt: skip


def _tolerance(about: dict[str, Any]) -> float:
    kept = _TOLERANCE_IN_FLOAT16 if about["dtype"] == "float16" else 0.0
    return max(_TOLERANCES[about["precision"]], kept)


def _worst(made: Sequence[Numbers], before: Sequence[Numbers], tolerance: float) -> float:
    """The largest difference of a layer, of its norm; 0 if all are within the tolerance."""
    worst = 0.0
    for found, expected in zip(made, before, strict=True):
        expected64 = expected.astype(np.float64)
        error = np.linalg.norm(found.ravel() - expected64)
        worst = max(worst, float(error / max(float(np.linalg.norm(expected64)), 1e-30)))
    return worst if worst > tolerance else 0.0


def _unchanged(entry: Entry) -> bytes | None:
    """The content of an image's file, if it is the one that the row was made from."""
    try:
        image = ref(entry.name)
        data = image.read().data if image else None
    except (OSError, VggfeatError, ValueError):  # ValueError: a NUL within the path
        return None
    if isinstance(data, bytes) and hashlib.sha256(data).hexdigest() == entry.sha256:
        return data
    return None
