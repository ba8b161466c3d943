"""Which card the tables of GPUs are measured on."""

from __future__ import annotations

import os
from typing import NamedTuple

from tests.benchmarks.process import NO_CARD


class Place(NamedTuple):
    """Where the programs compute.

    Attributes:
        name: `gpu`, or `cpu` to see that everything runs.
        card: for CUDA_VISIBLE_DEVICES.
    """

    name: str
    card: str


PROCESSOR = Place("cpu", NO_CARD)


def first_card() -> Place:
    """The first card that is visible: figures are those of one."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "0")
    return Place("gpu", visible.partition(",")[0])
