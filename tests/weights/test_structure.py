"""Which layers are VGG16's, among whatever else a file holds."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import networks
from tests.weights.written import TIMM_NAMES, TORCHVISION_NAMES
from vggfeat import WeightsError, vgg16
from vggfeat.weights import structure
from vggfeat.weights.layers import Layer
from vggfeat.weights.tensors import Tensor

NARROW = networks.NARROW


def layer(name: str, *shape: int) -> Layer:
    """One that cannot be read: its shape has to do."""
    tensor = Tensor(shape, np.dtype("f4"), lambda: pytest.fail("numbers were read"))
    return Layer(tuple(re.split("[./]", name)), tensor, "hwio" if len(shape) == 4 else "io")


def vgg(names: dict[str, str], widths: dict[str, int] = NARROW, prefix: str = "") -> list[Layer]:
    made, channels = [], 3
    for name, width in widths.items():
        shape = vgg16.kernel_shape(name, channels, width)
        made.append(layer(prefix + names[name], *shape))
        channels = width
    return made


def chosen(layers: Iterable[Layer]) -> dict[str, str]:
    return {name: ".".join(found.path) for name, found in structure.choose(list(layers)).items()}


OWN_NAMES = {name: name for name in NARROW}
SLIM_NAMES = {n: f"{n[:5]}/{n}" if n in vgg16.CONVOLUTIONS else n for n in NARROW}
SEQUENCE = {n: f"layer{i}" for i, n in enumerate(NARROW)}
NAMINGS = {
    "own": OWN_NAMES,
    "slim": SLIM_NAMES,
    "torchvision": TORCHVISION_NAMES,
    "timm": TIMM_NAMES,
    "sequence": SEQUENCE,
}
PREFIXES = ("", "module.", "model.vgg.", "_orig_mod.", "backbone/")
CHANGES: Any = st.tuples(st.sampled_from(sorted(NAMINGS)), st.sampled_from(PREFIXES), st.randoms())


@given(CHANGES)
@settings(max_examples=200, deadline=None)
def test_any_order_below_any_prefix(change: Any) -> None:
    naming, prefix, random = change
    layers = vgg(NAMINGS[naming], prefix=prefix)
    random.shuffle(layers)
    expected = {name: (prefix + NAMINGS[naming][name]).replace("/", ".") for name in NARROW}
    assert chosen(layers) == expected


@given(st.permutations([f"n{i}" for i in range(16)]), st.data())
@settings(max_examples=50, deadline=None)
def test_without_telling_names_the_order_in_the_file_counts(names: list[str], data: Any) -> None:
    """Names that sort into a chain of other layers would be believed: so these do not."""
    layers = vgg(dict(zip(NARROW, names, strict=True)))
    in_order = [layer.path[0] for layer in structure._sorted(layers)]
    found = chosen(layers)
    assert set(found.values()) <= set(names)
    sorted_chain = [found[name] for name in vgg16.CONVOLUTIONS]
    by_names = [name for name in in_order if name in sorted_chain]
    assert sorted_chain in (by_names, names[:13])


def test_a_backbone_whose_convolutions_go_on_is_found() -> None:
    """SSD: conv6 is a 3x3 convolution of 1024, then come heads."""
    names = {n: TORCHVISION_NAMES[n].replace("features", "vgg") for n in NARROW}
    ssd = vgg(names, networks.without("fc6", "fc7", "fc8"))
    more = [
        layer("vgg.31", 3, 3, 32, 64),
        layer("vgg.33", 1, 1, 64, 64),
        layer("extras.0", 1, 1, 64, 16),
        layer("extras.1", 3, 3, 16, 32),
        layer("loc.0", 3, 3, 32, 16),
        layer("conf.0", 3, 3, 32, 84),
    ]
    assert list(chosen(ssd + more)) == list(vgg16.CONVOLUTIONS)


@pytest.mark.parametrize(
    "head",
    [
        [layer("classifier.0", 49 * 32, 64), layer("classifier.3", 64, 5)],
        [layer("classifier.0", 49 * 32, 64), layer("classifier.3", 64, 64)],
        [layer("head.fc", 32, 5)],
        [layer("top", 49 * 32, 5)],
        [],
    ],
)
def test_another_head_is_no_fc6(head: list[Layer]) -> None:
    body = vgg(TORCHVISION_NAMES, networks.without("fc6", "fc7", "fc8"))
    assert list(chosen(body + head)) == list(vgg16.CONVOLUTIONS)


def test_a_new_fc8_of_any_size_and_name_is_taken_where_it_fits() -> None:
    body = vgg(TORCHVISION_NAMES, networks.without("fc8"))
    assert chosen([*body, layer("classifier.6", 256, 3)])["fc8"] == "classifier.6"
    assert "fc8" not in chosen(body)


def test_fc6_is_found_beside_convolutions_that_are_nested_by_block() -> None:
    names = {name: f"net.block{name[4]}.{name[6]}.conv" for name in vgg16.CONVOLUTIONS}
    names |= {"fc6": "net.head.0", "fc7": "net.head.3", "fc8": "net.head.6"}
    assert chosen(vgg(names)) == names


def test_fc6_of_another_scope_is_not_the_networks() -> None:
    body = vgg(OWN_NAMES, networks.without("fc6", "fc7", "fc8"))
    other = [layer("other.fc6", 99, 7), layer("other.fc7", 7, 7)]
    assert list(chosen(body + other)) == list(vgg16.CONVOLUTIONS)


def test_two_networks_are_not_guessed_between() -> None:
    for names in (TORCHVISION_NAMES, OWN_NAMES):
        with pytest.raises(WeightsError, match="several networks, below .*one.* and .*two"):
            chosen(vgg(names, prefix="one.") + vgg(names, prefix="two."))


def relative(plan: str) -> list[Layer]:
    made, channels = [], 3
    for number, width in enumerate(map(int, plan.split())):
        made.append(layer(f"features.{number}", 3, 3, channels, width))
        channels = width
    return made


@pytest.mark.parametrize(
    ("plan", "name"),
    [
        ("4 8 16 16 32 32 32 32", "8 are those of a VGG-11"),
        ("4 4 8 8 16 16 32 32 32 32", "10 are those of a VGG-13"),
        ("4 4 8 8 16 16 16 16 32 32 32 32 32 32 32 32", "16 are those of a VGG-19"),
        ("4 4 8", "it has 3 3x3 convolutions, expected 13$"),
    ],
)
def test_relatives_are_named(plan: str, name: str) -> None:
    with pytest.raises(WeightsError, match=name):
        chosen(relative(plan))


def test_a_vgg19_by_names_is_named() -> None:
    extra = [layer(name, 3, 3, 16, 16) for name in vgg16.VGG19_LAYERS]
    with pytest.raises(WeightsError, match="this is a VGG-19"):
        chosen(vgg(OWN_NAMES) + extra)


def test_a_layer_wider_than_any_vgg16s_is_refused_before_it_is_read() -> None:
    layers = vgg(TORCHVISION_NAMES, NARROW | {"fc6": 1 << 20})
    layers = [item for item in layers if "classifier" not in item.path]
    huge = [layer("fc6", 49 * 32, 1 << 20)]
    with pytest.raises(WeightsError, match="times as wide"):
        structure.check(structure.choose(layers) | {"fc6": huge[0]})


def test_nothing_at_all_is_no_vgg16() -> None:
    with pytest.raises(WeightsError, match="no VGG16: it has 0 3x3 convolutions, expected 13"):
        chosen([])


# Networks that are nearly VGG16's


def test_a_vgg19_cut_at_relu5_1_is_none() -> None:
    """pix2pixHD's and other perceptual losses keep so many."""
    with pytest.raises(WeightsError, match="widths change at other places than VGG16's"):
        chosen(relative("4 4 8 8 16 16 16 16 32 32 32 32 32"))


