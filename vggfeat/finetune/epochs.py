"""The way from pictures to the result, epoch by epoch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from vggfeat.finetune import batches, result
from vggfeat.finetune import start as starting
from vggfeat.finetune.history import Row, best, is_finished, learning_rate
from vggfeat.finetune.network import Network, reproducible
from vggfeat.finetune.start import Start

if TYPE_CHECKING:
    from vggfeat.finetune.pictures import Pictures
    from vggfeat.finetune.settings import Settings
    from vggfeat.finetune.unfinished import Unfinished
    from vggfeat.finetune.watcher import FinetuneWatcher
    from vggfeat.weights import Weights


def carry_out(
    output: Path,
    pictures: Pictures,
    weights: Weights,
    settings: Settings,
    work: Unfinished,
    watcher: FinetuneWatcher,
) -> dict[str, Any]:
    """Start or go on, learn until the end, and write the result.

    Returns:
        what is told of the result.

    Raises:
        VggfeatError: it could not be. What is done is kept for the next run.
    """
    start = starting.prepare(pictures, work.features, weights, settings, watcher)
    if start.shared:
        watcher.note(
            f"{start.shared:,} pictures that judge are among those learned from as well: that "
            "flatters"
        )
    with reproducible():
        network = Network(weights, settings)
        try:
            if work.history:
                network.restore(work.state(work.history[-1].epoch))
            else:
                fitted = starting.fit(start, work.features, settings)
                network.set_classes(fitted.kernel, fitted.bias)
                _keep(work, network, fitted.row, settings, watcher)
            while not is_finished(work.history, settings.epochs, settings.patience):
                row = _learned(network, start, settings, work.history[-1].epoch + 1, watcher)
                _keep(work, network, row, settings, watcher)
        except BaseException:
            watcher.stop()
            if work.history:
                watcher.note(f"epochs up to {work.history[-1].epoch} are kept for the next run")
            raise
        if best(work.history) != work.history[-1]:
            network.restore(work.state(best(work.history).epoch))
        about = result.about(settings, start, work.history)
        result.write(output, work.result, network.result(), about, work.history, start)
    return about


def _learned(
    network: Network, start: Start, settings: Settings, epoch: int, watcher: FinetuneWatcher
) -> Row:
    """One epoch."""
    watcher.epoch_begins(epoch, settings.epochs, len(start.learned))
    rate = learning_rate(epoch, settings.epochs, settings.learning_rate)
    size = settings.batch_size
    data = batches.to_learn(start.learned, size, settings.seed, epoch, network.devices)
    loss, accuracy = network.learn(data, rate, watcher)
    val_loss, val_accuracy = network.judge(batches.to_judge(start.judging, size, network.devices))
    return Row(epoch, loss, accuracy, val_loss, val_accuracy, rate)


def _keep(
    work: Unfinished, network: Network, row: Row, settings: Settings, watcher: FinetuneWatcher
) -> None:
    work.keep(network.state(), row)
    watcher.epoch_ends(row, settings.epochs)
