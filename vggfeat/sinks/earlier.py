"""What computed the rows of an output that are there already."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vggfeat.settings import difference
from vggfeat.sinks.index import beside
from vggfeat.sinks.published import about_at
from vggfeat.sinks.work import settings_of


def engine_of(output: Path, asked: dict[str, Any]) -> str | None:
    """The engine by which rows would be kept, those in progress first; None if none would be.

    Args:
        asked: the settings of a run, whatever its engine.
    """
    for made in (settings_of(output), about_at(beside(output).about) or {}):
        engine = made.get("engine")
        if engine and difference(made, {**asked, "engine": engine}) is None:
            return str(engine)
    return None
