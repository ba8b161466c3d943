"""The methods by which a linear classifier is fitted, each as scores by class."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_STEPS = 10_000  # more than are ever taken


class Linear(NamedTuple):
    """Scores are `x @ kernel + bias`.

    Attributes:
        kernel: `[d,classes]`.
        bias: `[classes]`.
    """

    kernel: NDArray[np.float64]
    bias: NDArray[np.float64]

    def scores(self, x: NDArray[Any]) -> NDArray[np.float32]:
        """Of features `x [n,d]`: float32 `[n,classes]`."""
        kernel, bias = self.kernel.astype(np.float32), self.bias.astype(np.float32)
        return x.astype(np.float32, copy=False) @ kernel + bias


class Method(NamedTuple):
    """A way to fit a classifier to standardised features.

    Attributes:
        name: in words.
        fit: gives the classifier of `x [n,d]` and `y [n]` for each strength C of the fit against
            the penalty on the weights, as scikit-learn counts it; weighted by class or not.
        strengths: to choose from, times d: the more features, the less each of them may weigh.
        gives_logits: whether the scores are logits as they are.
    """

    name: str
    fit: Callable[[NDArray[Any], NDArray[np.int64], Iterable[float], bool], Iterator[Linear]]
    strengths: NDArray[np.floating[Any]]
    gives_logits: bool


def _logistic(
    x: NDArray[Any], y: NDArray[np.int64], strengths: Iterable[float], balanced: bool
) -> Iterator[Linear]:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(
        tol=_tolerance(x),
        max_iter=_STEPS,
        warm_start=True,
        class_weight="balanced" if balanced else None,
    )
    for strength in strengths:
        model.set_params(C=strength).fit(x, y)
        kernel, bias = model.coef_.T.astype(np.float64), model.intercept_.astype(np.float64)
        if len(bias) == 1:  # of two classes there is only the difference
            kernel, bias = kernel * [-0.5, 0.5], bias * [-0.5, 0.5]
        yield Linear(kernel, bias)


def _svm(
    x: NDArray[Any], y: NDArray[np.int64], strengths: Iterable[float], balanced: bool
) -> Iterator[Linear]:
    """With the squared hinge loss, as `sklearn.svm.LinearSVC`, but for its penalty on the bias.

    LinearSVC goes through dense rows number by number, which takes many times as long.
    """
    from scipy.optimize import minimize

    signs = np.where(y[:, None] == np.arange(y.max() + 1), 1, -1).astype(x.dtype)
    weights = row_weights(y, balanced).astype(x.dtype)[:, None] / len(y)
    shape = (x.shape[1] + 1, signs.shape[1])

    def objective(flat: NDArray[np.float64], strength: float) -> tuple[float, NDArray[np.float64]]:
        kernel, bias = np.split(flat.reshape(shape), [-1])
        slack = np.maximum(1 - signs * (x @ kernel.astype(x.dtype) + bias.astype(x.dtype)), 0)
        penalty = kernel / (strength * len(y))
        pull = -2 * weights * signs * slack
        gradient = np.concatenate([penalty + x.T @ pull, pull.sum(axis=0, keepdims=True)])
        loss = np.sum(weights * np.square(slack)) + 0.5 * np.sum(kernel * penalty)
        return float(loss), gradient.ravel()

    reached = np.zeros(np.prod(shape))
    options = {"maxiter": _STEPS, "gtol": _tolerance(x), "ftol": 64 * np.finfo(np.float64).eps}
    for strength in strengths:
        reached = minimize(objective, reached, (strength,), "L-BFGS-B", jac=True, options=options).x
        kernel, bias = np.split(reached.reshape(shape), [-1])
        yield Linear(kernel, bias[0])


def row_weights(y: NDArray[np.int64], balanced: bool) -> NDArray[np.float64]:
    """1 for each row, or as much for each class in all."""
    counts = np.bincount(y)
    return (len(y) / len(counts) / counts)[y] if balanced else np.ones(len(y))


def _tolerance(x: NDArray[Any]) -> float:
    """Of the gradient of the mean loss: what the precision of the numbers has to give."""
    return 1e-8 if x.dtype == np.float64 else 1e-5


METHODS = {
    "logistic": Method(
        "multinomial logistic regression", _logistic, 10.0 ** np.arange(-3, 5), True
    ),
    "svm": Method("linear SVM, one class against the rest", _svm, 10.0 ** np.arange(-6, 2), False),
}
