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
)
