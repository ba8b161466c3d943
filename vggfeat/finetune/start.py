"""The start: the frozen network's features of all pictures, and classes fitted on them.

So the first epoch begins with classes that know what they look at, and does not spoil the layers
below with the errors of random ones. It also tells which pictures cannot be read.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vggfeat.errors import VggfeatError
from vggfeat.features import open_features
from vggfeat.finetune.history import Row
from vggfeat.finetune.pictures import Picture, Pictures, split
from vggfeat.head import fit as head
from vggfeat.outcome import Failure
from vggfeat.run import extract
from vggfeat.sinks import published

if TYPE_CHECKING:
    from vggfeat.finetune.settings import Settings
    from vggfeat.watcher import Watcher
    from vggfeat.weights import Weights


class Start(NamedTuple):
    """What there is to learn from.

    Attributes:
        learned: the pictures to learn from.
        contents: sha256 of each of these.
        judging: those that judge.
        failed: those that cannot be read.
        shared: how many different ones are among both, byte by byte.
    """

    learned: list[Picture]
    contents: list[str]
    judging: list[Picture]
    failed: list[Failure]
    shared: int


class Fitted(NamedTuple):
    """Classes on frozen features: probabilities are the softmax of `features @ kernel + bias`.

    Attributes:
        kernel: float32 `[d,classes]`.
        bias: float32 `[classes]`.
        row: how well they do, as epoch 0.
    """

    kernel: NDArray[np.float32]
    bias: NDArray[np.float32]
    row: Row


def prepare(
    pictures: Pictures,
    features: Path,
    weights: Weights,
    settings: Settings,
    watcher: Watcher,
) -> Start:
    """Extract the features of all pictures, and divide those that can be read.

    Raises:
        VggfeatError: too few can be read, or the features cannot be written.
    """
    names = [picture.name for picture in pictures.pictures]
    extract(names, features, weights=weights, layer=settings.layer, watcher=watcher)
    done = published.read(features)
    assert done is not None
    content = {entry.name: entry.sha256 for entry in done.entries}
    readable = [picture for picture in pictures.pictures if picture.name in content]
    if pictures.fraction is not None:
        contents = [content[picture.name] for picture in readable]
        readable = split(readable, contents, pictures.fraction, settings.seed)
    learned = [picture for picture in readable if not picture.judges]
    judging = [picture for picture in readable if picture.judges]
    _check(learned, judging, pictures.classes)
    known = [content[picture.name] for picture in learned]
    shared = len({content[picture.name] for picture in judging} & set(known))
    return Start(learned, known, judging, done.failures, shared)


def fit(start: Start, features: Path, settings: Settings) -> Fitted:
    """Fit the classes on the features of the pictures to learn from, as `head fit` does.

    Raises:
        VggfeatError: scikit-learn is not installed, or there are too few pictures.
    """
    vectors, paths, recipe, _ = open_features(features)
    place = {path: row for row, path in enumerate(paths)}

    def rows(pictures: Sequence[Picture]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        chosen = vectors[[place[picture.name] for picture in pictures]]
        return chosen, np.array([picture.label for picture in pictures])

    x, y = rows(start.learned)
    fitted = head.fit(
        x,
        [settings.classes[label] for label in y],
        recipe=recipe,
        contents=start.contents,
        seed=settings.seed,
    )
    order = [fitted.head.classes.index(name) for name in settings.classes]
    kernel, bias = fitted.head.kernel[:, order], fitted.head.bias[order]
    loss, accuracy = _judged(x @ kernel + bias, y)
    x, y = rows(start.judging)
    val_loss, val_accuracy = _judged(x @ kernel + bias, y)
    return Fitted(kernel, bias, Row(0, loss, accuracy, val_loss, val_accuracy, 0.0))


def _judged(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> tuple[float, float]:
    """Mean cross-entropy and accuracy."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    log_sum = np.log(np.exp(shifted).sum(axis=1))
    of_label = shifted[np.arange(len(labels)), labels]
    return float((log_sum - of_label).mean()), float((logits.argmax(axis=1) == labels).mean())


def _check(learned: Sequence[Picture], judging: Sequence[Picture], classes: Sequence[str]) -> None:
    """See that there is something to learn of each class, and something to judge by."""
    labels = {picture.label for picture in learned}
    lacking = [name for label, name in enumerate(classes) if label not in labels]
    if lacking:
        raise VggfeatError(f"class {lacking[0]}: no picture of it that could be learned from")
    if not judging:
        raise VggfeatError(
            "no picture is left to judge by: a class needs two different ones, or give --val"
        )
