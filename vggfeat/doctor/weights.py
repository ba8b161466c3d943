"""Which weights `vggfeat extract` would take without `--weights`. The network is never asked."""

from __future__ import annotations

import os
from dataclasses import dataclass

from vggfeat import engines
from vggfeat.activations import Activation
from vggfeat.errors import WeightsError
from vggfeat.weights import KERAS, RANDOM, caches, default_name, existing, published, store

_ABOUT = 553_000_000  # bytes, of a VGG16 whose published size is not known for sure
_ASKED = [Activation("fc7")]  # what extract computes without --layer
_COPIES = 2  # the file that comes and the one that is kept


@dataclass(frozen=True)
class WeightsFound:
    """What there is.

    Attributes:
        names: of the store.
        taken: the name or file that would be taken; None where there is a problem.
        origin: how it was chosen: `VGGFEAT_WEIGHTS`, `store` or `default`.
        where: where it is, or comes from: `store`, `file`, `cache`, `made`, `network`.
        fetched: bytes that would be fetched; 0 where it is here.
        needed: bytes of disk that the store then needs.
        problem: why extract would not run, in its own words.
    """

    names: list[str]
    taken: str | None = None
    origin: str = "default"
    where: str | None = None
    fetched: int = 0
    needed: int = 0
    problem: str | None = None


def look() -> WeightsFound:
    names: list[str] = []
    origin = "default"
    try:
        names = store.names()
        if taken := os.environ.get("VGGFEAT_WEIGHTS"):
            origin = "VGGFEAT_WEIGHTS"
        elif taken := default_name():
            origin = "store"
        taken = taken or KERAS
        where, fetched = _whereabouts(taken)
    except WeightsError as error:
        return WeightsFound(names, origin=origin, problem=str(error))
    return WeightsFound(names, taken, origin, where, fetched, _COPIES * fetched)


def _whereabouts(name: str) -> tuple[str, int]:
    """Where it is, and how many bytes have to be fetched. Raises WeightsError."""
    if store.contains(name):
        engines.check_reaches(store.open_weights(name), _ASKED)
        return "store", 0
    if name == RANDOM:
        return "made", 0
    if name not in published.FILES:
        engines.check_reaches(existing(name), _ASKED)
        return "file", 0
    file = published.FILES[name]()
    if caches.find(name, file):
        return "cache", 0
    return "network", file.size or _ABOUT
