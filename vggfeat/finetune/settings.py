"""What the result of a fine-tuning depends on."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from vggfeat.errors import UsageError

_MADE = 1  # by another version of augmentation, start or schedule the same settings give others


@dataclass(frozen=True)
class Settings:
    """How a network is fine-tuned.

    Attributes:
        weights: fingerprint of those that it starts from.
        source: where they come from, in words.
        layer: what the classes stand on, `fc7` or `pool5:avg`.
        train_from: the lowest layer that learns, or `head`.
        epochs: at the most.
        patience: epochs in a row that may pass without a lower validation loss.
        batch_size: pictures in a step.
        learning_rate: of the first epoch.
        dropout: of fc6 and fc7, before what learns.
        seed: of split, order, augmentation and dropout.
        classes: their names.
        data: digest of the pictures.
        fraction: of them that judges; None where folders tell.

    Raises:
        UsageError: a number that cannot be.
    """

    weights: str
    source: str
    layer: str
    train_from: str
    epochs: int
    patience: int
    batch_size: int
    learning_rate: float
    dropout: float
    seed: int
    classes: tuple[str, ...]
    data: str
    fraction: float | None

    def __post_init__(self) -> None:
        for name in ("epochs", "patience", "batch_size"):
            if getattr(self, name) < 1:
                raise UsageError(f"{_words(name)} {getattr(self, name)}: it must be at least 1")
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise UsageError(f"learning rate {self.learning_rate}: it must be above 0")
        if not 0 <= self.dropout < 1:
            raise UsageError(f"dropout {self.dropout}: it must be from 0 to below 1")
        if self.seed < 0:
            raise UsageError(f"seed {self.seed}: it must be 0 or more")

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"classes": list(self.classes), "made": _MADE}

    def difference(self, told: Any) -> str | None:
        """What is otherwise than in what `as_dict` told, in words; None if nothing is."""
        if not isinstance(told, dict) or told.get("made") != _MADE:
            return "it is of another version of vggfeat"
        if told.get("weights") != self.weights:
            return f"weights {self.source}, not {told.get('source')}"
        for name, value in self.as_dict().items():
            if name not in ("source", "data", "classes") and told.get(name) != value:
                return f"{_words(name)} {value}, not {told.get(name)}"
        if told.get("classes") != list(self.classes) or told.get("data") != self.data:
            return "the pictures have changed"
        return None


def _words(name: str) -> str:
    return name.replace("_", " ")
