"""When and on what something was measured, in words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tests.benchmarks.markdown import paragraph
from tests.benchmarks.results import Table


def sentence(about: dict[str, Any], tables: Iterable[Table], *, card: bool = False) -> str:
    """When and on what these tables were measured, and with which versions.

    Args:
        about: as `describe` gives it.
        card: tell of the first card as well.
    """
    cards = about.get("cards", [])
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    days = sorted({table.day for table in tables})
    text = (
        f"Measured {' and '.join(days)} on {f'{cards[0]}, ' if card and cards else ''}"
        f"{about['processor']}, {cores(about['cores'])}, "
        f"{about['memory'] / 2**30:.0f} GiB of memory, {about['system']}, "
        f"Python {about['python']}: {versions}."
    )
    return paragraph(text)


def cores(number: int) -> str:
    return "1 core" if number == 1 else f"{number} cores"
