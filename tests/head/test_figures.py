"""Figures against scikit-learn's."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from vggfeat.head.figures import figures


@given(
    count=st.integers(2, 9), rows=st.integers(1, 40), seed=st.integers(0, 1000)
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_they_are_those_of_scikit_learn(count: int, rows: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    true = generator.integers(0, count, rows)
    probabilities = generator.dirichlet(np.ones(count), rows).astype(np.float32)
    told = probabilities.argmax(axis=1)
    names = tuple(f"class {k}" for k in range(count))
    labels = list(range(count))
    found = figures(names, true, probabilities)
    np.testing.assert_array_equal(
        found.confusion, metrics.confusion_matrix(true, told, labels=labels)
    )
    expected = metrics.precision_recall_fscore_support(true, told, labels=labels, zero_division=0)
    columns = (found.precision, found.recall, found.f1, found.counts)
    for column, wanted in zip(columns, expected, strict=True):
        np.testing.assert_allclose(column, wanted)
    assert found.accuracy == pytest.approx(metrics.accuracy_score(true, told))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # float32 does not sum up to 1 as float64 does
        assert found.balanced_accuracy == pytest.approx(metrics.balanced_accuracy_score(true, told))
        loss = metrics.log_loss(true, probabilities.astype(float), labels=labels)
    assert found.log_loss == pytest.approx(loss, rel=1e-4)
    if count > 6:
        top = metrics.top_k_accuracy_score(true, probabilities, k=5, labels=labels)
        assert found.top == pytest.approx(top)
    else:
        assert found.top is None


def test_mistakes_are_told_the_most_frequent_first() -> None:
    told = np.array([0, 1, 1, 0, 1, 2, 2, 2])
    found = figures(
        ("a", "b", "c"), np.array([0, 0, 0, 1, 1, 1, 1, 2]), np.eye(3, dtype="f4")[told]
    )
    assert found.mistaken() == [("a", "b", 2), ("b", "c", 2), ("b", "a", 1)]
    assert found.baseline == ("b", 0.5)
