"""Networks of PyTorch that look like VGG16 by their convolutions and are not, or not quite."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests import networks, torch_models
from tests.networks import NARROW, relative_error
from vggfeat import Extractor, WeightsError, vgg16
from vggfeat.inputs import Input, of_scale
from vggfeat.weights import formats

torch = pytest.importorskip("torch")
nn = torch.nn

CROPS = networks.pictures(2)
PIXELS: dict[str, Any] = {"channels": "rgb", "scale": "torch"}


@pytest.fixture(scope="module")
def vgg() -> Any:
    return torch_models.narrow_vgg16()


def features(network: Any) -> NDArray[np.float32]:
    with torch.no_grad():
        found = network(torch_models.torch_pixels(CROPS)).permute(0, 2, 3, 1)
    return np.asarray(found.numpy(), np.float32)


def sequence(
    name: Callable[[str], str] = str,
    norm: tuple[str, Callable[[int], Any]] | None = None,
    act: tuple[str, Callable[[int], Any]] | None = None,
) -> Any:
    """Modules by VGG's own names, or others, in the order in which data meets them."""
    model = nn.Sequential()
    channels = 3
    for layer in vgg16.CONVOLUTIONS:
        width = NARROW[layer]
        model.add_module(name(layer), nn.Conv2d(channels, width, 3, padding=1))
        for more in (norm, act or ("relu", lambda _: nn.ReLU())):
            if more:
                model.add_module(f"{more[0]}{layer[4:]}", more[1](width))
        if any(layer == list(block)[-1] for block in vgg16.BLOCKS):
            model.add_module(f"pool{layer[4:]}", nn.MaxPool2d(2))
        channels = width
    return torch_models.randomised(model)


NAMED: dict[str, dict[str, Any]] = {
    "norm1_1": {"norm": ("norm", lambda width: nn.GroupNorm(2, width))},
    "in1_1": {"norm": ("in", lambda width: nn.InstanceNorm2d(width, affine=True))},
    "act1_1": {"act": ("act", nn.PReLU)},
    "prelu1_1": {"act": ("prelu", lambda _: nn.PReLU())},
}


def refused(state: Any, folder: Path, sentence: str) -> None:
    """By a pickle, and by a safetensors file, which sorts names."""
    from safetensors.torch import save_file

    torch.save(state, folder / "a.pth")
    save_file({name: value.clone() for name, value in state.items()}, folder / "a.safetensors")
    for name in ("a.pth", "a.safetensors"):
        with pytest.raises(WeightsError, match=sentence):
            formats.read(folder / name, **PIXELS)


@pytest.mark.parametrize("module", NAMED)
def test_learned_layers_beside_the_convolutions_are_refused(tmp_path: Path, module: str) -> None:
    refused(
        sequence(**NAMED[module]).state_dict(), tmp_path, rf"no VGG16: {module} is among its conv"
    )


def test_norms_in_a_list_of_their_own_are_refused(vgg: Any, tmp_path: Path) -> None:
    state: dict[str, Any] = {}
    for number, layer in enumerate(m for m in vgg.features if isinstance(m, nn.Conv2d)):
        norm = nn.GroupNorm(2, layer.out_channels)
        for path, module in ((f"convs.{number}", layer), (f"norms.{number}", norm)):
            state |= {f"{path}.{name}": value for name, value in module.state_dict().items()}
    refused(state, tmp_path, r"no VGG16: norms\.\d+ is among")


def blocks(vgg: Any) -> dict[str, Any]:
    bounds = (0, 5, 10, 17, 24, 31)
    return {f"block{n}": vgg.features[bounds[n - 1] : bounds[n]] for n in range(1, 6)}


def test_what_excites_channels_between_blocks_is_refused(vgg: Any, tmp_path: Path) -> None:
    model = nn.Module()
    for number, (name, block) in enumerate(blocks(vgg).items(), 1):
        model.add_module(name, block)
        width = (4, 8, 16, 32, 32)[number - 1]
        squeeze = nn.Sequential(nn.Linear(width, 2), nn.ReLU(), nn.Linear(2, width))
        model.add_module(f"se{number}", nn.ModuleDict({"fc": squeeze}))
    refused(model.state_dict(), tmp_path, r"no VGG16: se1\.fc\.0 is among")


