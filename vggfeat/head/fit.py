"""Fitting a head on frozen features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from importlib.metadata import version
from typing import Any, NamedTuple

import numpy as np
from natsort import natsorted
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from vggfeat.errors import UsageError, VggfeatError
from vggfeat.head.data import fingers
from vggfeat.head.figures import Figures, figures
from vggfeat.head.file import Head
from vggfeat.recipe import Recipe

FOLDS = 5
_SMALL = 4096  # rows, up to which threads cost more than they save


class Fitted(NamedTuple):
    """A head, and how well such a head does on pictures that it was not fitted on.

    Attributes:
        head: fitted on all rows.
        figures: of all rows, each by a head that was fitted without its fold.
        folds: the accuracy in each fold.
    """

    head: Head
    figures: Figures
    folds: tuple[float, ...]

    @property
    def spread(self) -> float:
        """The standard deviation of the accuracy over the folds."""
        return float(np.std(self.folds, ddof=1))


def fit(
    vectors: NDArray[Any],
    labels: Sequence[str],
    *,
    recipe: Recipe,
    contents: Sequence[str] | None = None,
    method: str = "logistic",
    balanced: bool = False,
    seed: int = 0,
    on_fold: Callable[[int, int], None] = lambda fold, folds: None,
) -> Fitted:
    """Fit a linear classifier, with the regularisation that does best in cross-validation.

    The same arguments give the same head, bit for bit, on the same machine.

    Args:
        vectors: features `[n,d]`, or `[n,h,w,c]` of a map; float32 or float16, in memory or
            memory-mapped.
        labels: the class of each row, in words.
        recipe: what the features were made by.
        contents: sha256 of each picture, to keep equal ones out of each other's validation.
        method: `logistic` or `svm`.
        balanced: let each class count the same, however many rows it has.
        seed: of the division into folds.
        on_fold: told the number of each fold, of how many, when it is done.

    Raises:
        VggfeatError: scikit-learn is not installed, or there are too few classes or rows.
        UsageError: there is no such method.
    """
    need_scikit_learn()
    from vggfeat.head.folds import folds
    from vggfeat.head.linear import METHODS
    from vggfeat.head.space import spanned_by
    from vggfeat.head.validation import validate

    if method not in METHODS:
        raise UsageError(f"no method {method!r}; there are {', '.join(METHODS)}")
    way = METHODS[method]
    classes = tuple(natsorted(set(labels)))
    if len(classes) < 2:
        raise VggfeatError(f"all pictures are labelled {classes[0]}: two classes are the least")
    x = vectors.reshape(len(vectors), -1)
    y = np.array([classes.index(label) for label in labels], np.int64)
    seen = contents or [str(row) for row in range(len(y))]
    fold_of = folds(y, seen, classes, FOLDS, seed)
    with threadpool_limits(1) if len(y) <= _SMALL else nullcontext():
        tried = validate(x, y, fold_of, way, balanced, on_fold)
        space, standard = spanned_by(x, np.ones(len(y), bool))
        linear = space.unfold(next(way.fit(standard, y, [tried.strength], balanced)))
    right = tried.probabilities.argmax(axis=1) == y
    accuracies = tuple(float(right[fold_of == fold].mean()) for fold in range(fold_of.max() + 1))
    judged = figures(classes, y, tried.probabilities)
    about = {
        "method": way.name,
        "C": tried.strength,
        "balanced": balanced,
        "seed": seed,
        "pictures": len(y),
        "folds": accuracies,
        "accuracy": judged.accuracy,
        "log_loss": judged.log_loss,
        "scikit-learn": version("scikit-learn"),
    }
    head = Head(
        (tried.factor * linear.kernel).astype(np.float32),
        (tried.factor * linear.bias).astype(np.float32),
        classes,
        recipe,
        about,
        np.unique(fingers(contents or [])),
    )
    return Fitted(head, judged, accuracies)


def need_scikit_learn() -> None:
    """Raise VggfeatError where it is not installed."""
    try:
        import sklearn  # noqa: F401
    except ImportError as error:
        raise VggfeatError(
            "fitting a head takes scikit-learn: pip install 'vggfeat[head]'"
        ) from error
