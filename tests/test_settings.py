"""What the rows of an output depend on: told whole, and compared in what counts."""

from __future__ import annotations

import copy
import json
import platform
from importlib.metadata import version
from typing import Any

import numpy as np
import PIL
import pytest

from tests import networks
from vggfeat.activations import parse, parse_all
from vggfeat.preprocess import Preprocessing
from vggfeat.settings import decodes_alike, difference, settings
from vggfeat.weights import Weights

FC7 = parse("fc7")


@pytest.fixture(scope="module")
def weights() -> Weights:
    return networks.weights()


@pytest.fixture
def made(weights: Weights) -> dict[str, Any]:
    return settings("npy", [FC7], Preprocessing(), "ncnn", weights)


def changed(made: dict[str, Any], *path: str, to: object) -> dict[str, Any]:
    """The same, but for one value."""
    *above, last = path
    changed = inner = copy.deepcopy(made)
    for name in above:
        inner = inner[name]
    assert inner[last] != to
    inner[last] = to
    return changed


def test_all_that_rows_depend_on_is_told(made: dict[str, Any], weights: Weights) -> None:
    assert {name: value for name, value in made.items() if name not in ("weights", "versions")} == {
        "vggfeat": version("vggfeat"),
        "format": "npy",
        "dtype": "float32",
        "normalize": "none",
        "layers": [{"layer": "fc7", "shape": [networks.NARROW["fc7"]]}],
        "preprocessing": {
            "decode": "exact", "resize": 256, "crop": 224, "resample": "bilinear",
            "channels": "rgb", "mean": [123.68, 116.779, 103.939],
        },
        "engine": "ncnn",
        "precision": "float32",
    }  # fmt: skip
    assert made["weights"]["fingerprint"] == weights.fingerprint
    assert made["weights"]["source"] == "made for a test"


def test_versions_are_told(made: dict[str, Any]) -> None:
    versions = made["versions"]
    assert versions.keys() == {"numpy", "pillow", "ncnn", "python"}
    assert versions["numpy"] == np.__version__
    assert versions["pillow"] == PIL.__version__
    assert versions["python"] == platform.python_version()


def test_an_engine_without_a_package_of_its_name_has_no_version(weights: Weights) -> None:
    told = settings("npy", [FC7], Preprocessing(), "no such engine", weights)
    assert told["versions"].keys() == {"numpy", "pillow", "python"}


def test_what_is_asked_for_is_told(weights: Weights) -> None:
    asked = parse_all(["fc6:linear", "pool5"])
    pixels = Preprocessing(300, fast_decode=True, size=256)
    told = settings("csv", asked, pixels, "blas", weights, normalize="l2", dtype="float16")
    assert (told["format"], told["engine"]) == ("csv", "blas")
    assert (told["normalize"], told["dtype"]) == ("l2", "float16")
    assert told["layers"] == [
        {"layer": "pool5", "shape": [8, 8, networks.NARROW["conv5_3"]]},
        {"layer": "fc6:linear", "shape": [networks.NARROW["fc6"]]},
    ]
    assert {name: told["preprocessing"][name] for name in ("resize", "crop", "decode")} == {
        "resize": 300, "crop": 256, "decode": "fast"
    }  # fmt: skip


def test_they_are_the_same_after_they_were_written(made: dict[str, Any]) -> None:
    assert json.loads(json.dumps(made)) == made
    assert difference(json.loads(json.dumps(made)), made) is None


@pytest.mark.parametrize(
    ("path", "before", "words"),
    [
        (("format",), "csv", "format npy, not csv"),
        (("layers",), [{"layer": "fc6"}], "layer fc7, not fc6"),
        (("layers",), [{"layer": "fc6"}, {"layer": "fc7"}], "layer fc7, not fc6 and fc7"),
        (("normalize",), "l2", "normalize none, not l2"),
        (("engine",), "blas", "engine ncnn, not blas"),
        (("precision",), "float16", "precision float32, not float16"),
        (("dtype",), "float64", "dtype float32, not float64"),
        (
            ("layers",),
            [{"layer": "fc7", "shape": [4096]}],
            f"shape [{networks.NARROW['fc7']}], not [4096]",
        ),
        (("preprocessing", "decode"), "fast", "decode exact, not fast"),
        (("preprocessing", "resize"), 224, "resize 256, not 224"),
        (("preprocessing", "crop"), 256, "crop 224, not 256"),
        (("preprocessing", "resample"), "bicubic", "resample bilinear, not bicubic"),
        (("preprocessing", "channels"), "bgr", "channels rgb, not bgr"),
        (("preprocessing", "mean"), [0, 0, 0], "mean [123.68, 116.779, 103.939], not [0, 0, 0]"),
    ],
)
def test_what_is_asked_for_otherwise_is_named(
    made: dict[str, Any], path: tuple[str, ...], before: object, words: str
) -> None:
    assert difference(changed(made, *path, to=before), made) == words


def test_other_weights_are_named_by_source_and_number(made: dict[str, Any]) -> None:
    other = networks.weights(seed=1)
    asked = settings("npy", [FC7], Preprocessing(), "ncnn", other)
    before = changed(made, "weights", "source", to="keras a.h5")
    assert difference(before, asked) == (
        f"weights made for a test ({other.fingerprint[:8]}), "
        f"not keras a.h5 ({made['weights']['fingerprint'][:8]})"
    )


def test_the_same_numbers_from_elsewhere_are_the_same_weights(made: dict[str, Any]) -> None:
    assert difference(changed(made, "weights", "source", to="keras a.h5"), made) is None


@pytest.mark.parametrize("path", [("vggfeat",), *(("versions", x) for x in ("pillow", "numpy"))])
def test_versions_are_no_difference(made: dict[str, Any], path: tuple[str, ...]) -> None:
    assert difference(changed(made, *path, to="0.1"), made) is None


def test_what_is_not_told_differs(made: dict[str, Any]) -> None:
    assert str(difference({}, made)).endswith(", not unknown ones (None)")
    for name in ("format", "layers", "engine", "precision", "normalize", "dtype"):
        rest = {other: value for other, value in made.items() if other != name}
        words = "layer fc7" if name == "layers" else f"{name} {made[name]}"
        assert difference(rest, made) == f"{words}, not None"
    rest = {name: value for name, value in made.items() if name != "preprocessing"}
    assert difference(rest, made) == "decode exact, not None"


@pytest.mark.parametrize(
    ("path", "alike"),
    [(("vggfeat",), False), (("versions", "pillow"), False), (("versions", "numpy"), True)],
)
def test_images_are_decoded_alike_by_the_same_programs(
    made: dict[str, Any], path: tuple[str, ...], alike: bool
) -> None:
    assert decodes_alike(made, made)
    assert decodes_alike(changed(made, *path, to="0.1"), made) == alike


def test_what_tells_no_programs_decoded_otherwise(made: dict[str, Any]) -> None:
    assert not decodes_alike({}, made)
