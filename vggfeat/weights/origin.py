"""Where weights come from and how they were understood: kept with them, and in each run's json."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

RANDOM = "random"
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Origin:
    """What is known of weights beside their numbers.

    Attributes:
        source: form and name of the file, in words.
        training: whose training they are: `Oxford's`, `fine-tuned from Oxford's (...)`,
            `torchvision's, as far as conv1_1 tells`, `unknown`, or `random`.
        channels: `rgb` or `bgr`, what the file's conv1_1 took; the canonical one takes RGB.
        scale: a name of `inputs.SCALES` or `other`, likewise.
        taken: both in words, with mean and divisor where the scale has no name.
        decided: how channels and scale are known.
        warnings: what a user of them should hear.
    """

    source: str
    training: str = UNKNOWN
    channels: str = ""
    scale: str = ""
    taken: str = ""
    decided: str = ""
    warnings: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"warnings": list(self.warnings)}


def from_dict(values: dict[str, Any]) -> Origin:
    """The inverse of `as_dict`; what a newer vggfeat has added is passed over."""
    known = {field.name: values[field.name] for field in fields(Origin) if field.name in values}
    return Origin(**known | {"warnings": tuple(values.get("warnings", ()))})
