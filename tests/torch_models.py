"""torchvision's and timm's own models, for tests; skipped where these are not installed.

torchvision's models are plain Python, but the package declares meta functions for its compiled
operators on import. Those operators are missing where its build does not fit torch's, so they are
declared here first.
"""

from __future__ import annotations

import contextlib
import importlib.util
import re
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.networks import FRACTION

_DECLARED = re.compile(r'torchvision::(\w+)|register_meta\("(\w+)"\)')


@cache
def torchvision() -> ModuleType:
    torch = pytest.importorskip("torch")
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        pytest.skip("torchvision is not installed")
    text = (Path(spec.origin).parent / "_meta_registrations.py").read_text("utf-8")
    library = torch.library.Library("torchvision", "DEF")
    for name in {one or other for one, other in _DECLARED.findall(text)}:
        with contextlib.suppress(RuntimeError):  # it is there already
            library.define(f"{name}(Tensor any) -> Tensor")
    import torchvision as module

    _libraries.append(library)
    return module


@cache
def timm() -> ModuleType:
    torchvision()
    return pytest.importorskip("timm")


_libraries: list[Any] = []  # what is declared lives as long as its library


def narrow_vgg16(*, norm: bool = False, classes: int = 10, seed: int = 0) -> Any:
    """torchvision's VGG16, its layers a sixteenth as wide, biases and statistics random."""
    import torch

    vgg = torchvision().models.vgg
    torch.manual_seed(seed)
    plan = [width if width == "M" else width // FRACTION for width in vgg.cfgs["D"]]
    with torch.device("meta"):  # its wide classifier, soon replaced, gets no numbers
        model = vgg.VGG(torch.nn.Identity(), classes, init_weights=False)
    model.features = vgg.make_layers(plan, batch_norm=norm)
    for module in model.features:
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    wide = 512 // FRACTION * 49
    narrow = 4096 // FRACTION
    model.classifier[0] = torch.nn.Linear(wide, narrow)
    model.classifier[3] = torch.nn.Linear(narrow, narrow)
    model.classifier[6] = torch.nn.Linear(narrow, classes)
    return randomised(model)


def randomised(model: Any) -> Any:
    """Biases and batch statistics that are all different from zero and one."""
    import torch

    with torch.no_grad():
        for module in model.modules():
            if getattr(module, "bias", None) is not None:
                module.bias.normal_(0, 0.5)
            if isinstance(module, torch.nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5)
                module.running_mean.normal_(0, 0.5)
                module.running_var.uniform_(0.5, 2)
    return model.eval()


def torch_pixels(crops: NDArray[np.uint8]) -> Any:
    """RGB crops as torchvision's transforms give them: float32 `[n,3,224,224]`."""
    import torch

    mean, std = (torch.tensor(v)[:, None, None] for v in
                 ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))  # fmt: skip
    return (torch.from_numpy(crops).permute(0, 3, 1, 2) / 255 - mean) / std
