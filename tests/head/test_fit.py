"""Fitting against scikit-learn used directly."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.utils.class_weight import compute_sample_weight
from threadpoolctl import threadpool_limits

from tests.head.made import RECIPE, features
from vggfeat import VggfeatError
from vggfeat.errors import UsageError
from vggfeat.head import file, space, validation
from vggfeat.head.fit import fit
from vggfeat.head.folds import folds
from vggfeat.head.linear import METHODS
from vggfeat.head.validation import validate


def pipeline(strength: float, **options: Any) -> Any:
    return make_pipeline(
        StandardScaler(), LogisticRegression(C=strength, tol=1e-9, max_iter=10_000, **options)
    )


@pytest.mark.parametrize(
    ("rows", "classes", "balanced"), [(61, 3, False), (61, 3, True), (20, 2, True), (20, 4, False)]
)
def test_probabilities_are_those_of_scikit_learn(rows: int, classes: int, balanced: bool) -> None:
    vectors, labels = features(rows, classes=classes)
    head = fit(vectors, labels, recipe=RECIPE, balanced=balanced).head
    direct = pipeline(head.about["C"], class_weight="balanced" if balanced else None)
    direct.fit(vectors.astype(float), labels)
    assert head.classes == tuple(direct.classes_)
    unseen, _ = features(200, classes=classes, seed=1)
    expected = direct.predict_proba(unseen.astype(float))
    assert np.ptp(expected, axis=1).max() > 0.2
    np.testing.assert_allclose(head.probabilities(unseen), expected, atol=2e-5)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """More would wait for each other: the arrays are small."""
    with threadpool_limits(1):
        yield


@pytest.mark.parametrize(("classes", "balanced"), [(2, True), (3, False)])
def test_an_svm_gives_scikit_learns_scores_times_one_factor(classes: int, balanced: bool) -> None:
    vectors, labels = features(classes=classes)
    vectors, labels = vectors[:-7], labels[:-7]
    head = fit(vectors, labels, recipe=RECIPE, method="svm", balanced=balanced).head
    # A large intercept_scaling leaves the bias without a penalty, as a textbook's SVM has it.
    direct = LinearSVC(
        C=head.about["C"], dual=False, tol=1e-10, max_iter=100_000, intercept_scaling=300
    )
    scaler = StandardScaler().fit(vectors.astype(float))
    weights = compute_sample_weight("balanced" if balanced else None, labels)
    direct.fit(scaler.transform(vectors.astype(float)), labels, sample_weight=weights)
    unseen, _ = features(100, classes=classes, seed=1)
    expected = direct.decision_function(scaler.transform(unseen.astype(float)))
    found = head.logits(unseen)
    if classes == 2:
        found = found[:, 1] - found[:, 0]
    factor = np.sum(found * expected) / np.sum(np.square(expected))
    assert factor > 0
    np.testing.assert_allclose(found, factor * expected, atol=1e-3 * np.abs(found).max())


def test_each_fold_is_judged_by_a_strength_that_the_others_chose() -> None:
    vectors, labels = features(45, width=12, apart=0.4)
    y = np.array([int(label[-1]) for label in labels])
    fold_of = folds(y, [str(row) for row in range(len(y))], "abc", 5, 0)
    way = METHODS["logistic"]
    found = validate(vectors, y, fold_of, way, False, lambda fold, count: None)
    strengths = way.strengths / vectors.shape[1]
    tried = np.empty((len(strengths), len(y), 3))
    for fold in range(5):
        inside, outside = fold_of == fold, fold_of != fold
        for place, strength in enumerate(strengths):
            direct = pipeline(strength).fit(vectors[outside].astype(float), y[outside])
            tried[place, inside] = direct.predict_proba(vectors[inside].astype(float))
    brier = np.square(tried - np.eye(3)[y]).sum(axis=2)
    for fold in range(5):
        best = brier[:, fold_of != fold].mean(axis=1).argmin()
        np.testing.assert_allclose(
            found.probabilities[fold_of == fold], tried[best, fold_of == fold], atol=1e-4
        )
    assert found.strength == strengths[brier.mean(axis=1).argmin()]
    assert 0 < brier.mean(axis=1).argmin() < len(strengths) - 1


def test_fits_that_get_clearly_worse_are_left_away(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, labels = features(900, width=120, apart=0.1)
    y = np.array([int(label[-1]) for label in labels])
    fold_of = np.arange(900) // 3 % 3
    way, made = METHODS["logistic"], []

    def counted(*args: Any) -> Iterator[Any]:
        for linear in way.fit(*args):
            made.append(linear)
            yield linear

    spared = validate(vectors, y, fold_of, way._replace(fit=counted), False, lambda *_: None)
    assert 3 < len(made) < 3 * len(way.strengths)
    monkeypatch.setattr(validation, "_clearly_more", lambda some, others: False)
    thorough = validate(vectors, y, fold_of, way, False, lambda *_: None)
    assert spared.strength == thorough.strength
    np.testing.assert_array_equal(spared.probabilities, thorough.probabilities)


def test_few_rows_give_the_same_where_they_are_not_turned(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, labels = features(24, width=50)
    turned = fit(vectors, labels, recipe=RECIPE).head
    monkeypatch.setattr(space, "_TURNED", 0)
    plain = fit(vectors, labels, recipe=RECIPE).head
    assert plain.about["C"] == turned.about["C"]
    np.testing.assert_allclose(
        turned.probabilities(vectors), plain.probabilities(vectors), atol=1e-5
    )
    monkeypatch.setattr(space, "_EXACT", 0)
    single = fit(vectors, labels, recipe=RECIPE).head
    np.testing.assert_allclose(
        single.probabilities(vectors), turned.probabilities(vectors), atol=2e-3
    )


def test_float16_maps_are_taken() -> None:
    vectors, labels = features()
    half = vectors.astype(np.float16)
    plain = fit(half.astype(np.float32), labels, recipe=RECIPE)
    found = fit(half.reshape(-1, 2, 3, 5), labels, recipe=RECIPE)
    np.testing.assert_allclose(found.head.kernel, plain.head.kernel, atol=1e-5)
    assert found.figures.accuracy == plain.figures.accuracy


@pytest.mark.parametrize("method", list(METHODS))
def test_two_fits_give_the_same_bytes(method: str, tmp_path: Path) -> None:
    vectors, labels = features()
    for name in "ab":
        file.write(fit(vectors, labels, recipe=RECIPE, method=method).head, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_copies_of_a_picture_do_not_flatter() -> None:
    generator = np.random.default_rng(0)
    vectors = generator.standard_normal((40, 60)).astype(np.float32).repeat(4, axis=0)
    labels = [f"class {k}" for k in generator.integers(0, 2, 40).repeat(4)]
    contents = [f"{row // 4:064x}" for row in range(160)]
    fooled = fit(vectors, labels, recipe=RECIPE).figures
    honest = fit(vectors, labels, recipe=RECIPE, contents=contents)
    assert fooled.accuracy > 0.9
    assert honest.figures.accuracy < 0.7
    assert len(honest.head.seen) == 1  # the first eight bytes of each of these are zeros


def test_accuracy_is_told_of_each_fold_and_of_all() -> None:
    vectors, labels = features()
    found = fit(vectors, labels, recipe=RECIPE)
    assert len(found.folds) == 5
    assert found.figures.accuracy == pytest.approx(np.mean(found.folds))
    assert found.spread == pytest.approx(np.std(found.folds, ddof=1))
    assert 0.6 < found.figures.accuracy < 1
    assert found.figures.counts.sum() == 60


def test_what_cannot_be_fitted_is_told() -> None:
    vectors, labels = features()
    with pytest.raises(VggfeatError, match="all pictures are labelled x: two classes are the"):
        fit(vectors, ["x"] * 60, recipe=RECIPE)
    with pytest.raises(VggfeatError, match="of rare there is one"):
        fit(vectors, [*labels[:-1], "rare"], recipe=RECIPE)
    with pytest.raises(UsageError, match="no method 'tree'; there are logistic, svm"):
        fit(vectors, labels, recipe=RECIPE, method="tree")
