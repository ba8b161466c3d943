"""Batches dealt to several devices, one of which may fail while the others go on."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from vggfeat.errors import VggfeatError

if TYPE_CHECKING:
    from numpy.typing import NDArray

Note = Callable[[str], None]


class DeviceError(Exception):
    """A device that cannot go on; the text says why."""


class OutOfMemoryError(DeviceError):
    """A batch was too large for a device."""


class Device(Protocol):
    """What computes a batch by itself.

    Attributes:
        label: what users call it.
        batch_size: images at the most that it computes at once.
    """

    label: str
    batch_size: int

    def compute(self, images: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """uint8 `[n,size,size,3]`, at most a batch -> float32 `[n,*shape]` each.

        Raises:
            DeviceError: it could not.
        """


class Dealer:
    """Gives each batch to a device that is free; called by many threads at once.

    A device that runs out of memory gets smaller batches from then on. One that fails otherwise,
    or even with a single image, is dropped, and its batches go to the others: no batch is lost
    while one is left.

    Args:
        devices: what there is.
        at_once: batches that a device is given at once, so that the next one is there when one
            is done.
        note: told what a user should know.
    """

    def __init__(self, devices: Sequence[Device], at_once: int, note: Note) -> None:
        self._free = deque([*devices] * at_once)
        self._left = list(devices)
        self._note = note
        self._changed = threading.Condition()
        self._last = ""

    @property
    def left(self) -> tuple[Device, ...]:
        """The devices that have not been dropped."""
        return tuple(self._left)

    def compute(self, images: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """uint8 `[n,size,size,3]` -> float32 `[n,*shape]` of each activation.

        Raises:
            VggfeatError: no device is left.
        """
        while True:
            device = self._take()
            size = device.batch_size
            try:
                return _in_pieces(device, images, size)
            except DeviceError as error:
                if not isinstance(error, OutOfMemoryError):
                    self._drop(device, str(error))
                elif not self._halved(device, size):
                    self._drop(device, "out of memory, even for a single image")
            finally:
                self._give_back(device)

    def _take(self) -> Device:
        with self._changed:
            self._changed.wait_for(lambda: self._free or not self._left)
            if not self._left:
                raise VggfeatError(f"{self._last}; `vggfeat doctor` looks into it")
            return self._free.popleft()

    def _give_back(self, device: Device) -> None:
        with self._changed:
            if device in self._left:
                self._free.append(device)
                self._changed.notify()

    def _halved(self, device: Device, size: int) -> bool:
        """Whether a device has smaller batches now than this, which were too large for it."""
        with self._changed:
            if device.batch_size < size:  # another thread has met the same
                return True
            if size == 1:
                return False
            device.batch_size = size // 2
        self._note(
            f"{device.label}: out of memory with batches of {size}, goes on with {size // 2}"
        )
        return True

    def _drop(self, device: Device, why: str) -> None:
        with self._changed:
            if device not in self._left:  # another thread has dropped it
                return
            self._left.remove(device)
            self._free = deque(other for other in self._free if other is not device)
            self._last = f"{device.label} failed: {why}"
            others = ", ".join(other.label for other in self._left)
            self._changed.notify_all()
        if others:
            self._note(f"{self._last}; goes on without it, on {others}")


def _in_pieces(device: Device, images: NDArray[np.uint8], size: int) -> list[NDArray[np.float32]]:
    pieces = [images[begin : begin + size] for begin in range(0, len(images), size)]
    found = [device.compute(piece) for piece in pieces]
    return [
        parts[0] if len(parts) == 1 else np.concatenate(parts) for parts in zip(*found, strict=True)
    ]
