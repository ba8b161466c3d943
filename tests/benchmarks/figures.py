"""The tables as figures: rates.svg and cost.svg, the same bytes for the same results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks.measured import cores
from tests.benchmarks.results import Results, Row

OURS, OTHERS = "#c2410c", "#94a3b8"
PANELS = {"network": "network alone", "many": "photographs, whole process"}


def write(results: Results, folder: Path) -> None:
    """Draw what was measured."""
    panels = {name: _measured(results, name) for name in PANELS}
    cost = _measured(results, "cost")
    if any(panels.values()) or cost:
        _style()
    if any(panels.values()):
        _rates(panels, folder / "rates.svg")
    if cost:
        _cost(cost, folder / "cost.svg")


def _style() -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams.update(
        {
            "svg.hashsalt": "vggfeat",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "figure.constrained_layout.use": True,
        }
    )


def _rates(panels: dict[str, list[Row]], path: Path) -> None:
    from matplotlib import pyplot

    shown = {name: rows for name, rows in panels.items() if rows}
    order = sorted(next(iter(shown.values())), key=lambda row: row.rate)
    labels = [row.label for row in order]
    figure, axes = pyplot.subplots(1, len(shown), sharey=True, squeeze=False, figsize=(9, 3.4))
    for axis, (name, rows) in zip(axes[0], shown.items(), strict=True):
        rates = {row.label: row.rate for row in rows}
        values = [rates.get(label, 0.0) for label in labels]
        colors = [OURS if label.startswith("vggfeat") else OTHERS for label in labels]
        bars = axis.barh(labels, values, color=colors)
        axis.bar_label(bars, [f"{value:.1f}" if value else "" for value in values], padding=3)
        axis.margins(x=0.12)
        axis.set_xlabel("images/s, more is better")
        count = f"{rows[0].images:,} " if rows[0].images else ""
        axis.set_title(f"{count}{PANELS[name]}", loc="left")
    _save(figure, path)


def _cost(rows: Sequence[Row], path: Path) -> None:
    from matplotlib import pyplot

    figure, (time, memory) = pyplot.subplots(1, 2, figsize=(9, 3.4))
    for number, color in zip(sorted({row.cores for row in rows}), ("#64748b", OURS), strict=False):
        of_these = [row for row in rows if row.cores == number]
        images = [row.images for row in of_these]
        style: dict[str, Any] = {"marker": "o", "label": cores(number), "color": color}
        time.plot(images, [row.seconds[0] for row in of_these], **style)
        memory.plot(images, [row.peaks[0] / 1e9 for row in of_these], **style)
    for axis, title in ((time, "seconds"), (memory, "peak memory, GB")):
        axis.set_title(title, loc="left")
        axis.set_xlabel("photographs")
        axis.set_xlim(left=0)
        axis.set_ylim(0, 1.1 * axis.get_ylim()[1])
        axis.legend(frameon=False)
    _save(figure, path)


def _measured(results: Results, name: str) -> list[Row]:
    table = results.tables.get(name)
    return [row for row in table.rows if not row.failed] if table else []


def _save(figure: Any, path: Path) -> None:
    from matplotlib import pyplot

    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
