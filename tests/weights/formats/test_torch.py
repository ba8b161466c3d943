"""Files that PyTorch itself has written, against PyTorch's own fc7; and files of evil."""

from __future__ import annotations

import contextlib
import copy
import io
import pickle
import struct
import tarfile
import zipfile
from argparse import Namespace
from collections import OrderedDict
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests import networks, torch_models
from tests.networks import relative_error
from tests.weights.formats.given import CROPS, Evil
from vggfeat import Extractor, WeightsError, vgg16
from vggfeat.inputs import Input
from vggfeat.weights import formats
from vggfeat.weights.formats import note

torch = pytest.importorskip("torch")


@cache
def vgg_of(norm: bool = False, seed: int = 0) -> Any:
    """A network that no test changes."""
    return torch_models.narrow_vgg16(norm=norm, seed=seed)


@pytest.fixture(scope="module", params=[False, True], ids=["vgg16", "vgg16_bn"])
def model(request: pytest.FixtureRequest) -> Any:
    return vgg_of(request.param)


@pytest.fixture(scope="module")
def vgg() -> Any:
    return vgg_of()


def fc7(model: Any) -> NDArray[np.float32]:
    with torch.no_grad():
        pooled = model.avgpool(model.features(torch_models.torch_pixels(CROPS)))
        found: NDArray[np.float32] = model.classifier[:5](pooled.flatten(1)).numpy()
    return found


def pool5(model: Any) -> NDArray[np.float32]:
    with torch.no_grad():
        found: NDArray[np.float32] = model.features(torch_models.torch_pixels(CROPS)).numpy()
    return found.transpose(0, 2, 3, 1)


def older(value: Any, path: Path) -> None:
    torch.save(value, path, _use_new_zipfile_serialization=False)


WRITERS: dict[str, Callable[[Any, Path], None]] = {
    "zip": lambda model, path: torch.save(model.state_dict(), path),
    "zip of protocol 4": lambda model, path: torch.save(
        model.state_dict(), path, pickle_protocol=4
    ),
    "older": lambda model, path: older(model.state_dict(), path),
    "model": torch.save,
    "older model": older,
    "TorchScript": lambda model, path: torch.jit.save(torch.jit.script(model), path),
    "DataParallel": lambda model, path: torch.save(torch.nn.DataParallel(model).state_dict(), path),
    "compiled": lambda model, path: torch.save(torch.compile(model).state_dict(), path),
    "checkpoint": lambda model, path: torch.save(checkpoint(model), path),
    "older checkpoint": lambda model, path: older(checkpoint(model), path),
    "parameters": lambda model, path: torch.save(
        dict(model.named_parameters()) | dict(model.named_buffers()), path
    ),
}


def checkpoint(model: Any) -> dict[str, Any]:
    """What a training keeps: optimizer, schedule, arguments, and Lightning's names."""
    trained = copy.deepcopy(model)
    optimizer = torch.optim.SGD(trained.parameters(), 0.1, momentum=0.9)
    sum(parameter.sum() for parameter in trained.parameters()).backward()
    optimizer.step()  # so that there is a momentum for each parameter
    return {
        "epoch": 3,
        "best": np.float64(0.5),
        "args": Namespace(lr=0.1, path=Path("x"), device=torch.device("cpu")),
        "scheduler": torch.optim.lr_scheduler.StepLR(optimizer, 3),
        "optimizer": optimizer.state_dict(),
        "history": [{"loss": torch.tensor(0.5)}, {"loss": float("nan")}],
        "state_dict": {f"net.model.{name}": value for name, value in model.state_dict().items()},
    }


@pytest.mark.parametrize("name", WRITERS)
def test_every_form_gives_torch_fc7(model: Any, tmp_path: Path, name: str) -> None:
    WRITERS[name](model, tmp_path / "file")
    weights = formats.read(tmp_path / "file")
    assert weights.width_of["fc8"] == 10
    assert (weights.origin.channels, weights.origin.scale) == ("rgb", "torch")
    assert weights.origin.decided == "declared by torchvision's names"
    assert relative_error(Extractor(weights)(CROPS), fc7(model)) < 1e-5


