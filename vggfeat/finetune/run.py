"""One fine-tuning: pictures, weights, start, epochs and result put together."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any, NamedTuple

from vggfeat.errors import UsageError, VggfeatError
from vggfeat.finetune import pictures, result
from vggfeat.finetune.epochs import carry_out
from vggfeat.finetune.history import Row
from vggfeat.finetune.settings import Settings
from vggfeat.finetune.unfinished import Unfinished, remove
from vggfeat.finetune.watcher import FinetuneWatcher
from vggfeat.head import fit as head
from vggfeat.keras_vgg16 import BASES, FC7, POOLED, TRAINABLE_FROM
from vggfeat.sinks.lock import OutputLock
from vggfeat.weights import Weights, choose


class Finetuned(NamedTuple):
    """What a fine-tuning came to.

    Attributes:
        output: the Keras file.
        classes: their names, in the order of its outputs.
        learned_from: pictures.
        judged_by: pictures.
        failed: pictures that cannot be read.
        epochs: that were done.
        start: how well classes on frozen features do.
        best: the epoch whose network was kept; it may be the start.
        was_there: whether an earlier run has made it.
    """

    output: str
    classes: tuple[str, ...]
    learned_from: int
    judged_by: int
    failed: int
    epochs: int
    start: Row
    best: Row
    was_there: bool


def finetune(
    folder: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    weights: str | os.PathLike[str] | Weights | None = None,
    layer: str | None = None,
    train_from: str = "conv5_1",
    val: str | None = None,
    epochs: int = 10,
    patience: int = 3,
    batch_size: int = 32,
    learning_rate: float = 1e-5,
    dropout: float = 0.0,
    seed: int = 0,
    fresh: bool = False,
    wait: bool = False,
    watcher: FinetuneWatcher | None = None,
) -> Finetuned:
    """Fine-tune the upper layers of VGG16 on a folder of folders of pictures.

    A run that was cut off is gone on with after its last epoch, and comes to what an undisturbed
    one comes to. What is there already, made of the same pictures with the same settings, is left.

    Args:
        folder: a folder for each class, or `train` and `val` (or `validation`) with them.
        output: the Keras file to write, `.keras`.
        weights: a name in the store, a file of any known form, or `Weights`; None for the default.
        layer: what the new classes stand on: `fc7`, or `pool5:avg` without fc6 and fc7; None for
            fc7 where the weights have it.
        train_from: the lowest layer that learns, `conv1_1` to `conv5_3`, `fc6`, `fc7`, or `head`.
        val: a folder of the same classes, or the fraction of each class, that judges; None for
            the folder's own `val`, else a fifth.
        epochs: at the most.
        patience: epochs in a row without a lower validation loss, after which it ends.
        batch_size: pictures in a step.
        learning_rate: of Adam in the first epoch; it falls along half a cosine.
        dropout: of fc6 and fc7, before what learns. The start is fitted without, and upset by it.
        seed: of all that is left to chance.
        fresh: begin anew, whatever is there.
        wait: where another run is writing the output, wait for its end.
        watcher: told how it goes.

    Raises:
        OutputBusyError: another run is writing the output.
        VggfeatError: it could not run. A picture that cannot be read is counted instead.
    """
    watcher = watcher or FinetuneWatcher()
    target = Path(os.path.realpath(output))
    result.check_place(target)
    if train_from not in TRAINABLE_FROM:
        raise UsageError(f"no layer {train_from!r}; there are {', '.join(TRAINABLE_FROM)}")
    with OutputLock(target, wait=wait, on_wait=watcher.note):
        result.check_place(target)  # as it is when others have ended
        found = pictures.listed(Path(folder), val)
        chosen = _chosen(weights, watcher)
        settings = Settings(
            weights=chosen.fingerprint,
            source=chosen.source,
            layer=_base(layer, train_from, chosen),
            train_from=train_from,
            epochs=epochs,
            patience=patience,
            batch_size=batch_size,
            learning_rate=learning_rate,
            dropout=dropout,
            seed=seed,
            classes=found.classes,
            data=found.digest,
            fraction=found.fraction,
        )
        about = None if fresh else result.about_of(target)
        changed = settings.difference(about["settings"]) if about else None
        was_there = about is not None and not changed
        if about is None or changed:
            if changed:
                watcher.note(f"{output}: is made anew: {changed}")
            _check_installed()
            if found.skipped:
                watcher.note(f"skipped in folders: {found.skipped}")
            work = Unfinished(target, settings, fresh=fresh, on_note=watcher.note)
            about = carry_out(target, found, chosen, settings, work, watcher)
        remove(target)
        return _report(output, about, was_there=was_there)


def _chosen(weights: str | os.PathLike[str] | Weights | None, watcher: FinetuneWatcher) -> Weights:
    """What is to be said of them is said when their features are extracted."""
    try:
        return choose(weights, watcher.fetching, watcher.note)
    except BaseException:
        watcher.stop()
        raise


def _check_installed() -> None:
    """See beforehand that what is needed before the first epoch and after the last is there."""
    head.need_scikit_learn()
    if importlib.util.find_spec("matplotlib") is None:
        raise VggfeatError("drawing the history takes matplotlib: pip install 'vggfeat[head]'")


def _base(layer: str | None, train_from: str, weights: Weights) -> str:
    """What the classes stand on."""
    has_top = {"fc6", "fc7"} <= set(weights.layers)
    base = layer or (FC7 if has_top else POOLED)
    if base not in BASES:
        raise UsageError(f"no layer {layer!r} for classes to stand on: {' or '.join(BASES)}")
    if base == FC7 and not has_top:
        raise UsageError(f"the weights ({weights.source}) have no fc6 and fc7: --layer {POOLED}")
    if base == POOLED and train_from in ("fc6", "fc7"):
        raise UsageError(f"{train_from} cannot learn: the classes stand on {POOLED}, below it")
    return base


def _report(output: str | os.PathLike[str], about: dict[str, Any], *, was_there: bool) -> Finetuned:
    return Finetuned(
        os.fspath(output),
        tuple(about["classes"]),
        about["learned_from"],
        about["judged_by"],
        about["failed"],
        about["epochs"],
        Row(**about["start"]),
        Row(**about["best"]),
        was_there,
    )
