"""The history as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, BinaryIO

from vggfeat.finetune.history import Row, best


def plot(history: Sequence[Row], file: BinaryIO) -> None:
    """Write a PNG of loss and accuracy by epoch; a dotted line is at the epoch that is kept."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    epochs = [row.epoch for row in history]
    axes: Sequence[Any] = figure.subplots(1, 2)
    for axis, name in zip(axes, ("loss", "accuracy"), strict=True):
        for field, label in ((name, "training"), (f"val_{name}", "validation")):
            axis.plot(epochs, [getattr(row, field) for row in history], ".-", label=label)
        axis.axvline(best(history).epoch, linestyle=":", color="0.4", label="kept")
        axis.set(xlabel="epoch (0: frozen features)", title=name)
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.legend(frameon=False)
    axes[1].set_ylim(top=1.02)
    figure.savefig(file, format="png", dpi=120)