def test_csrnet_is_none() -> None:
    """VGG16's first ten convolutions as `frontend`, six dilated ones as `backend`."""
    made, channels = [], 3
    plan = {"frontend": (4, 4, 8, 8, 16, 16, 16, 32, 32, 32), "backend": (32, 32, 32, 16, 8, 4)}
    for part, widths in plan.items():
        for number, width in enumerate(widths):
            made.append(layer(f"{part}.{number}", 3, 3, channels, width))
            channels = width
    for ordered in (False, True):
        with pytest.raises(WeightsError, match="no VGG16"):
            structure.choose(made, ordered=ordered)


def test_words_do_not_tell_an_order_but_the_file_may() -> None:
    words = dict(zip(vgg16.CONVOLUTIONS, "b a d c f e h j i g m l k".split(), strict=True))
    body = vgg(words, networks.without("fc6", "fc7", "fc8"))
    found = structure.choose(body, ordered=True)
    assert [found[name].path[0] for name in vgg16.CONVOLUTIONS] == list(words.values())


@pytest.mark.parametrize("channels", [1, 4])
def test_a_first_layer_over_grey_or_depth_is_named(channels: int) -> None:
    body = vgg(TORCHVISION_NAMES, {n: w for n, w in vgg16.WIDTHS.items() if n != "conv1_1"})
    first = layer("features.0", 3, 3, channels, 64)
    body[0] = layer("features.2", 3, 3, 64, 64)
    with pytest.raises(WeightsError, match=f"the first is over {channels} channels"):
        chosen([first, *body])


BODY = vgg(TORCHVISION_NAMES, networks.without("fc6", "fc7", "fc8"))
HEAD = [layer("classifier.0", 49 * 32, 256), layer("classifier.3", 256, 256)]


@pytest.mark.parametrize(
    ("others", "found"),
    [
        ([layer("aux", 256, 256)], ["classifier.0", "classifier.3"]),
        ([layer("aux", 49 * 32, 256)], ["classifier.0", "classifier.3"]),
        ([layer("reduce", 1, 1, 32, 32)], []),
        ([layer("other.0", 49 * 32, 256), layer("other.3", 256, 256)], []),
    ],
)
def test_fc7_is_what_follows_fc6(others: list[Layer], found: list[str]) -> None:
    names = chosen(BODY + HEAD + others)
    assert [names[name] for name in ("fc6", "fc7") if name in names] == found


def test_a_square_layer_further_on_is_no_fc7() -> None:
    head = [HEAD[0], layer("classifier.3", 256, 64), layer("classifier.6", 64, 256),
            layer("classifier.9", 256, 256)]  # fmt: skip
    assert set(chosen(BODY + head)) == {*vgg16.CONVOLUTIONS, "fc6"}
