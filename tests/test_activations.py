"""The words of `--layer`."""

from __future__ import annotations

import pytest

from vggfeat import vgg16
from vggfeat.activations import Activation, parse
from vggfeat.errors import UsageError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fc7", Activation("fc7")),
        ("fc7:linear", Activation("fc7", linear=True)),
        ("prob", Activation("prob")),
        ("pool5:avg", Activation("pool5", pooling="avg")),
        ("conv5_3:linear:flat", Activation("conv5_3", linear=True, pooling="flat")),
    ],
)
def test_what_is_written_is_what_is_meant(text: str, expected: Activation) -> None:
    assert parse(text) == expected
    assert str(expected) == text


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("fc9", "no layer 'fc9'; there are conv1_1, .*, prob"),
        ("", "no layer ''; there are"),
        ("fc7:avg", "fc7 is no map"),
        ("pool5:linear", "pool5 has no ReLU"),
        ("fc8:linear", "fc8 has no ReLU"),
        ("pool5:mean", "behind pool5 there may be"),
        ("conv1_1:avg:linear", "behind conv1_1 there may be"),
        ("conv1_1:linear:avg:max", "behind conv1_1 there may be"),
        ("pool5:", "behind pool5 there may be"),
    ],
)
def test_what_there_is_not_is_one_sentence(text: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason) as raised:
        parse(text)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "size", "shape"),
    [
        ("conv1_1", 224, (224, 224, 64)),
        ("pool1", 33, (16, 16, 64)),
        ("conv5_3:flat", 224, (14 * 14 * 512,)),
        ("pool5", 32, (1, 1, 512)),
        ("pool5", 300, (9, 9, 512)),
        ("pool5:max", 300, (512,)),
        ("fc6:linear", 448, (4096,)),
        ("prob", 224, (1000,)),
    ],
)
def test_shapes(text: str, size: int, shape: tuple[int, ...]) -> None:
    assert parse(text).shape(vgg16.WIDTHS, size) == shape


def test_a_layer_takes_what_is_below_it_and_no_more() -> None:
    assert parse("conv2_1:avg").parts == ("conv1_1", "conv1_2", "conv2_1")
    assert parse("pool1").parts == ("conv1_1", "conv1_2")
    assert parse("prob").parts == vgg16.LAYERS
