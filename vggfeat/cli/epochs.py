"""What the user sees of a fine-tuning."""

from __future__ import annotations

from vggfeat.cli.console import Console
from vggfeat.finetune.history import Row
from vggfeat.finetune.watcher import FinetuneWatcher


class EpochsConsole(Console, FinetuneWatcher):
    """A bar an epoch on a terminal, with a step's figures; a line an epoch in any case."""

    def epoch_begins(self, epoch: int, epochs: int, pictures: int) -> None:
        self._open_bar(pictures, unit=" images", desc=f"epoch {epoch}/{epochs}")
        self._lines.start(pictures)

    def step(self, pictures: int, loss: float, accuracy: float) -> None:
        if self._bar is not None:
            self._bar.set_postfix_str(f"loss {loss:.3f}, {accuracy:.0%} right", refresh=False)
        self.advance(pictures)

    def epoch_ends(self, row: Row, epochs: int) -> None:
        self.stop()
        judged = _figures(row.val_loss, row.val_accuracy)
        epoch = f"epoch {row.epoch} of {epochs}" if row.epoch else "start, on frozen features"
        self.note(f"{epoch}: {_figures(row.loss, row.accuracy)}; validation {judged}")


def _figures(loss: float, accuracy: float) -> str:
    return f"loss {loss:.4f}, accuracy {accuracy:.1%}"
