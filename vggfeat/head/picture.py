"""The confusion matrix as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from vggfeat.head.report import legible

if TYPE_CHECKING:
    from vggfeat.head.figures import Figures

_NAMED = 60  # classes, up to which their names can be read
_COUNTED = 25  # likewise the numbers
_LONGEST = 24  # characters of a name


def draw(figures: Figures, title: str, file: BinaryIO) -> None:
    """Write a PNG: rows by true class, columns by the class told, shaded by the part of the row."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    count = len(figures.classes)
    side = 2.5 + 0.45 * min(max(count, 6), _COUNTED)
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    parts = figures.confusion / np.maximum(figures.counts, 1)[:, None]
    image = axis.imshow(parts, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, label="part of the true class", shrink=0.7)
    axis.set_title(legible(title), fontsize="medium", parse_math=False)
    axis.set(xlabel="class told", ylabel="true class")
    if count <= _NAMED:
        _name(axis, figures)
    if count <= _COUNTED:
        for (true, told), number in np.ndenumerate(figures.confusion):
            if number:
                shade = "white" if parts[true, told] > 0.5 else "black"
                axis.text(told, true, f"{number}", ha="center", va="center", color=shade,
                          fontsize="small")  # fmt: skip
    figure.savefig(file, format="png", dpi=120)


def _name(axis: Any, figures: Figures) -> None:
    names = [legible(name) for name in figures.classes]
    names = [f"{name[:_LONGEST]}…" if len(name) > _LONGEST else name for name in names]
    size = "small" if len(names) <= _COUNTED else 6
    plain = {"fontsize": size, "parse_math": False}
    axis.set_xticks(range(len(names)), names, rotation=60, ha="right", rotation_mode="anchor",
                    **plain)  # fmt: skip
    axis.set_yticks(range(len(names)), names, **plain)
