"""PyTorch on the processor, channels last."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.peers.channels_first import prepared
from tests.benchmarks.peers.program import Compute, main
from tests.benchmarks.weights import TORCH

BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


def network(weights: Path) -> Any:
    """The module, channels last: float32 `[n,3,224,224]`, the mean subtracted -> `[n,4096]`."""
    import torch
    from torch import nn

    layers: dict[str, nn.Module] = {}
    channels = 3
    with torch.device("meta"):  # no time for first values: the file has them
        for block, widths in enumerate(BLOCKS, start=1):
            for number, width in enumerate(widths, start=1):
                layers[f"conv{block}_{number}"] = nn.Conv2d(channels, width, 3, padding=1)
                layers[f"relu{block}_{number}"] = nn.ReLU(inplace=True)
                channels = width
            layers[f"pool{block}"] = nn.MaxPool2d(2)
        layers["flat"] = nn.Flatten()
        layers["fc6"] = nn.Linear(49 * channels, 4096)
        layers["relu6"] = nn.ReLU(inplace=True)
        layers["fc7"] = nn.Linear(4096, 4096)
        layers["relu7"] = nn.ReLU(inplace=True)
    model = nn.Sequential()
    for name, layer in layers.items():
        model.add_module(name, layer)
    state = torch.load(weights / TORCH, mmap=True, weights_only=True)
    model.load_state_dict(state, assign=True)
    return model.eval().to(memory_format=torch.channels_last)


def load(weights: Path) -> Compute:
    import torch

    model = network(weights)

    def compute(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        x = torch.from_numpy(prepared(images)).to(memory_format=torch.channels_last)
        with torch.inference_mode():
            return np.asarray(model(x))

    return compute


if __name__ == "__main__":
    main(load)
