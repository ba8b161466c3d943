"""What the rows of an output depend on, and how two outputs differ in it."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from vggfeat.activations import Activation
from vggfeat.preprocess import Preprocessing
from vggfeat.weights import Weights

_PLAIN = ("format", "layer", "engine", "precision", "normalize", "dtype", "shape")


def settings(
    form: str,
    activations: Sequence[Activation],
    preprocessing: Preprocessing,
    engine: str,
    weights: Weights,
    *,
    precision: str = "float32",
    normalize: str | None = None,
    dtype: str = "float32",
) -> dict[str, Any]:
    """The settings of a run, as `feats.json` tells them."""
    size, widths = preprocessing.size, weights.width_of
    return {
        "vggfeat": version("vggfeat"),
        "format": form,
        "dtype": dtype,
        "normalize": normalize or "none",
        "layers": [{"layer": str(a), "shape": list(a.shape(widths, size))} for a in activations],
        "weights": {"fingerprint": weights.fingerprint, **weights.origin.as_dict()},
        "preprocessing": {
            "decode": "fast" if preprocessing.fast_decode else "exact",
            "resize": preprocessing.resize,
            "crop": size,
            "resample": "bilinear",
            "channels": "rgb",
            "mean": [round(float(value), 3) for value in weights.tensors["mean"]],
        },
        "engine": engine,
        "precision": precision,
        "versions": _versions(engine),
    }


def difference(made: dict[str, Any], asked: dict[str, Any]) -> str | None:
    """What is asked for otherwise than it was made, in words; None if all that counts is the same.

    Versions do not count.
    """
    if made.get("weights", {}).get("fingerprint") != asked["weights"]["fingerprint"]:
        return f"weights {_source(asked)}, not {_source(made)}"
    plain, before = _plain(asked), _plain(made)
    for name in _PLAIN:
        if before[name] != plain[name]:
            return f"{name} {plain[name]}, not {before[name]}"
    pixels = made.get("preprocessing", {})
    for name, value in asked["preprocessing"].items():
        if pixels.get(name) != value:
            return f"{name} {value}, not {pixels.get(name)}"
    return None


def _plain(told: dict[str, Any]) -> dict[str, Any]:
    """What is told by a word or two; of several layers all together."""
    layers = told.get("layers") or [{}]
    listed = {
        name: " and ".join(str(layer.get(name)) for layer in layers) for name in ("layer", "shape")
    }
    return {name: told.get(name) for name in _PLAIN} | listed


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
