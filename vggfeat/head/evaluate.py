"""How well a head does on features with labels that it was not fitted on."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vggfeat.errors import VggfeatError
from vggfeat.head import file
from vggfeat.head.data import fingers, labelled
from vggfeat.head.figures import Figures, figures
from vggfeat.watcher import Watcher

_BLOCK = 4096  # rows that are computed at once


class Judged(NamedTuple):
    """What comes of it.

    Attributes:
        figures: of the rows whose label is a class of the head.
        seen: how many of them are pictures that the head was fitted on.
        left_out: rows by label, of labels that are no class of the head.
    """

    figures: Figures
    seen: int
    left_out: Counter[str]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**self.figures.as_dict(), "seen": self.seen, "left_out": dict(self.left_out)}


def evaluate(
    head_file: str | os.PathLike[str],
    features: str | os.PathLike[str],
    labels: str | os.PathLike[str] | None = None,
    watcher: Watcher | None = None,
) -> Judged:
    """Compare what a head tells with what is true, as `vggfeat head evaluate` does.

    Args:
        head_file: of `vggfeat head fit`.
        features: the file of `extract`, with the layer and settings that the head was fitted on.
        labels: a CSV file; None to go by the folders that the pictures lie in.
        watcher: told what is odd about it.

    Raises:
        VggfeatError: something cannot be read, the features are others than those that the head
            takes, or no label is a class of it.
    """
    watcher = watcher or Watcher()
    head = file.read(head_file)
    data = labelled(features, labels, watcher.note)
    head.check(data.recipe, str(features))
    column = {name: k for k, name in enumerate(head.classes)}
    true = np.array([column.get(label, -1) for label in data.labels], np.int64)
    left_out = Counter(label for label in data.labels if label not in column)
    if (true < 0).all():
        raise VggfeatError(
            f"{features}: no label is a class of the head: it knows {', '.join(head.classes[:3])}"
            f"{' ...' if len(head.classes) > 3 else ''}, and the first label is {data.labels[0]}"
        )
    known = np.flatnonzero(true >= 0)
    told = np.concatenate(list(probabilities(head, data.vectors)))
    judged = figures(head.classes, true[known], told[known])
    seen = int(np.isin(fingers(data.contents), head.seen)[known].sum())
    _tell(watcher, seen, len(known), left_out)
    return Judged(judged, seen, left_out)


def probabilities(head: file.Head, vectors: NDArray[Any]) -> Iterator[NDArray[np.float32]]:
    """Of features, a block of rows at a time, so that they need not fit in memory."""
    for start in range(0, len(vectors), _BLOCK):
        yield head.probabilities(np.asarray(vectors[start : start + _BLOCK]))


def _tell(watcher: Watcher, seen: int, rows: int, left_out: Counter[str]) -> None:
    if left_out:
        names = ", ".join(list(left_out)[:3]) + (" ..." if len(left_out) > 3 else "")
        watcher.note(
            f"{left_out.total():,} pictures are left out, of labels that are no class of the head "
            f"({names})"
        )
    if seen:
        watcher.note(
            f"{seen:,} of the {rows:,} pictures are among those that the head was fitted on: the "
            "figures flatter it (head fit tells what it does on others)"
        )
