"""VGG16's convolutions as ncnn networks, and their weights.

One network a block, run one after the other, because the Winograd variant is chosen for a
network as a whole. A larger one saves more multiplications, but takes kernels that are larger
(64/9 of their size for F(6,3), 36/9 for F(4,3), 16/9 for F(2,3)) and whole tiles: worth it on
the large maps of the first blocks, not on the 14x14 of block 5, where time goes into reading
kernels.
"""

from __future__ import annotations

import ctypes
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from vggfeat import vgg16
from vggfeat.activations import Activation
from vggfeat.engines.ncnn_block import Block, Tap
from vggfeat.weights.canonical import Float32

_WINOGRAD = ("63", "63", "63", "43", "23")  # by block


class BlockNet(NamedTuple):
    """A network that is ready to run; see `Block`."""

    net: Any
    taps: list[Tap]
    output: str


def build(
    ncnn: Any, tensors: Mapping[str, Float32], wanted: Collection[Activation], size: int
) -> list[BlockNet]:
    """A network for each block that takes part."""
    nets = []
    for number, layers in enumerate(vgg16.BLOCKS):
        if f"{next(iter(layers))}/kernel" not in tensors:
            break
        block = Block(tensors, number, wanted, size)
        net = ncnn.Net()
        option = net.opt
        option.num_threads = 1
        for variant in ("63", "43", "23"):
            setattr(option, f"use_winograd{variant}_convolution", variant == _WINOGRAD[number])
        for kind in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage"):
            setattr(option, f"use_{kind}", False)
        net.load_param_mem(block.text())
        net.load_model(_reader(ncnn, block.weights()))
        nets.append(BlockNet(net, block.taps, block.output))
    return nets


def _reader(ncnn: Any, pieces: Iterator[Float32]) -> Any:
    """What ncnn reads the weights from, piece by piece, so that only one is held twice."""
    address_of = ctypes.pythonapi.PyCapsule_GetPointer
    address_of.restype = ctypes.c_void_p
    address_of.argtypes = [ctypes.py_object, ctypes.c_char_p]

    class Reader(ncnn.DataReader):  # type: ignore[misc]
        def read(self, target: Any, size: int) -> int:
            piece = next(pieces)
            if piece.nbytes != size:
                return 0
            ctypes.memmove(address_of(target, None), piece.ctypes.data, size)
            return size

    return Reader()
