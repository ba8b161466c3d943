"""Cross-validation: how strongly to fit, and how well that does on pictures it has not seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vggfeat.head.file import softmax
from vggfeat.head.linear import Method, row_weights
from vggfeat.head.space import spanned_by

_SHARPEST = 6.0  # of a factor, as its natural logarithm


class Choice(NamedTuple):
    """What does best.

    Attributes:
        place: of the strength.
        factor: that turns scores into logits.
    """

    place: int
    factor: float


class Validated(NamedTuple):
    """What cross-validation tells.

    Attributes:
        strength: C of the fit.
        factor: that turns its scores into logits.
        probabilities: float32 `[n,classes]`, of each row by a head that was fitted without its
            fold, and of a strength and factor that were chosen without it too.
    """

    strength: float
    factor: float
    probabilities: NDArray[np.float32]


def validate(
    x: NDArray[Any],
    y: NDArray[np.int64],
    fold_of: NDArray[np.int64],
    method: Method,
    balanced: bool,
    on_fold: Callable[[int, int], None],
) -> Validated:
    """Try strengths on the rows of each fold, fitted on those of the others.

    They begin with the weakest, and end with one that is clearly worse than one before it: the
    strongest take the most time.

    What is told of a fold is of the strength that does best on the other folds: the best of many
    on the fold itself would flatter.

    Args:
        x: features `[n,d]`, float32 or float16.
        y: class of each row.
        fold_of: fold of each row, from 0 on.
        on_fold: told the number of each fold, of how many, when it is done.
    """
    strengths = method.strengths / x.shape[1]
    weights = row_weights(y, balanced)
    scores = np.empty((len(strengths), len(y), int(y.max()) + 1), np.float32)
    folds = int(fold_of.max()) + 1
    for fold in range(folds):
        tried = fold_of == fold
        space, standard = spanned_by(x, ~tried)
        unseen, least = x[tried], np.full(int(tried.sum()), np.inf)
        for place, linear in enumerate(method.fit(standard, y[~tried], strengths, balanced)):
            # Stands for the stronger fits too until they are made.
            scores[place:, tried] = space.unfold(linear).scores(unseen)
            factor, _ = _scaled(scores[place, tried], y[tried], weights[tried], method)
            losses = weights[tried] * _losses(factor * scores[place, tried], y[tried])
            if _clearly_more(losses, least):
                break
            least = min(losses, least, key=np.mean)
        on_fold(fold + 1, folds)
    probabilities = np.empty(scores.shape[1:], np.float32)
    for fold in range(folds):
        tried = fold_of == fold
        place, factor = _choose(scores[:, ~tried], y[~tried], weights[~tried], method)
        probabilities[tried] = softmax(factor * scores[place, tried])
    place, factor = _choose(scores, y, weights, method)
    return Validated(float(strengths[place]), factor, probabilities)


def _choose(
    scores: NDArray[np.float32],
    y: NDArray[np.int64],
    weights: NDArray[np.float64],
    method: Method,
) -> Choice:
    """The strength with the least loss, and the factor of its scores."""
    scaled = [_scaled(some, y, weights, method) for some in scores]
    place = min(range(len(scaled)), key=lambda place: scaled[place][1])
    return Choice(place, scaled[place][0])


def _scaled(
    scores: NDArray[np.float32],
    y: NDArray[np.int64],
    weights: NDArray[np.float64],
    method: Method,
) -> tuple[float, float]:
    """The factor that turns scores into logits, one for all, and the loss of these.

    The factor is the inverse of a temperature: the one with the least loss.
    """
    from scipy.optimize import minimize_scalar

    if method.gives_logits:
        return 1.0, _loss(scores, y, weights)
    found = minimize_scalar(
        lambda power: _loss(float(np.exp(power)) * scores, y, weights),
        bounds=(-_SHARPEST, _SHARPEST),
        method="bounded",
    )
    return float(np.exp(found.x)), float(found.fun)


def _loss(logits: NDArray[np.float32], y: NDArray[np.int64], weights: NDArray[np.float64]) -> float:
    return float(np.average(_losses(logits, y), weights=weights))


def _losses(logits: NDArray[np.float32], y: NDArray[np.int64]) -> NDArray[np.float32]:
    """The Brier score of each row: the squared distance of probabilities from the truth.

    Not the log loss, which has no bound: a single picture with a feature that was constant in all
    others would decide.
    """
    wrong = softmax(logits)
    wrong[np.arange(len(y)), y] -= 1
    return np.asarray(np.square(wrong).sum(axis=1))


def _clearly_more(some: NDArray[Any], others: NDArray[Any]) -> bool:
    """Whether the mean is higher by more than chance explains: by four standard errors."""
    if not np.isfinite(others).all():
        return False
    more = some - others
    return bool(more.mean() > 4 * more.std() / len(more) ** 0.5)