def test_all_forms_of_one_network_are_the_same_to_the_bit(model: Any, tmp_path: Path) -> None:
    found = set()
    for number, write in enumerate(WRITERS.values()):
        write(model, tmp_path / str(number))
        found.add(formats.read(tmp_path / str(number)).fingerprint)
    assert len(found) == 1


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
@pytest.mark.parametrize("write", [torch.save, older])
def test_other_float_types_are_what_torch_makes_of_them(
    vgg: Any, tmp_path: Path, dtype: str, write: Callable[[Any, Path], None]
) -> None:
    cast = {name: v.to(getattr(torch, dtype)) for name, v in vgg.state_dict().items()}
    write(cast, tmp_path / "a.pth")
    found = formats.read(tmp_path / "a.pth").tensors
    for name, place in (("conv2_1", "features.5"), ("fc7", "classifier.3")):
        expected = cast[f"{place}.weight"].float().numpy()
        order = (2, 3, 1, 0) if expected.ndim == 4 else (1, 0)
        np.testing.assert_array_equal(found[f"{name}/kernel"], expected.transpose(order))
        np.testing.assert_array_equal(found[f"{name}/bias"], cast[f"{place}.bias"].float().numpy())


@pytest.mark.parametrize("write", [torch.save, older])
def test_views_of_storages_are_honoured(
    vgg: Any, tmp_path: Path, write: Callable[[Any, Path], None]
) -> None:
    """All numbers in one storage, and kernels in channels_last or transposed."""
    state = vgg.state_dict()
    flat = torch.cat([torch.zeros(3)] + [value.flatten() for value in state.values()])
    views, at = {}, 3
    for name, value in state.items():
        views[name] = flat[at : at + value.numel()].view(value.shape)
        at += value.numel()
    turned = {
        name: value.contiguous(memory_format=torch.channels_last)
        if value.ndim == 4
        else value.t().contiguous().t()
        if value.ndim == 2
        else torch.stack([value, -value], 1)[:, 0]
        for name, value in state.items()
    }
    found = set()
    for number, written in enumerate((state, views, turned)):
        write(written, tmp_path / str(number))
        found.add(formats.read(tmp_path / str(number)).fingerprint)
    assert len(found) == 1
    assert not turned["features.2.weight"].is_contiguous()


