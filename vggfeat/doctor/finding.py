"""Something that is not as it should be."""

from __future__ import annotations

from typing import NamedTuple

ERROR = "error"  # extract will not run
WARNING = "warning"  # it will, but not as well as it could


class Finding(NamedTuple):
    """Something that is not as it should be.

    Attributes:
        severity: `error` or `warning`.
        problem: a clause.
        remedy: what to do: a command, as far as there is one.
    """

    severity: str
    problem: str
    remedy: str


def in_words(size: int) -> str:
    """Bytes as `1.1 GB` or `553 MB`."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
