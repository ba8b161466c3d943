"""How the machines of a cluster are divided among actors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from vggfeat.errors import VggfeatError

# Beyond that threads wait for each other; fewer share the kernels that each process has.
_MOST_CPUS = 8
_USED = 0.9  # of the processors at the least

Resources = Mapping[str, float]


class Layout(NamedTuple):
    """The actors that there is room for.

    Attributes:
        actors: how many.
        cpus: of each.
        gpus: likewise, 0 or 1.
        decoders: tasks that decode for each actor side by side; 0 where it decodes itself.
    """

    actors: int
    cpus: int
    gpus: int = 0
    decoders: int = 0


def layout(nodes: Iterable[Resources], *, gpus: bool, workers: int | None = None) -> Layout:
    """For machines with these resources.

    Args:
        nodes: what each has, as Ray tells it.
        gpus: whether actors compute on GPUs.
        workers: threads that an actor is to have; None for as many as serve best.

    Raises:
        VggfeatError: there is no room for one.
    """
    machines = [(int(node.get("CPU", 0)), int(node.get("GPU", 0))) for node in nodes]
    return _on_gpus(machines) if gpus else _on_cpus([cpus for cpus, _ in machines], workers)


def _on_gpus(machines: list[tuple[int, int]]) -> Layout:
    count = sum(gpus for _, gpus in machines)
    if not count:
        raise VggfeatError("the cluster has no GPU any more")
    # One each feeds its card, where some are left to decode.
    cpus = int(all(cpus > gpus for cpus, gpus in machines if gpus))
    left = sum(cpus for cpus, _ in machines) - count * cpus
    # Twice as many, so that one waits when another ends.
    return Layout(count, cpus, 1, max(1, -(-2 * left // count)))


def _on_cpus(machines: list[int], workers: int | None) -> Layout:
    have = [cpus for cpus in machines if cpus]
    if not have:
        raise VggfeatError("the cluster has no processors for work: add nodes to it")
    if workers is not None:
        if workers > max(have):
            raise VggfeatError(
                f"--workers {workers}: no node of the cluster has more than {max(have)} processors"
            )
        return Layout(sum(cpus // workers for cpus in have), workers)
    # The largest groups that leave next to none idle.
    used = {size: sum(cpus // size * size for cpus in have) for size in range(_MOST_CPUS, 0, -1)}
    size = next(size for size, count in used.items() if count >= _USED * sum(have))
    return Layout(sum(cpus // size for cpus in have), size)
