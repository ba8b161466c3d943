"""What the rows of an output depend on, and how two outputs differ in it."""

from __future__ import annotations

import platform
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from vggfeat.preprocess import Preprocessing
from vggfeat.vgg16 import SIZE
from vggfeat.weights import Weights

_PLAIN = ("format", "layer", "engine", "precision", "dtype", "shape")


def settings(
    form: str, layer: str, preprocessing: Preprocessing, engine: str, weights: Weights
) -> dict[str, Any]:
    """The settings of a run, as `feats.json` tells them."""
    return {
        "vggfeat": version("vggfeat"),
        "format": form,
        "shape": list(weights.shape_of(layer)),
        "dtype": "float32",
        "layer": layer,
        "weights": {"fingerprint": weights.fingerprint, **weights.origin.as_dict()},
        "preprocessing": {
            "decode": "fast" if preprocessing.fast_decode else "exact",
            "resize": preprocessing.resize,
            "crop": SIZE,
            "resample": "bilinear",
            "channels": "rgb",
            "mean": [round(float(value), 3) for value in weights.tensors["mean"]],
        },
        "engine": engine,
        "precision": "float32",
        "versions": _versions(engine),
    }


def difference(made: dict[str, Any], asked: dict[str, Any]) -> str | None:
    """What is asked for otherwise than it was made, in words; None if all that counts is the same.

    Versions do not count.
    """
    if made.get("weights", {}).get("fingerprint") != asked["weights"]["fingerprint"]:
        return f"weights {_source(asked)}, not {_source(made)}"
    for name in _PLAIN:
        if made.get(name) != asked[name]:
            return f"{name} {asked[name]}, not {made.get(name)}"
    before = made.get("preprocessing", {})
    for name, value in asked["preprocessing"].items():
        if before.get(name) != value:
            return f"{name} {value}, not {before.get(name)}"
    return None


def decodes_alike(made: dict[str, Any], asked: dict[str, Any]) -> bool:
    """Whether the same programs decoded: others may read what those could not."""
    before = made.get("vggfeat"), made.get("versions", {}).get("pillow")
    return before == (asked["vggfeat"], asked["versions"]["pillow"])


def _source(made: dict[str, Any]) -> str:
    weights = made.get("weights", {})
    return f"{weights.get('source', 'unknown ones')} ({str(weights.get('fingerprint'))[:8]})"


def _versions(engine: str) -> dict[str, str]:
    versions = {name: version(name) for name in ("numpy", "pillow")}
    with suppress(PackageNotFoundError):  # TensorFlow has packages of several names
        versions[engine] = version(engine)
    return versions | {"python": platform.python_version()}
