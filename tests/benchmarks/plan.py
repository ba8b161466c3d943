"""How much is measured: every size and count, in one place."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """Sizes and rounds.

    Attributes:
        network_rounds: rounds of the network alone, `network_batches` batches of 16 each.
        few: photographs of a run at a prompt, measured `few_rounds` times.
        many: photographs of 500x375 of an unattended run, measured `many_rounds` times.
        large: photographs of 12 megapixels, measured as often.
        cost_all: numbers of photographs on all cores.
        cost_one: the same on one core; fewer, because they take twice as long.
        csv_rounds: rounds of CSV against .npy, on `many` photographs.
        gpu_rounds: rounds of the network on a GPU, of so many batches as take `gpu_seconds`.
        gpu_batches: images in a batch there; ways and variants are compared at the first.
        gpu_matrices: sides of the square matrices that are multiplied.
        gpu_many: photographs of 500x375 from end to end, measured `gpu_file_rounds` times.
    """

    name: str
    network_rounds: int
    network_batches: int
    few: int
    few_rounds: int
    many: int
    large: int
    many_rounds: int
    cost_all: tuple[int, ...]
    cost_one: tuple[int, ...]
    csv_rounds: int
    gpu_rounds: int
    gpu_seconds: float
    gpu_batches: tuple[int, ...]
    gpu_matrices: tuple[int, ...]
    gpu_many: int
    gpu_file_rounds: int


FULL = Plan(
    name="full",
    network_rounds=5,
    network_batches=2,
    few=24,
    few_rounds=2,
    many=500,
    large=100,
    many_rounds=1,
    cost_all=(250, 500, 1000, 4000),
    cost_one=(250, 500),
    csv_rounds=2,
    gpu_rounds=3,
    gpu_seconds=1.0,
    gpu_batches=(128, 16, 32, 64, 256),
    gpu_matrices=(4096, 8192),
    gpu_many=20_000,
    gpu_file_rounds=1,
)

QUICK = Plan(
    name="quick",
    network_rounds=1,
    network_batches=1,
    few=3,
    few_rounds=1,
    many=4,
    large=2,
    many_rounds=1,
    cost_all=(2, 4),
    cost_one=(2,),
    csv_rounds=1,
    gpu_rounds=1,
    gpu_seconds=0.0,
    gpu_batches=(2, 3),
    gpu_matrices=(256,),
    gpu_many=20,
    gpu_file_rounds=1,
)
