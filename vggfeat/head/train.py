"""From features and labels in files to the file of a head, and what tells of it."""

from __future__ import annotations

import os
import time
import warnings
from pathlib import Path
from typing import NamedTuple

from vggfeat.errors import VggfeatError, describe_os_error
from vggfeat.head import doubts, file, picture, report
from vggfeat.head.data import labelled
from vggfeat.head.fit import Fitted, fit, need_scikit_learn
from vggfeat.head.labels import read
from vggfeat.watcher import Watcher
from vggfeat.whole import whole

_QUIET = 10.0  # seconds without a line about folds


class Trained(NamedTuple):
    """What was written.

    Attributes:
        fitted: the head and how well it does.
        report: the same as text.
        picture: of the confusion matrix.
    """

    fitted: Fitted
    report: Path
    picture: Path


def train(
    features: str | os.PathLike[str],
    output: str | os.PathLike[str],
    labels: str | os.PathLike[str] | None = None,
    *,
    method: str = "logistic",
    balanced: bool = False,
    watcher: Watcher | None = None,
) -> Trained:
    """Fit a head, as the command `vggfeat head fit` does.

    Args:
        features: the file of `extract`.
        output: the file to write; the report and the picture are written beside it.
        labels: a CSV file; None to go by the folders that the pictures lie in.
        method: `logistic` or `svm`.
        balanced: let each class count the same, however many pictures it has.
        watcher: told how it goes.

    Raises:
        VggfeatError: something cannot be read, fitted or written.
    """
    watcher = watcher or Watcher()
    path = Path(output)
    check(path, labels)
    data = labelled(features, labels, watcher.note)
    for line in doubts.of_contents(data) + ([] if labels else doubts.of_folders(data)):
        watcher.note(line)
    fitted = fit(
        data.vectors,
        data.labels,
        recipe=data.recipe,
        contents=data.contents,
        method=method,
        balanced=balanced,
        on_fold=_Progress(watcher).fold,
    )
    told = Trained(
        fitted,
        path.with_name(f"{path.stem}.report.txt"),
        path.with_name(f"{path.stem}.confusion.png"),
    )
    _write(told, path)
    return told


def check(output: str | os.PathLike[str], labels: str | os.PathLike[str] | None = None) -> None:
    """See that nothing stands in the way, before hours are spent.

    Raises:
        VggfeatError: a library is missing, no head can be written there, or the file of labels is
            none.
    """
    _need_libraries()
    _check_free(Path(output))
    if labels is not None:
        read(labels)


def _write(told: Trained, path: Path) -> None:
    head, figures, folds = told.fitted
    sections = [
        report.of_head(head),
        report.of_figures(figures, folds, told.fitted.spread),
        report.by_class(figures),
        report.mistakes(figures),
    ]
    title = f"{path.name}: accuracy {figures.accuracy:.3f} in {len(folds)}-fold cross-validation"
    try:
        with whole(told.report) as text:
            text.write("\n\n".join("\n".join(lines) for lines in sections).encode() + b"\n")
        with whole(told.picture) as png, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of letters that the font does not have
            picture.draw(figures, title, png)
    except OSError as error:
        raise VggfeatError(f"{path}: cannot be written: {describe_os_error(error)}") from error
    file.write(head, path)


def _need_libraries() -> None:
    need_scikit_learn()
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise VggfeatError(
            "drawing the confusion matrix takes matplotlib: pip install 'vggfeat[head]'"
        ) from error


def _check_free(path: Path) -> None:
    """See that a head can be written there, and that nothing else is replaced."""
    try:
        if path.exists() and not file.recognise(path):
            raise VggfeatError(
                f"{path}: is no head, so it is not replaced: move it away or choose another -o"
            )
    except OSError as error:
        raise VggfeatError(f"{path}: cannot be written: {describe_os_error(error)}") from error
    if not path.parent.is_dir():
        raise VggfeatError(f"{path}: cannot be written: there is no folder {path.parent}")


class _Progress:
    """A line now and then."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._told = time.monotonic()

    def fold(self, number: int, folds: int) -> None:
        if time.monotonic() - self._told > _QUIET:
            self._told = time.monotonic()
            self._watcher.note(f"cross-validation: {number} of {folds} folds")
