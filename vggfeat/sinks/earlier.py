"""What computed the rows of an output that are there already."""

from __future__ import annotations

from pathlib import Path

from vggfeat.sinks.index import beside
from vggfeat.sinks.published import about_at
from vggfeat.sinks.work import settings_of


def engine_of(output: Path, precision: str) -> str | None:
    """The engine of the rows in progress, else of those published; None of another precision."""
    for told in (settings_of(output), about_at(beside(output).about) or {}):
        if told.get("precision") == precision:
            return str(told.get("engine"))
    return None