def test_what_decodes_behind_blocks_is_passed_over(vgg: Any, tmp_path: Path) -> None:
    model = nn.Module()
    for name, block in blocks(vgg).items():
        model.add_module(name, block)
    model.add_module("up1", nn.Sequential(nn.Conv2d(32, 16, 3), nn.GroupNorm(2, 16)))
    model.add_module("fc1", nn.Linear(32, 8))
    model.add_module("fc2", nn.Linear(8, 7))
    torch.save(model.state_dict(), tmp_path / "a.pth")
    weights = formats.read(tmp_path / "a.pth", **PIXELS)
    assert relative_error(Extractor(weights, "pool5")(CROPS), features(vgg.features)) < 1e-5


def test_attention_within_the_features_is_refused(vgg: Any, tmp_path: Path) -> None:
    inside = {"features.4.conv.weight": torch.ones(1, 2, 7, 7)}
    refused(vgg.state_dict() | inside, tmp_path, r"no VGG16: features\.4\.conv is among")


@pytest.mark.parametrize("side", [1, 3])
def test_an_adapter_before_the_network_is_refused(vgg: Any, tmp_path: Path, side: int) -> None:
    model = nn.ModuleDict({"adapt": nn.Conv2d(3, 3, side), "backbone": vgg})
    refused(model.state_dict(), tmp_path, "no VGG16: adapt is before its convolutions")


def test_a_generator_before_its_loss_is_passed_over(vgg: Any, tmp_path: Path) -> None:
    generator = nn.Sequential(nn.Conv2d(3, 8, 3), nn.InstanceNorm2d(8, affine=True),
                              nn.Conv2d(8, 3, 3))  # fmt: skip
    torch.save(nn.ModuleDict({"gen": generator, "loss": vgg}).state_dict(), tmp_path / "a.pth")
    weights = formats.read(tmp_path / "a.pth")
    assert relative_error(Extractor(weights, "pool5")(CROPS), features(vgg.features)) < 1e-5


@pytest.mark.parametrize(
    ("place", "other", "kept"),
    [
        (1, nn.LayerNorm(256), ()), (1, nn.PReLU(), ()), (2, nn.LayerNorm(256), ("fc6",)),
        (4, nn.PReLU(256), ("fc6",)), (7, nn.PReLU(10), ("fc6", "fc7")),
    ],
)  # fmt: skip
def test_other_layers_in_the_head_end_what_is_taken_from_it(
    vgg: Any, tmp_path: Path, place: int, other: Any, kept: tuple[str, ...]
) -> None:
    more = {f"classifier.{place}.{name}": value for name, value in other.state_dict().items()}
    torch.save(vgg.state_dict() | more, tmp_path / "a.pth")
    assert formats.read(tmp_path / "a.pth").layers == (*vgg16.CONVOLUTIONS, *kept)


def test_a_bias_is_read_by_other_names_and_never_lost(vgg: Any, tmp_path: Path) -> None:
    for part in ("b", "biases", "offset"):
        state = {n.replace("bias", part): value for n, value in vgg.state_dict().items()}
        torch.save(state, tmp_path / "a.pth")
        if part == "offset":
            with pytest.raises(WeightsError, match=r"features\.0 .conv1_1. has no bias, but off"):
                formats.read(tmp_path / "a.pth")
        else:
            weights = formats.read(tmp_path / "a.pth")
            assert relative_error(Extractor(weights, "pool5")(CROPS), features(vgg.features)) < 1e-5


@pytest.mark.parametrize("style", ["second", "mid"])
def test_words_in_names_are_in_the_order_of_the_file(tmp_path: Path, style: str) -> None:
    words = {"second": ("_first", "_second", "_third"), "mid": ("", "_mid", "_end")}[style]
    model = sequence(lambda layer: f"conv{layer[4]}{words[int(layer[6]) - 1]}")
    torch.save(model.state_dict(), tmp_path / "a.pth")
    weights = formats.read(tmp_path / "a.pth", **PIXELS)
    assert relative_error(Extractor(weights, "pool5")(CROPS), features(model)) < 1e-5


def test_where_normalisation_stands_is_said_to_be_taken(tmp_path: Path) -> None:
    model = sequence(norm=("bn", nn.BatchNorm2d))
    torch.save(model.state_dict(), tmp_path / "a.pth")
    weights = formats.read(tmp_path / "a.pth", **PIXELS)
    assert relative_error(Extractor(weights, "pool5")(CROPS), features(model)) < 1e-5
    (warning,) = weights.origin.warnings
    assert "taken to stand before the ReLU (bn1_1 right behind conv1_1)" in warning
    torch.save(torch_models.narrow_vgg16(norm=True).state_dict(), tmp_path / "b.pth")
    assert formats.read(tmp_path / "b.pth").origin.warnings == ()  # its numbers tell


