"""Features of the pictures that a head is fitted on, where there is only a folder of pictures."""

from __future__ import annotations

import os
from pathlib import Path

from vggfeat import run
from vggfeat.watcher import Watcher
from vggfeat.weights import Weights


def extracted(
    folder: str | os.PathLike[str],
    head: str | os.PathLike[str],
    *,
    weights: str | os.PathLike[str] | Weights | None = None,
    layer: str = "fc7",
    watcher: Watcher | None = None,
) -> tuple[str, int]:
    """Extract features beside the head that they are for, or bring up to date what is there.

    Returns:
        their file, `flowers.features.npy` beside `flowers.head`, and how many pictures failed.

    Raises:
        VggfeatError: as `extract` does.
    """
    watcher = watcher or Watcher()
    path = Path(head)
    output = path.with_name(f"{path.stem}.features.npy")
    report = run.extract(folder, output, weights=weights, layer=layer, watcher=watcher)
    watcher.note(f"{output}: {layer} of {report.rows:,} pictures, {report.computed:,} computed")
    return str(output), report.failed
