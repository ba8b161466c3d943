"""Whether TensorFlow would find a GPU, and why not: asked of the driver."""

from __future__ import annotations

import sys
from typing import NamedTuple

from vggfeat.engines import cuda_driver, cuda_libraries
from vggfeat.engines.cuda_driver import Card, Driver
from vggfeat.engines.cuda_libraries import Build

__all__ = ["Card", "Hindrance", "cards", "hindrance", "missing_libraries", "usable", "why_not"]

_INSTALL = "pip install 'vggfeat[cuda]'"


def cards() -> list[Card]:
    """The NVIDIA cards that this process may use; none without a driver.

    `CUDA_VISIBLE_DEVICES` counts, as the driver itself looks at it.
    """
    return cuda_driver.ask().cards


def missing_libraries() -> list[str]:
    """What TensorFlow would open and not find here, such as `libcudnn.so.9`, card or none."""
    build = cuda_libraries.build()
    return cuda_libraries.missing(build) if build else []


def usable() -> bool:
    """A card, and all with which TensorFlow can use it."""
    driver = cuda_driver.ask()
    return bool(driver.cards) and _hindrance(driver) is None


def why_not() -> str | None:
    """Why TensorFlow cannot use the card that is here, and what to do, in one sentence.

    None if it can, or the driver knows of no card.
    """
    driver = cuda_driver.ask()
    if driver.error:
        return f"NVIDIA's driver shows no card: {driver.error} (nvidia-smi tells more)"
    found = _hindrance(driver) if driver.cards else None
    return f"there is a GPU, but {found.why}: {found.remedy}" if found else None


class Hindrance(NamedTuple):
    """What is in TensorFlow's way to the cards.

    Attributes:
        why: what goes on from `there is a GPU, but`.
        remedy: a command, as far as there is one.
    """

    why: str
    remedy: str


def _hindrance(driver: Driver) -> Hindrance | None:
    build = cuda_libraries.build()
    return hindrance(driver, build, cuda_libraries.missing(build) if build else [])


def hindrance(driver: Driver, build: Build | None, missing: list[str]) -> Hindrance | None:
    """What is in TensorFlow's way on a machine that has at least one card.

    Args:
        driver: its answers.
        build: of the installed TensorFlow.
        missing: the libraries that it does not find.
    """
    if sys.platform != "linux":
        return Hindrance(
            "TensorFlow uses NVIDIA's cards on Linux only", "on Windows, run vggfeat inside WSL 2"
        )
    if build is None:
        return Hindrance("TensorFlow is not installed", _INSTALL)
    if build.with_cuda is False:
        return Hindrance(
            "the TensorFlow that is installed is built without CUDA",
            f"pip uninstall -y tensorflow tensorflow-cpu; {_INSTALL}",
        )
    if missing:
        return _too_old(driver, build) or Hindrance(
            f"TensorFlow does not find CUDA's libraries ({_shortened(missing)})", _INSTALL
        )
    return _too_old(driver, build)


def _shortened(names: list[str]) -> str:
    first, *others = names
    return f"{first} and {len(others)} more" if others else first


def _too_old(driver: Driver, build: Build) -> Hindrance | None:
    """What TensorFlow itself says in its log alone."""
    if driver.cuda and build.cuda and driver.cuda[0] < build.cuda[0]:
        return Hindrance(
            f"its driver supports CUDA {dotted(driver.cuda)}, and TensorFlow takes "
            f"{build.cuda[0]}.0 at the least",
            "install a newer driver from NVIDIA",
        )
    if all(card.capability < build.oldest for card in driver.cards):
        return Hindrance(
            f"it has compute capability {dotted(driver.cards[0].capability)}, and this TensorFlow "
            f"is built for {dotted(build.oldest)} at the least",
            "an older TensorFlow may take it, else only a newer card helps",
        )
    return None


def dotted(version: tuple[int, int]) -> str:
    """`(12, 4)` -> `12.4`."""
    return f"{version[0]}.{version[1]}"
