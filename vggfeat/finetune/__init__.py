"""Fine-tuning: VGG16 with new classes, whose upper layers learn them in Keras.

from vggfeat.finetune import finetune

report = finetune("classes", "flowers.keras", train_from="conv5_1")
"""

from __future__ import annotations

from vggfeat.finetune.run import Finetuned, finetune
from vggfeat.finetune.watcher import FinetuneWatcher

__all__ = ["FinetuneWatcher", "Finetuned", "finetune"]