def test_a_narrow_timm_network_gives_timms_features(tmp_path: Path) -> None:
    timm_vgg = torch_models.timm().models.vgg
    plan = [v if v == "M" else v // networks.FRACTION for v in timm_vgg.cfgs["vgg16"]]
    for norm in (None, torch.nn.BatchNorm2d):
        model = timm_vgg.VGG(plan, 7, norm_layer=norm)
        model.pre_logits = timm_vgg.ConvMlp(32, 256, 7, 1.0)
        model.head.fc = torch.nn.Linear(256, 7)
        torch_models.randomised(model)
        torch.save(model.state_dict(), tmp_path / "a.pth")
        with torch.no_grad():
            pooled = model.forward_features(torch_models.torch_pixels(CROPS))
            expected = model.forward_head(pooled, pre_logits=True).numpy()
        weights = formats.read(tmp_path / "a.pth")
        assert weights.width_of["fc8"] == 7
        assert relative_error(Extractor(weights)(CROPS), expected.reshape(2, -1)) < 1e-5


def test_a_whole_model_keeps_its_own_epsilon(tmp_path: Path) -> None:
    model = copy.deepcopy(vgg_of(True))
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eps = 1e-1
    torch.save(model, tmp_path / "a.pth")
    assert relative_error(Extractor(tmp_path / "a.pth")(CROPS), fc7(model)) < 1e-5


@settings(max_examples=12, deadline=None)
@given(st.randoms(use_true_random=False), st.booleans())
def test_the_order_of_names_does_not_matter(
    tmp_path_factory: pytest.TempPathFactory, random: Any, norm: bool
) -> None:
    state = list(vgg_of(norm).state_dict().items())
    folder = tmp_path_factory.mktemp("order")
    torch.save(OrderedDict(state), folder / "a.pth")
    random.shuffle(state)
    torch.save(OrderedDict(state), folder / "b.pth")
    first, second = (formats.read(folder / name) for name in ("a.pth", "b.pth"))
    assert first.fingerprint == second.fingerprint


def renamed(state: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """A state dict of torchvision's with the layers called otherwise."""
    parts = {name: name.rpartition(".") for name in state}
    return {
        f"{names[module]}.{part}": state[name]
        for name, (module, _, part) in parts.items()
        if module in names
    }


def torchvision_places(norm: bool) -> list[str]:
    model = vgg_of(norm)
    return [
        f"features.{place}"
        for place, module in enumerate(model.features)
        if isinstance(module, torch.nn.Conv2d)
    ]


def test_vggs_own_names_say_nothing_of_pixels_and_the_user_is_asked(
    vgg: Any, tmp_path: Path
) -> None:
    names = dict(zip(torchvision_places(False), vgg16.CONVOLUTIONS, strict=True))
    names |= {"classifier.0": "fc6", "classifier.3": "fc7", "classifier.6": "fc8"}
    torch.save(renamed(vgg.state_dict(), names), tmp_path / "a.pth")
    with pytest.raises(WeightsError, match="say it with --channels"):
        formats.read(tmp_path / "a.pth")
    weights = formats.read(tmp_path / "a.pth", channels="rgb", scale="torch")
    assert relative_error(Extractor(weights)(CROPS), fc7(vgg)) < 1e-5


NORM_NAMES: dict[str, Callable[[str], tuple[str, str]]] = {
    "bn1_1": lambda name: (name, name.replace("conv", "bn")),
    "blocks": lambda name: (f"block{name[4]}.{name[6]}.conv", f"block{name[4]}.{name[6]}.bn"),
    "apart": lambda name: (
        f"convs.{vgg16.CONVOLUTIONS.index(name)}",
        f"norms.{vgg16.CONVOLUTIONS.index(name)}",
    ),
}


@pytest.mark.parametrize("style", NORM_NAMES)
@pytest.mark.parametrize("backwards", [False, True])
def test_batch_norm_is_found_whatever_its_names(
    tmp_path: Path, style: str, backwards: bool
) -> None:
    model = vgg_of(True)
    names: dict[str, str] = {}
    for place, layer in zip(torchvision_places(True), vgg16.CONVOLUTIONS, strict=True):
        conv, norm = NORM_NAMES[style](layer)
        behind = f"features.{int(place.rpartition('.')[2]) + 1}"
        names |= {place: f"net.{conv}", behind: f"net.{norm}"}
    state = renamed(model.state_dict(), names)
    if backwards:
        state = dict(reversed(state.items()))
    torch.save(state, tmp_path / "a.pth")
    weights = formats.read(tmp_path / "a.pth", channels="rgb", scale="torch")
    assert relative_error(Extractor(weights, "pool5")(CROPS), pool5(model)) < 1e-5


def shifted(model: Any, by: Callable[[int], int]) -> dict[str, Any]:
    found = {}
    for name, value in model.state_dict().items():
        parent, place, part = name.split(".")
        found[f"{parent}.{by(int(place)) if parent == 'features' else place}.{part}"] = value
    return found


def test_batch_norm_behind_the_relu_is_refused(tmp_path: Path) -> None:
    """Convolution, ReLU, normalisation: their numbers are 0, 2, 3, 5 then."""
    model = vgg_of(True)
    norms = {i for i, m in enumerate(model.features) if isinstance(m, torch.nn.BatchNorm2d)}
    state = shifted(model, lambda place: place + 1 if place in norms else place)
    torch.save(state, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match="batch normalisation, but not directly behind"):
        formats.read(tmp_path / "a.pth")


def test_a_norm_on_one_convolution_only_is_refused(tmp_path: Path) -> None:
    state = vgg_of(True).state_dict()
    gone = {name: value for name, value in state.items() if not name.startswith("features.1.")}
    torch.save(gone, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match="batch normalisation, but not directly behind"):
        formats.read(tmp_path / "a.pth")


@pytest.mark.parametrize("kind", ["PReLU", "GroupNorm"])
def test_learned_layers_between_are_refused(vgg: Any, tmp_path: Path, kind: str) -> None:
    other = torch.nn.PReLU(4) if kind == "PReLU" else torch.nn.GroupNorm(2, 4)
    between = {f"features.1.{name}": value for name, value in other.state_dict().items()}
    torch.save(vgg.state_dict() | between, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match=r"features\.1 is among its convolutions"):
        formats.read(tmp_path / "a.pth")


def test_a_norm_in_the_head_ends_what_is_taken_from_it(vgg: Any, tmp_path: Path) -> None:
    """Linear, BatchNorm is folded; Linear, ReLU, BatchNorm leaves fc6 without fc7."""
    norm = torch_models.randomised(torch.nn.BatchNorm1d(256))
    norm.running_mean.normal_()
    for place, layers in ((1, ("fc6", "fc7", "fc8")), (2, ("fc6",))):
        more = {f"classifier.{place}.{name}": value for name, value in norm.state_dict().items()}
        torch.save(vgg.state_dict() | more, tmp_path / "a.pth")
        weights = formats.read(tmp_path / "a.pth")
        assert weights.layers == (*vgg16.CONVOLUTIONS, *layers)
        with torch.no_grad():
            first = vgg.classifier[0](
                vgg.avgpool(vgg.features(torch_models.torch_pixels(CROPS))).flatten(1)
            )
            expected = torch.relu(norm(first) if place == 1 else first).numpy()
        assert relative_error(Extractor(weights, "fc6")(CROPS), expected) < 1e-5


def test_two_networks_are_named_both(vgg: Any, tmp_path: Path) -> None:
    other = vgg_of(seed=1)
    torch.save({"one": vgg.state_dict(), "two": other.state_dict()}, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match="several networks, below one/features and two/features"):
        formats.read(tmp_path / "a.pth")


def test_a_network_under_two_names_is_one(vgg: Any, tmp_path: Path) -> None:
    torch.save(torch.nn.ModuleDict({"left": vgg, "right": vgg}).state_dict(), tmp_path / "a.pth")
    assert relative_error(Extractor(tmp_path / "a.pth")(CROPS), fc7(vgg)) < 1e-5


def test_the_network_goes_before_its_moving_average(vgg: Any, tmp_path: Path) -> None:
    other = vgg_of(seed=1)
    both = {"state_dict_ema": other.state_dict(), "state_dict": vgg.state_dict()}
    torch.save(both, tmp_path / "a.pth")
    assert relative_error(Extractor(tmp_path / "a.pth")(CROPS), fc7(vgg)) < 1e-5


def test_a_detector_on_the_convolutions_gives_pool5(vgg: Any, tmp_path: Path) -> None:
    """As SSD: the convolutions as `vgg.N`, a dilated conv6, more layers and heads."""
    state = {
        name.replace("features", "vgg"): value
        for name, value in vgg.state_dict().items()
        if name.startswith("features")
    }
    for name, shape in (("vgg.31", (64, 32, 3, 3)), ("vgg.33", (64, 64, 1, 1)),
                        ("extras.0", (16, 64, 1, 1)), ("extras.1", (32, 16, 3, 3)),
                        ("loc.0", (16, 32, 3, 3))):  # fmt: skip
        state |= {f"{name}.weight": torch.ones(shape), f"{name}.bias": torch.ones(shape[0])}
    state["L2Norm.weight"] = torch.ones(32)
    torch.save(state, tmp_path / "a.pth")
    weights = formats.read(tmp_path / "a.pth")
    assert weights.layers == vgg16.CONVOLUTIONS
    assert relative_error(Extractor(weights, "pool5")(CROPS), pool5(vgg)) < 1e-5


def test_a_vgg19_is_named_as_such(tmp_path: Path) -> None:
    vgg = torch_models.torchvision().models.vgg
    plan = [width if width == "M" else 4 for width in vgg.cfgs["E"]]
    torch.save(vgg.make_layers(plan).state_dict(), tmp_path / "a.pth")
    with pytest.raises(WeightsError, match="16 3x3 convolutions.*VGG-19"):
        formats.read(tmp_path / "a.pth")


@pytest.mark.parametrize("value", [{}, torch.zeros(3), [1, "x"], {"a": torch.zeros(3, 4)}])
@pytest.mark.parametrize("write", [torch.save, older])
def test_what_is_no_network_is_refused_in_one_sentence(
    tmp_path: Path, value: Any, write: Callable[[Any, Path], None]
) -> None:
    write(value, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match="a.pth: no VGG16: it has 0 3x3 convolutions"):
        formats.read(tmp_path / "a.pth")


def test_the_numbers_are_not_copied_before_they_are_converted(vgg: Any, tmp_path: Path) -> None:
    for write in (torch.save, older):
        write(vgg.state_dict(), tmp_path / "a.pth")
        for layer in formats.find(tmp_path / "a.pth").layers.values():
            assert isinstance(layer.kernel.read(), np.memmap)
            assert not layer.kernel.read().flags.owndata


def test_a_note_in_the_archive_says_what_it_takes(vgg: Any, tmp_path: Path) -> None:
    torch.save(vgg.state_dict(), tmp_path / "a.pth")
    taken = Input("bgr", (1.0, 2.0, 3.5), (255.0, 1.0, 0.1))
    for text, expected in ((note.to_text(taken), taken), ("a comment", None)):
        with zipfile.ZipFile(tmp_path / "a.pth", "a") as archive:
            archive.comment = text.encode()
        assert len(torch.load(tmp_path / "a.pth")) == 32  # torch passes over it
        network = formats.find(tmp_path / "a.pth")
        if expected:
            assert network.declared == expected
        else:
            assert network.declared_by == "torchvision's names"


@pytest.mark.parametrize(
    "text",
    ["", "x", "[]", "{}", '{"vggfeat": 1}', "[" * 4000, '{"vggfeat": {"channels": "rgb"}}',
     '{"vggfeat": {"channels": "xyz", "mean": [1, 2, 3], "divisor": [1, 1, 1]}}',
     '{"vggfeat": {"channels": "rgb", "mean": [1, 2], "divisor": [1, 1, 1]}}',
     '{"vggfeat": {"channels": "rgb", "mean": [1, 2, NaN], "divisor": [1, 1, 1]}}',
     '{"vggfeat": {"channels": "rgb", "mean": [1, 2, 3], "divisor": [1, 0, 1]}}'],
)  # fmt: skip
def test_junk_is_no_note(text: str) -> None:
    assert note.note_of(text) is None


def test_an_ordered_dict_of_python_2_is_read(vgg: Any, tmp_path: Path) -> None:
    """Its items are arguments there, `OrderedDict([[key, value], ...])`."""

    class AsInPython2:
        def __init__(self, items: dict[str, Any]) -> None:
            self.items = items

        def __reduce__(self) -> Any:
            return OrderedDict, ([[key, value] for key, value in self.items.items()],)

    older(AsInPython2(vgg.state_dict()), tmp_path / "a.pth")
    assert relative_error(Extractor(tmp_path / "a.pth")(CROPS), fc7(vgg)) < 1e-5


def test_big_endian_numbers_are_turned(vgg: Any, tmp_path: Path) -> None:
    torch.save(vgg.state_dict(), tmp_path / "a.pth")
    with (
        zipfile.ZipFile(tmp_path / "a.pth") as old,
        zipfile.ZipFile(tmp_path / "b.pth", "w") as new,
    ):
        for name in old.namelist():
            content = old.read(name)
            if "/data/" in name:
                content = np.frombuffer(content, "<f4").astype(">f4").tobytes()
            new.writestr(name, b"big" if name.endswith("byteorder") else content)
    first, second = (formats.read(tmp_path / name) for name in ("a.pth", "b.pth"))
    assert first.fingerprint == second.fingerprint


def test_a_file_of_before_0_1_10_is_named(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.pth", "w") as archive:
        for name in ("sys_info", "pickle", "tensors", "storages"):
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    with pytest.raises(WeightsError, match=r"before 0\.1\.10.*load it with torch and save it"):
        formats.read(tmp_path / "a.pth")


def test_a_frozen_torchscript_model_says_what_to_do(vgg: Any, tmp_path: Path) -> None:
    torch.jit.save(torch.jit.freeze(torch.jit.script(vgg)), tmp_path / "a.pt")
    with pytest.raises(WeightsError, match=r"no VGG16.*save its state_dict\(\)"):
        formats.read(tmp_path / "a.pt")


@pytest.mark.parametrize("write", [torch.save, older])
def test_what_would_run_is_not_run(
    vgg: Any, tmp_path: Path, write: Callable[[Any, Path], None]
) -> None:
    touched = tmp_path / "touched"
    write({"state_dict": vgg.state_dict(), "hook": Evil(touched)}, tmp_path / "a.pth")
    weights = formats.read(tmp_path / "a.pth")
    assert relative_error(Extractor(weights)(CROPS), fc7(vgg)) < 1e-5
    write(Evil(touched), tmp_path / "b.pth")
    with pytest.raises(WeightsError, match="no VGG16"):
        formats.read(tmp_path / "b.pth")
    assert not touched.exists()
    torch.load(tmp_path / "b.pth", weights_only=False)
    assert touched.exists()


def rewritten(path: Path, change: Callable[[str, bytes], bytes | None], **options: Any) -> None:
    """Write a zip archive anew, its entries changed or, with None, left out."""
    with zipfile.ZipFile(path) as old:
        entries = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(path, "w", **options) as new:
        for name, content in entries.items():
            changed = change(name, content)
            if changed is not None:
                new.writestr(name, changed)


def spoilt_tensor(offset: int, size: tuple[int, ...], stride: tuple[int, ...]) -> bytes:
    """A pickle of one tensor that is written by hand."""

    class Pickler(pickle._Pickler):  # the one written in Python writes symbols that do not exist
        def persistent_id(self, value: Any) -> Any:
            return value.id if isinstance(value, Storage) else None

    class Storage:
        id = ("storage", torch.FloatStorage, "0", "cpu", 108)

    class Tensor:
        def __reduce__(self) -> Any:
            args = (Storage(), offset, size, stride, False, OrderedDict())
            return torch._utils._rebuild_tensor_v2, args

    stream = io.BytesIO()
    Pickler(stream, 2).dump({"features.0.weight": Tensor()})
    return stream.getvalue()


@pytest.mark.parametrize(
    ("offset", "size", "stride"),
    [
        (1, (4, 3, 3, 3), (27, 9, 3, 1)),
        (1 << 40, (4, 3, 3, 3), (27, 9, 3, 1)),
        (-1, (4, 3, 3, 3), (27, 9, 3, 1)),
        (0, (4, 3, 3, 3), (27, 9, 3, 2)),
        (0, (4, 3, 3, 3), (1 << 60, 9, 3, 1)),
        (0, (4, 3, 3, 3), (27, 9, 3)),
        (0, (4, 3, 3, -3), (27, 9, 3, 1)),
        (0, (1 << 20, 3, 3, 3), (0, 0, 0, 0)),
        (0, (1 << 61, 1 << 61, 1 << 61, 1 << 61), (0, 0, 0, 1)),
        (0, (2,) * 40, (1,) * 40),
    ],
)
def test_a_tensor_beyond_its_storage_is_refused(
    vgg: Any, tmp_path: Path, offset: int, size: tuple[int, ...], stride: tuple[int, ...]
) -> None:
    path = tmp_path / "a.pth"
    torch.save(vgg.state_dict(), path)
    evil = spoilt_tensor(offset, size, stride)
    rewritten(path, lambda name, content: evil if name.endswith("data.pkl") else content)
    with pytest.raises(WeightsError, match="damaged: a tensor"):
        formats.read(path)


def test_the_tensor_written_by_hand_is_good_where_it_fits(vgg: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    torch.save(vgg.state_dict(), path)
    good = spoilt_tensor(0, (4, 3, 3, 3), (27, 9, 3, 1))
    rewritten(path, lambda name, content: good if name.endswith("data.pkl") else content)
    with pytest.raises(WeightsError, match="it has 1 3x3 convolutions"):
        formats.read(path)


@pytest.mark.parametrize("text", [b"]" * 100_000 + b"a" * 99_999 + b".", b"}q\x00K\x01h\x00s."])
def test_a_pickle_that_nests_is_walked_to_a_depth(vgg: Any, tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "a.pth"
    torch.save(vgg.state_dict(), path)
    rewritten(path, lambda name, content: text if name.endswith("data.pkl") else content)
    with pytest.raises(WeightsError, match="no VGG16"):
        formats.read(path)


def test_archives_that_are_damaged_are_refused(vgg: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    torch.save(vgg.state_dict(), path)
    rewritten(path, lambda _, content: content, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(WeightsError, match="compressed"):
        formats.read(path)
    torch.save(vgg.state_dict(), path)
    rewritten(path, lambda name, content: None if name.endswith("data/3") else content)
    with pytest.raises(WeightsError, match="damaged: the zip archive has no 'a/data/3'"):
        formats.read(path)
    torch.save(vgg.state_dict(), path)
    rewritten(path, lambda name, content: content[:-4] if name.endswith("data/3") else content)
    with pytest.raises(WeightsError, match="damaged: a storage that is cut short"):
        formats.read(path)


def directory_changed(data: bytes, name: bytes, field: int, value: int) -> bytes:
    """A zip archive whose directory says something else of one entry (4 bytes of its record)."""
    at = data.rindex(name) - 46
    assert data[at : at + 4] == b"PK\x01\x02"
    return data[: at + field] + struct.pack("<I", value) + data[at + field + 4 :]


def test_an_archive_whose_directory_lies_is_refused(vgg: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    torch.save(vgg.state_dict(), path)
    rewritten(path, lambda _, content: content)
    data = path.read_bytes()
    sizes, length, place = (20, 24), len(data), 42
    for field in sizes:
        path.write_bytes(directory_changed(data, b"a/data/3", field, 1 << 30))
        with pytest.raises(WeightsError, match="damaged"):
            formats.read(path)
    for offset in (7, length - 30, length - 10):
        path.write_bytes(directory_changed(data, b"a/data/3", place, offset))
        with pytest.raises(WeightsError, match="damaged"):
            formats.read(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", b"N.")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a/data.pkl", b"N.")
    with pytest.raises(WeightsError, match="several entries of one name"):
        formats.read(path)


@pytest.mark.parametrize("write", [torch.save, older])
def test_a_file_cut_short_is_one_sentence(
    vgg: Any, tmp_path: Path, write: Callable[[Any, Path], None]
) -> None:
    path = tmp_path / "a.pth"
    write(vgg.state_dict(), path)
    data = path.read_bytes()
    for length in (0, 1, 20, 100, 1000, 5000, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:length])
        with pytest.raises(WeightsError, match=str(path)):
            formats.read(path)


@settings(max_examples=80, deadline=None)
@given(st.data())
@pytest.mark.parametrize("write", [torch.save, older])
def test_a_file_with_changed_bytes_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory,
    write: Callable[[Any, Path], None],
    data: st.DataObject,
) -> None:
    folder = tmp_path_factory.mktemp("changed")
    write(vgg_of().features.state_dict(), folder / "a.pth")
    text = bytearray((folder / "a.pth").read_bytes())
    length = len(text)
    structure = st.integers(0, 6000) | st.integers(length - 4000, length - 1)
    for _ in range(data.draw(st.integers(1, 4))):
        text[data.draw(structure)] = data.draw(st.integers(0, 255))
    (folder / "b.pth").write_bytes(text)
    with contextlib.suppress(WeightsError):
        formats.read(folder / "b.pth", channels="rgb", scale="torch")
