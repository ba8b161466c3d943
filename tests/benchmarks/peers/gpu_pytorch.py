"""PyTorch on a GPU: channels last, the next batch sent while one is computed."""

from __future__ import annotations

import copy
import sys
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.peers.channels_first import MEAN
from tests.benchmarks.peers.variants import Asked, Compute, Make, main

_WAITING = 2  # batches whose results are still on their way


def load(asked: Asked) -> Make:
    try:
        import torch
    except ImportError:
        sys.exit("PyTorch is not installed")
    from tests.benchmarks.peers.pytorch import network

    if asked.on_gpu and not torch.cuda.is_available():
        sys.exit("this PyTorch finds no GPU")
    device = torch.device("cuda" if asked.on_gpu else "cpu")
    torch.set_float32_matmul_precision("high" if asked.precision == "tf32" else "highest")
    torch.backends.cudnn.allow_tf32 = asked.precision == "tf32"
    torch.backends.cudnn.benchmark = True
    half = getattr(torch, asked.precision) if asked.precision.endswith("16") else None
    model = network(asked.weights).to(device)

    def make(variant: str, batch: int) -> Compute:
        if "converted" in variant:
            features = _features(torch, copy.deepcopy(model).to(half), half, device)
        else:
            features = _features(torch, model, torch.float32, device)
        if "compile" in variant:
            features = torch.compile(features, dynamic=False)
        autocast = torch.autocast(device.type, half, enabled="autocast" in variant)

        def compute(images: NDArray[np.uint8], times: int) -> list[NDArray[np.float32]]:
            # One context around all batches: leaving it throws away the converted weights.
            with torch.inference_mode(), autocast:
                return _computed(torch, features, _pinned(torch, images, device), times, device)

        return compute

    return make


def _features(torch: Any, model: Any, dtype: Any, device: Any) -> Callable[[Any], Any]:
    mean = torch.tensor(MEAN, device=device).view(1, 3, 1, 1)

    def features(images: Any) -> Any:
        """uint8 `[n,h,w,c]` -> float32 `[n,4096]`; the permuted view is already channels last."""
        x = images.permute(0, 3, 1, 2).float() - mean
        return model(x.to(dtype)).float()

    return features


def _pinned(torch: Any, images: NDArray[np.uint8], device: Any) -> Any:
    tensor = torch.from_numpy(images)
    return tensor.pin_memory() if device.type == "cuda" else tensor


def _computed(
    torch: Any, features: Callable[[Any], Any], batch: Any, times: int, device: Any
) -> list[NDArray[np.float32]]:
    streams = torch.get_device_module(device)
    sending, computing = streams.Stream(), streams.current_stream()

    def sent() -> Any:
        with streams.stream(sending):
            return batch.to(device, non_blocking=True, copy=True)

    found = []
    waiting: deque[tuple[Any, Any]] = deque()
    coming = sent()
    for number in range(times):
        computing.wait_stream(sending)
        images = coming
        if device.type == "cuda":
            images.record_stream(computing)
        if number + 1 < times:
            coming = sent()
        vectors = features(images)
        host = torch.empty(vectors.shape, pin_memory=device.type == "cuda")
        host.copy_(vectors, non_blocking=True)
        done = streams.Event()
        done.record(computing)
        waiting.append((host, done))
        if len(waiting) > _WAITING:
            found.append(_arrived(*waiting.popleft()))
    return [*found, *(_arrived(*one) for one in waiting)]


def _arrived(host: Any, done: Any) -> NDArray[np.float32]:
    done.synchronize()
    # A copy, so that the pinned memory is there for the next one: more of it takes time to get.
    vectors: NDArray[np.float32] = host.numpy().copy()
    return vectors


if __name__ == "__main__":
    main(load)
