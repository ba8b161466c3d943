"""What a fine-tuning tells of itself while it goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vggfeat.watcher import Watcher

if TYPE_CHECKING:
    from vggfeat.finetune.history import Row


class FinetuneWatcher(Watcher):
    """Told how it goes. Silent: to be overridden by who wants to know."""

    def epoch_begins(self, epoch: int, epochs: int, pictures: int) -> None:
        """Of so many epochs at the most, with so many pictures to learn from."""

    def step(self, pictures: int, loss: float, accuracy: float) -> None:
        """So many more pictures are learned from; loss and accuracy are means of the epoch."""

    def epoch_ends(self, row: Row, epochs: int) -> None:
        """What came of it."""
