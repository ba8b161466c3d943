"""What a row of features was made by, as far as it matters to who uses it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from vggfeat.preprocess import Preprocessing


@dataclass(frozen=True)
class Recipe:
    """How to make a row again, from an image: vectors of one recipe can be compared.

    The engine is none of it: engines agree to 1e-5.

    Attributes:
        fingerprint: of the weights.
        source: where the weights come from, in words.
        layer: as `--layer` takes it.
        preprocessing: of the images.
        normalize: `l2` or None.
    """

    fingerprint: str
    source: str
    layer: str
    preprocessing: Preprocessing
    normalize: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, kept: dict[str, Any]) -> Recipe:
        """The inverse of `as_dict`. Raises KeyError, TypeError, ValueError."""
        return cls(**kept | {"preprocessing": Preprocessing(**kept["preprocessing"])})

    def difference(self, other: Recipe) -> str | None:
        """What is otherwise than in another: `layer fc6, not fc7`; None if nothing is."""
        if self.fingerprint != other.fingerprint:
            mine, others = (f"{r.source} ({r.fingerprint[:8]})" for r in (self, other))
            return f"weights {mine}, not {others}"
        told, others_told = self._told(), other._told()
        for name, value in told.items():
            if value != others_told[name]:
                return f"{name} {value}, not {others_told[name]}"
        return None

    def _told(self) -> dict[str, Any]:
        told = {"layer": self.layer, "normalize": self.normalize or "none"}
        return told | asdict(self.preprocessing)
