"""How well a head does: all from the probabilities that it gives, and the true classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_TOP = 5
_LEAST = 1e-15  # of a probability, so that one great mistake does not make the log loss infinite


@dataclass(frozen=True, eq=False)
class Figures:
    """Of some rows with known classes.

    Attributes:
        classes: names.
        confusion: int64 `[classes,classes]`, rows by true class, columns by the class told.
        log_loss: mean of -log of the true class's probability, in nats.
        top: how often the true class is among the five most probable; None for six classes or
            fewer, where that says nothing.
    """

    classes: tuple[str, ...]
    confusion: NDArray[np.int64]
    log_loss: float
    top: float | None

    @property
    def counts(self) -> NDArray[np.int64]:
        """Rows of each class."""
        return np.asarray(self.confusion.sum(axis=1))

    @property
    def accuracy(self) -> float:
        return float(np.trace(self.confusion) / self.confusion.sum())

    @property
    def baseline(self) -> tuple[str, float]:
        """The most frequent class, and the accuracy of whoever always tells it."""
        most = int(self.counts.argmax())
        return self.classes[most], float(self.counts[most] / self.counts.sum())

    @property
    def recall(self) -> NDArray[np.float64]:
        """By class: the part of its rows that is told to be of it; 0 without rows."""
        return _parts(np.diagonal(self.confusion), self.counts)

    @property
    def precision(self) -> NDArray[np.float64]:
        """By class: the part of the rows told to be of it that is; 0 where none is told."""
        return _parts(np.diagonal(self.confusion), self.confusion.sum(axis=0))

    @property
    def f1(self) -> NDArray[np.float64]:
        """By class: the harmonic mean of precision and recall."""
        told = self.confusion.sum(axis=0)
        return _parts(2 * np.diagonal(self.confusion), told + self.counts)

    @property
    def balanced_accuracy(self) -> float:
        """The mean recall of the classes that have rows."""
        return float(self.recall[self.counts > 0].mean())

    def mistaken(self) -> list[tuple[str, str, int]]:
        """The pairs of a true class and another one told in its place, the most frequent first."""
        wrong = self.confusion - np.diag(np.diagonal(self.confusion))
        order = np.argsort(-wrong, axis=None, kind="stable")
        pairs = (divmod(int(place), len(self.classes)) for place in order)
        return [
            (self.classes[true], self.classes[told], int(wrong[true, told]))
            for true, told in pairs
            if wrong[true, told]
        ]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        name, share = self.baseline
        columns = (self.precision, self.recall, self.f1, self.counts)
        by_class = zip(self.classes, *(column.tolist() for column in columns), strict=True)
        names = ("class", "precision", "recall", "f1", "pictures")
        return {
            "pictures": int(self.counts.sum()),
            "accuracy": self.accuracy,
            "balanced_accuracy": self.balanced_accuracy,
            "top5_accuracy": self.top,
            "log_loss": self.log_loss,
            "baseline": {"class": name, "accuracy": share},
            "classes": [dict(zip(names, row, strict=True)) for row in by_class],
            "confusion": self.confusion.tolist(),
        }


def figures(
    classes: tuple[str, ...], true: NDArray[np.int64], probabilities: NDArray[np.float32]
) -> Figures:
    """Judge `probabilities [n,classes]` by the true classes `[n]`, numbers of columns."""
    width = len(classes)
    told = probabilities.argmax(axis=1)
    confusion = np.bincount(true * width + told, minlength=width * width).reshape(width, width)
    of_true = probabilities[np.arange(len(true)), true].astype(np.float64)
    better = (probabilities > of_true[:, None]).sum(axis=1)
    return Figures(
        classes,
        confusion.astype(np.int64),
        float(-np.log(of_true.clip(_LEAST)).mean()),
        float((better < _TOP).mean()) if width > _TOP + 1 else None,
    )


def _parts(some: NDArray[np.int64], of: NDArray[np.int64]) -> NDArray[np.float64]:
    return some / np.maximum(of, 1)
