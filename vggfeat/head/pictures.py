"""Features of the pictures that a head is fitted on, where there is only a folder of pictures."""

from __future__ import annotations

import os
from pathlib import Path

from vggfeat import run
from vggfeat.errors import UsageError
from vggfeat.head import train
from vggfeat.watcher import Watcher
from vggfeat.weights import Weights


def extracted(
    folder: str | os.PathLike[str],
    head: str | os.PathLike[str],
    labels: str | os.PathLike[str] | None = None,
    *,
    weights: str | os.PathLike[str] | Weights | None = None,
    layer: str = "fc7",
    watcher: Watcher | None = None,
) -> tuple[str, int]:
    """Extract features beside the head that they are for, or bring up to date what is there.

    Args:
        labels: the CSV file that the head is to be fitted by, if there is one.

    Returns:
        their file, `flowers.features.npy` beside `flowers.head`, and how many pictures failed.

    Raises:
        UsageError: the head's own picture would be one of the folder's next time.
        VggfeatError: as `extract` does; or no head could be fitted then, as `train.check` tells.
    """
    watcher = watcher or Watcher()
    path = Path(head)
    if path.parent.resolve().is_relative_to(Path(folder).resolve()):
        raise UsageError(
            f"-o {path} lies within {folder}, whose pictures are to be learned: its own picture, "
            "of the confusion matrix, would be one of them: choose another folder"
        )
    train.check(path, labels)
    output = path.with_name(f"{path.stem}.features.npy")
    report = run.extract(folder, output, weights=weights, layer=layer, watcher=watcher)
    watcher.note(f"{output}: {layer} of {report.rows:,} pictures, {report.computed:,} computed")
    return str(output), report.failed
