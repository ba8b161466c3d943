"""Caffe models that say how they are built: VGG16, and what differs from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import networks
from tests.weights.formats.test_caffe import number, part, shaped, stored, varint
from vggfeat import WeightsError, vgg16
from vggfeat.weights import formats

SAME = networks.weights().fingerprint
ALONE = networks.weights(networks.without("fc6", "fc7", "fc8")).fingerprint
LAST = [list(block)[-1] for block in vgg16.BLOCKS]
FLOAT = np.float32

OLD_KINDS = {"Convolution": 4, "InnerProduct": 14, "Pooling": 17, "ReLU": 18}  # V1's LayerType

Fields = Mapping[str, bytes]


class Net:
    """Layers that are added one behind the other, in the new form or the old one."""

    def __init__(self, *, old: bool = False) -> None:
        self.old = old
        self.last = "data"
        self.bytes = part(1, "net")

    def add(
        self, name: str, kind: str, *blobs: Any, top: str = "", source: str = "", **told: bytes
    ) -> None:
        """A layer on `source`, else on the newest blob; in place where `top` is `same`."""
        bottom = source or self.last
        top = bottom if top == "same" else top or name
        fields = {"convolution": (106, 10), "pooling": (121, 19), "relu": (123, 30)}
        more = b"".join(part(fields[key][self.old], value) for key, value in told.items())
        if self.old:
            message = part(2, bottom) + part(3, top) + part(4, name)
            message += number(5, OLD_KINDS[kind])
        else:
            message = part(1, name) + part(2, kind) + part(3, bottom) + part(4, top)
        held = b"".join(part(6 if self.old else 7, shaped(blob)) for blob in blobs)
        self.bytes += part(2 if self.old else 100, message + held + more)
        self.last = top


def window(**sides: int) -> bytes:
    at = {"output": 1, "pad": 3, "kernel": 4, "group": 5, "stride": 6, "dilation": 18,
          "pad_h": 9, "pad_w": 10, "stride_h": 13}  # fmt: skip
    return b"".join(number(at[key], value) for key, value in sides.items())


def pooling(method: int = 0, kernel: int = 2, stride: int = 2, **more: int) -> bytes:
    extra = b"".join(number({"pad": 4, "all": 12}[key], value) for key, value in more.items())
    return number(1, method) + number(2, kernel) + number(3, stride) + extra


Change = Callable[[Net, str], None]


def vgg(
    *, old: bool = False, windows: Fields | None = None, pools: Fields | None = None,
    activation: Mapping[str, str] | None = None, behind: Mapping[str, Change] | None = None,
    before: Mapping[str, Change] | None = None, names: list[str] = LAST,
) -> Net:  # fmt: skip
    """As Caffe writes it. `names` are the convolutions that pools follow."""
    net = Net(old=old)
    for name, convolution, kernel, bias in stored():
        (before or {}).get(name, lambda *_: None)(net, name)
        usual = window(output=len(bias), pad=1, kernel=3)
        if convolution:
            net.add(name, "Convolution", kernel, bias, convolution=(windows or {}).get(name, usual))
        else:
            net.add(name, "InnerProduct", kernel, bias)
        if name == "fc8":
            break
        if kind := (activation or {}).get(name, "ReLU"):
            net.add(f"relu_{name}", kind, top="same")
        (behind or {}).get(name, lambda *_: None)(net, name)
        if name in names:
            net.add(f"pool{name[4]}", "Pooling", pooling=(pools or {}).get(name, pooling()))
    return net


def read(net: Net, path: Path) -> Any:
    file = path / "a.caffemodel"
    file.write_bytes(net.bytes)
    return formats.read(file)


@pytest.mark.parametrize("old", [False, True])
def test_the_published_layers_are_taken(old: bool, tmp_path: Path) -> None:
    assert read(vgg(old=old), tmp_path).fingerprint == SAME


CONV = {"pad": 1, "kernel": 3}
DIFFERENT_WINDOWS = {
    "dilated": ("conv5_1", window(**CONV, dilation=2), "dilation 2, expected 1"),
    "unpadded": ("conv1_1", window(kernel=3), "pad 0, expected 1"),
    "padded": ("conv1_1", window(kernel=3, pad=100), "pad 100, expected 1"),
    "one side": ("conv1_1", window(kernel=3, pad_h=1), "pad 1x0, expected 1"),
    "strided": ("conv3_1", window(**CONV, stride=2), "stride 2, expected 1"),
    "grouped": ("conv3_1", window(**CONV, group=2), "group 2, expected 1"),
}


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("case", DIFFERENT_WINDOWS)
def test_another_convolution_is_refused(case: str, old: bool, tmp_path: Path) -> None:
    name, told, said = DIFFERENT_WINDOWS[case]
    with pytest.raises(WeightsError, match=f"no VGG16: {name} has {said}"):
        read(vgg(old=old, windows={name: told}), tmp_path)


def test_sides_of_their_own_are_read(tmp_path: Path) -> None:
    told = {"conv1_1": window(kernel=3, pad_h=1, pad_w=1)}
    assert read(vgg(windows=told), tmp_path).fingerprint == SAME
    packed = {"conv1_1": part(3, varint(1) + varint(1)) + part(4, varint(3) + varint(3))}
    assert read(vgg(windows=packed), tmp_path).fingerprint == SAME


DIFFERENT_POOLS = {
    "average": (pooling(1), "has method AVE, expected MAX"),
    "3x3": (pooling(kernel=3), "has kernel 3, expected 2"),
    "overlapping": (pooling(stride=1), "has stride 1, expected 2"),
    "padded": (pooling(pad=1), "has pad 1, expected 0"),
    "global": (number(12, 1), "has global_pooling true, expected false"),
}


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("case", DIFFERENT_POOLS)
def test_another_pool_is_refused(case: str, old: bool, tmp_path: Path) -> None:
    told, said = DIFFERENT_POOLS[case]
    with pytest.raises(WeightsError, match=rf"no VGG16: pool4 \(Pooling\) {said}"):
        read(vgg(old=old, pools={"conv4_3": told}), tmp_path)


@pytest.mark.parametrize("case", DIFFERENT_POOLS)
def test_another_last_pool_leaves_the_convolutions_and_is_noted(case: str, tmp_path: Path) -> None:
    told, said = DIFFERENT_POOLS[case]
    found = read(vgg(pools={"conv5_3": told}), tmp_path)
    assert found.fingerprint == ALONE
    expected = said.replace("has", "pool5 (Pooling) with", 1)
    assert any(expected in warning for warning in found.origin.warnings)


def test_no_pools_and_pools_elsewhere_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="conv1_2 is followed by 0 max pools, expected 1"):
        read(vgg(names=[]), tmp_path)
    with pytest.raises(WeightsError, match="conv2_1 is followed by 1 max pools, expected 0"):
        read(vgg(names=["conv1_2", "conv2_1", *LAST[2:]]), tmp_path)


def test_a_head_without_pool5_is_not_taken(tmp_path: Path) -> None:
    assert read(vgg(names=LAST[:-1]), tmp_path).fingerprint == ALONE


def added(kind: str, *blobs: Any) -> Change:
    return lambda net, name: net.add(f"{name}_x", kind, *blobs, top="same")


@pytest.mark.parametrize(
    "kind", ["Eltwise", "LRN", "Concat", "Interp", "BatchNorm", "Deconvolution"]
)
def test_a_layer_between_is_refused(kind: str, tmp_path: Path) -> None:
    with pytest.raises(
        WeightsError, match=rf"no VGG16: conv3_1_x \({kind}\) stands before conv3_2"
    ):
        read(vgg(behind={"conv3_1": added(kind)}), tmp_path)


def test_a_learned_layer_between_is_refused(tmp_path: Path) -> None:
    square = np.ones((16, 16, 1, 1), FLOAT)
    with pytest.raises(WeightsError, match=r"conv3_1_x \(Convolution\) stands before conv3_2"):
        read(vgg(behind={"conv3_1": added("Convolution", square)}), tmp_path)


@pytest.mark.parametrize(("kind", "name"), [("TanH", "conv1_1"), ("PReLU", "conv5_3")])
def test_another_activation_is_refused(kind: str, name: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=rf"no VGG16: relu_{name} \({kind}\) stands before"):
        read(vgg(activation={name: kind}), tmp_path)
    with pytest.raises(WeightsError, match=f"no VGG16: {name} is followed by no ReLU"):
        read(vgg(activation={name: ""}), tmp_path)


def test_a_leaky_relu_is_refused(tmp_path: Path) -> None:
    slope = varint(1 << 3 | 5) + np.array([0.1], "<f4").tobytes()

    def leaky(net: Net, name: str) -> None:
        net.add("leaky", "ReLU", top="same", relu=slope)

    with pytest.raises(WeightsError, match=r"leaky \(ReLU\) has slope 0.1 below zero, expected 0"):
        read(vgg(activation={"conv2_1": ""}, behind={"conv2_1": leaky}), tmp_path)


@pytest.mark.parametrize(
    ("name", "kind", "kept"),
    [("fc6", "TanH", ()), ("fc6", "", ()), ("fc7", "TanH", ("fc6",)), ("fc7", "", ("fc6",))],
)
def test_the_head_is_taken_as_far_as_it_is_vggs(
    name: str, kind: str, kept: tuple[str, ...], tmp_path: Path
) -> None:
    assert read(vgg(activation={name: kind}), tmp_path).layers[13:] == kept


def test_what_stands_between_fc6_and_fc7_ends_at_fc6(tmp_path: Path) -> None:
    found = read(vgg(behind={"fc6": added("LRN")}), tmp_path)
    assert found.layers[13:] == ("fc6",)


def test_what_does_nothing_is_passed(tmp_path: Path) -> None:
    net = vgg(
        before={"fc6": added("Flatten"), "conv1_1": added("Data")},
        behind={"conv2_1": added("Split"), "conv3_1": added("Dropout"), "fc6": added("Dropout")},
    )
    assert read(net, tmp_path).fingerprint == SAME


def test_a_side_branch_does_not_matter(tmp_path: Path) -> None:
    """As SSD normalises conv4_3, and HED looks at each block."""

    def branches(net: Net, name: str) -> None:
        net.add("norm", "Normalize", np.ones(32, FLOAT), source=name)
        net.add("score", "Convolution", np.ones((1, 32, 1, 1), FLOAT), source=name,
                convolution=window(kernel=1))  # fmt: skip
        net.last = name

    assert read(vgg(behind={"conv4_3": branches}), tmp_path).fingerprint == SAME


def test_pooled_regions_are_no_pool5(tmp_path: Path) -> None:
    net = vgg(names=LAST[:-1], before={"fc6": lambda net, _: net.add("roi_pool5", "ROIPooling")})
    found = read(net, tmp_path)
    assert found.fingerprint == ALONE
    assert any("roi_pool5 (ROIPooling) in its place" in text for text in found.origin.warnings)


def test_what_stands_before_conv1_1(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"no VGG16: bn \(BatchNorm\) stands before conv1_1"):
        read(vgg(before={"conv1_1": lambda net, _: net.add("bn", "BatchNorm", np.ones(3, FLOAT))}),
             tmp_path)  # fmt: skip
    found = read(vgg(before={"conv1_1": lambda net, _: net.add("by", "Power")}), tmp_path)
    assert any("what by (Power) does to pixels" in text for text in found.origin.warnings)
