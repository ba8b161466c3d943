"""`Extractor`: every kind of image that Python code holds."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests import networks
from vggfeat import Extractor, ImageError
from vggfeat.preprocess import Preprocessing, preprocess
from vggfeat.recipe import Recipe

EXTRACTOR = Extractor(networks.weights(), batch_size=4)


@pytest.fixture(scope="module")
def photograph(samples: list[Path]) -> Path:
    return next(path for path in samples if path.name == "china.jpg")


@pytest.fixture(scope="module")
def expected(photograph: Path) -> NDArray[np.float32]:
    return EXTRACTOR(preprocess(photograph.read_bytes()))


def test_paths_bytes_pil_images_and_arrays_are_the_same_image(
    photograph: Path, expected: NDArray[np.float32]
) -> None:
    pixels = np.asarray(Image.open(photograph))
    forms = [photograph, str(photograph), photograph.read_bytes(), Image.open(photograph), pixels]
    vectors = EXTRACTOR(forms)
    assert vectors.shape == (5, 256)
    for vector in vectors:
        np.testing.assert_array_equal(vector, expected[0])


def test_a_224_array_is_taken_as_it_is_and_another_size_is_cropped() -> None:
    crop = networks.pictures(1)[0]
    assert not np.array_equal(EXTRACTOR(crop), EXTRACTOR(np.pad(crop, ((9, 9), (9, 9), (0, 0)))))
    shrunk = Extractor(networks.weights(), resize=224)
    np.testing.assert_array_equal(shrunk(Image.fromarray(crop)), EXTRACTOR(crop))


def test_one_image_alone_gives_one_row(photograph: Path, expected: NDArray[np.float32]) -> None:
    for image in (photograph, str(photograph), photograph.read_bytes(), Image.open(photograph)):
        np.testing.assert_array_equal(EXTRACTOR(image), expected)


def test_no_images_give_no_rows() -> None:
    vectors = EXTRACTOR([])
    assert (vectors.shape, vectors.dtype) == ((0, 256), np.float32)


def test_an_iterator_is_taken_batch_by_batch() -> None:
    crops = networks.pictures(9)
    np.testing.assert_array_equal(EXTRACTOR(iter(crops)), EXTRACTOR(crops))


def test_grey_and_transparent_arrays_are_images_too() -> None:
    grey = networks.pictures(1)[0, :, :, 0]
    rgb = np.stack([grey] * 3, axis=2)
    opaque = np.dstack([rgb, np.full_like(grey, 255)])
    plain = Extractor(networks.weights(), resize=224)
    for same in (grey, grey[:, :, None], opaque):
        np.testing.assert_array_equal(plain([same]), plain([rgb]))


def test_a_bad_image_is_named_by_its_path_or_place(tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"no picture")
    with pytest.raises(ImageError, match=r"bad\.jpg: not an image"):
        EXTRACTOR([tmp_path / "bad.jpg"])
    with pytest.raises(ImageError, match="image 1: not an image"):
        EXTRACTOR([networks.pictures(1)[0], b"no picture"])
    with pytest.raises(ImageError, match=r"none\.jpg: No such file"):
        EXTRACTOR(tmp_path / "none.jpg")


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros((224, 224, 3), np.float32), "an array of float32: give uint8"),
        (np.zeros((3, 224, 224), np.uint8), r"shape \[3,224,224\]: give \[height,width,3\]"),
        (np.zeros((0, 5, 3), np.uint8), "no pixels"),
    ],
)
def test_an_array_that_is_no_image_is_refused_in_plain_words(
    array: NDArray[np.generic], reason: str
) -> None:
    with pytest.raises(ImageError, match=reason):
        EXTRACTOR([array])


def test_what_is_no_image_at_all_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="image 0 is int: give a path"):
        EXTRACTOR([3])  # type: ignore[list-item]


@pytest.mark.parametrize("options", [{"batch_size": 0}, {"resize": 223}, {"size": 31}])
def test_settings_that_cannot_be_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="least"):
        Extractor(networks.weights(), **options)  # type: ignore[arg-type]


def test_several_layers_are_one_dictionary_of_what_each_gives_alone() -> None:
    crops = networks.pictures(3)
    asked = ["pool5:avg", "fc7", "conv1_1", "fc7"]
    several = Extractor(networks.weights(), asked)
    found = several(crops)
    assert list(found) == list(several.shape) == ["conv1_1", "pool5:avg", "fc7"]
    for layer, features in found.items():
        assert features.shape == (3, *several.shape[layer])
        np.testing.assert_array_equal(features, Extractor(networks.weights(), layer)(crops))
    assert Extractor(networks.weights(), ["fc7"])([])["fc7"].shape == (0, 256)


def test_rows_of_length_one_in_half_the_space() -> None:
    crops = networks.pictures(3)
    plain = EXTRACTOR(crops)
    found = Extractor(networks.weights(), normalize="l2", dtype="float16")(crops)
    assert found.dtype == np.float16
    expected = plain / np.linalg.norm(plain.astype(float), axis=1, keepdims=True)
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-6)


def test_another_size_shows_the_network_the_same_part_of_the_picture(photograph: Path) -> None:
    small = Extractor(networks.weights(), "pool5", size=112)
    assert small.shape == (3, 3, 32)
    seen = preprocess(photograph.read_bytes(), 128, size=112)
    np.testing.assert_array_equal(small(photograph), small(seen))


def test_a_recipe_tells_what_a_row_is_made_by() -> None:
    weights = networks.weights()
    extractor = Extractor(weights, "pool5:avg", size=112, normalize="l2")
    expected = Recipe(
        weights.fingerprint, weights.source, "pool5:avg", Preprocessing(128, size=112), "l2"
    )
    assert extractor.recipe == expected
    several = Extractor(weights, ["pool5:avg", "pool1:avg"], size=112, normalize="l2")
    assert several.recipe["pool5:avg"] == expected


def test_png_bytes_from_memory_work(expected: NDArray[np.float32], photograph: Path) -> None:
    out = io.BytesIO()
    Image.open(photograph).save(out, "PNG")
    np.testing.assert_array_equal(EXTRACTOR(out.getvalue()), expected)
