"""Matrix products by PyTorch."""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.peers.matmul import Chain, Make, main


def load(on_gpu: bool) -> Make:
    try:
        import torch
    except ImportError:
        sys.exit("PyTorch is not installed")
    if on_gpu and not torch.cuda.is_available():
        sys.exit("this PyTorch finds no GPU")

    def make(precision: str, matrix: NDArray[np.float32]) -> Chain:
        dtype = getattr(torch, precision) if precision.endswith("16") else torch.float32
        held = torch.from_numpy(matrix).to("cuda" if on_gpu else "cpu", dtype)

        def chain(products: int) -> None:
            # It is the whole process's, and another chain has set it.
            torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
            x = held
            for _ in range(products):
                x = x @ held
            x[0, 0].item()

        return chain

    return make


if __name__ == "__main__":
    main(load)
