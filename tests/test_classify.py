"""The most probable classes are those of the network's numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests import networks
from vggfeat import Extractor, WeightsError
from vggfeat.classify import Classified, classify
from vggfeat.outcome import Failure
from vggfeat.sources import open_inputs


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("classify")
    for number, pixels in enumerate(networks.pictures(3)):
        Image.fromarray(pixels).save(folder / f"{number}.png")
    (folder / "1.5.jpg").write_bytes(b"no picture")
    return folder


@pytest.mark.parametrize(("classes", "top"), [(1000, 5), (10, 3), (3, 5)])
def test_they_are_those_of_a_softmax_in_float64(folder: Path, classes: int, top: int) -> None:
    widths = networks.NARROW | {"fc8": classes}
    kernel, bias = networks.layers(widths)["fc8"]
    weights = networks.weights(widths)
    files = [folder / f"{number}.png" for number in range(3)]
    logits = Extractor(weights, "fc7")(files).astype(float) @ kernel + bias
    expected = np.exp(logits - logits.max(axis=1, keepdims=True))
    expected /= expected.sum(axis=1, keepdims=True)
    found = list(classify(open_inputs([str(folder)]), weights, top))
    assert [item.reason for item in found if isinstance(item, Failure)] == [
        "not an image, or of a format that is not supported"
    ]
    classified = [item for item in found if isinstance(item, Classified)]
    assert [item.image for item in classified] == [str(file) for file in files]
    for item, row in zip(classified, expected, strict=True):
        best = np.argsort(-row)[:top]
        assert [guess.number for guess in item.guesses] == best.tolist()
        probabilities = [guess.probability for guess in item.guesses]
        np.testing.assert_allclose(probabilities, row[best], rtol=1e-3, atol=1e-30)


def test_names_are_imagenets_where_there_are_1000(folder: Path) -> None:
    for classes, named in ((1000, True), (10, False)):
        weights = networks.weights(networks.NARROW | {"fc8": classes})
        [item] = classify(open_inputs([str(folder / "0.png")]), weights, 1)
        assert isinstance(item, Classified)
        [guess] = item.guesses
        assert guess.wnid.startswith("n0" if named else "")
        assert (guess.name == f"class {guess.number}") is not named


def test_weights_without_fc8_are_refused_at_once(folder: Path) -> None:
    with pytest.raises(WeightsError, match="hold no fc8, which tells the classes: .* keras, slim"):
        classify(open_inputs([str(folder)]), networks.weights(networks.without("fc8")))
