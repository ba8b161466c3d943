"""What computed the rows of an output that are there already."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vggfeat.settings import difference
from vggfeat.sinks.index import beside
from vggfeat.sinks.published import about_at
from vggfeat.sinks.work import paths_of, settings_of


def engine_of(output: Path, asked: dict[str, Any]) -> str | None:
    """The engine by which rows can be kept, those published first; None if none can be.

    Args:
        asked: the settings of a run, whatever its engine.
    """
    published = about_at(beside(output).about) or {}
    if not all(path.exists() for path in paths_of(output, published)):
        published = {}
    for made in (published, settings_of(output)):
        engine = made.get("engine")
        if engine and difference(made, {**asked, "engine": engine}) is None:
            return str(engine)
    return None
