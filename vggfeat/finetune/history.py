"""How a fine-tuning goes, epoch by epoch: what is told of it, and what is decided by it."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from typing import NamedTuple


class Row(NamedTuple):
    """An epoch. Epoch 0 is the start: the frozen network, with classes fitted on its features.

    Attributes:
        epoch: from 0 on.
        loss: mean cross-entropy of the pictures learned from, with augmentation and dropout as
            they were seen; in epoch 0 without.
        accuracy: of them, as a fraction.
        val_loss: of the pictures that judge, after the epoch.
        val_accuracy: of them.
        learning_rate: of the epoch.
    """

    epoch: int
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float
    learning_rate: float


def best(history: Sequence[Row]) -> Row:
    """The epoch whose network is kept: that of the least validation loss."""
    return min(history, key=lambda row: row.val_loss)


def is_finished(history: Sequence[Row], epochs: int, patience: int) -> bool:
    """Whether all epochs are done, or so many in a row have not brought the validation loss down.

    The start does not count: the first epochs may lose what a fitted start has, and win later.
    """
    last = history[-1].epoch
    return last >= epochs or (last > 0 and last - best(history[1:]).epoch >= patience)


def learning_rate(epoch: int, epochs: int, highest: float) -> float:
    """Half a cosine: the highest in epoch 1, near zero in the last one."""
    return highest * (1 + math.cos(math.pi * (epoch - 1) / epochs)) / 2


def to_csv(history: Sequence[Row]) -> str:
    """A line an epoch, with the shortest decimals that read back to the same numbers."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Row._fields)
    writer.writerows(history)
    return text.getvalue()


def from_csv(text: str) -> list[Row]:
    """The inverse of `to_csv`. Raises ValueError, TypeError."""
    header, *lines = csv.reader(io.StringIO(text))
    if tuple(header) != Row._fields:
        raise ValueError("not a history of this version")
    return [Row(int(line[0]), *map(float, line[1:])) for line in lines]