HALF = (127.5, 127.5, 127.5)
CAFFE_BGR = (103.939, 116.779, 123.68)


@pytest.mark.parametrize(
    ("mean", "std", "expected"),
    [
        ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5), of_scale("rgb", "tf")),
        ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), of_scale("rgb", "torch")),
        (CAFFE_BGR, None, of_scale("bgr", "caffe")),
        (CAFFE_BGR[::-1], (1, 1, 1), of_scale("rgb", "caffe")),
        ((10, 20, 30), (2, 3, 4), Input("rgb", (10, 20, 30), (2, 3, 4))),
    ],
)
@pytest.mark.parametrize("scope", ["", "normalise."])
def test_a_mean_beside_the_network_is_what_it_takes(
    vgg: Any, tmp_path: Path, mean: Any, std: Any, expected: Input, scope: str
) -> None:
    state = {f"net.{name}": value for name, value in vgg.state_dict().items()}
    state[f"{scope}mean"] = torch.tensor(mean, dtype=torch.float32).view(1, 3, 1, 1)
    if std:
        state[f"{scope}std"] = torch.tensor(std, dtype=torch.float32)
    torch.save(state, tmp_path / "a.pth")
    network = formats.find(tmp_path / "a.pth")
    assert network.declared is not None
    assert network.declared_by == "the mean and std kept beside it"
    assert network.declared.channels == expected.channels
    np.testing.assert_allclose(network.declared.mean, expected.mean, rtol=1e-4)
    np.testing.assert_allclose(network.declared.divisor, expected.divisor, rtol=1e-4)


@pytest.mark.parametrize("mean", [(0, 0, 0), (-1, 0, 0), (0.5, 0.5), (1e9, 1, 1)])
def test_other_numbers_called_mean_say_nothing(vgg: Any, tmp_path: Path, mean: Any) -> None:
    torch.save(vgg.state_dict() | {"mean": torch.tensor(mean).float()}, tmp_path / "a.pth")
    assert formats.find(tmp_path / "a.pth").declared_by == "torchvision's names"


def swapped(vgg: Any, part: str, place: int, module: Any) -> Any:
    model = copy.deepcopy(vgg)
    getattr(model, part)[place] = module
    return model


WRITERS: dict[str, Callable[[Any, Path], None]] = {
    "zip": torch.save,
    "older": lambda model, path: torch.save(model, path, _use_new_zipfile_serialization=False),
    "TorchScript": lambda model, path: torch.jit.save(torch.jit.script(model), path),
}


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize(
    ("place", "module"), [(1, nn.ELU()), (29, nn.LeakyReLU()), (4, nn.AvgPool2d(2))]
)
def test_a_whole_model_tells_its_activations_and_pooling(
    vgg: Any, tmp_path: Path, writer: str, place: int, module: Any
) -> None:
    WRITERS[writer](swapped(vgg, "features", place, module), tmp_path / "a.pth")
    name = type(module).__name__
    with pytest.raises(WeightsError, match=rf"features\.{place} is of the kind {name}") as caught:
        formats.read(tmp_path / "a.pth")
    assert "state_dict()" not in str(caught.value)  # which would only hide what it is


@pytest.mark.parametrize("writer", ["zip", "older"])
def test_a_whole_model_tells_its_geometry(vgg: Any, tmp_path: Path, writer: str) -> None:
    for place, module, sentence in (
        (28, nn.Conv2d(32, 32, 3, padding=2, dilation=2), r"features\.28 has padding"),
        (0, nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"), r"features\.0 does not pad"),
        (30, nn.MaxPool2d(3, 2, 1), r"features\.30 has kernel_size 3, where VGG16 has 2"),
    ):
        WRITERS[writer](swapped(vgg, "features", place, module), tmp_path / "a.pth")
        with pytest.raises(WeightsError, match=sentence):
            formats.read(tmp_path / "a.pth")


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize(("place", "kept"), [(1, ()), (4, ("fc6",))])
def test_a_whole_model_tells_its_heads_activations(
    vgg: Any, tmp_path: Path, writer: str, place: int, kept: tuple[str, ...]
) -> None:
    WRITERS[writer](swapped(vgg, "classifier", place, nn.Tanh()), tmp_path / "a.pth")
    assert formats.read(tmp_path / "a.pth").layers == (*vgg16.CONVOLUTIONS, *kept)
