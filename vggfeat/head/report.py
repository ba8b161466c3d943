"""How well a head does, as plain text."""

from __future__ import annotations

from collections.abc import Sequence

from vggfeat.head.figures import Figures
from vggfeat.head.file import Head

_MISTAKES = 10  # pairs of classes that are told


def of_head(head: Head) -> list[str]:
    """What it is, and what it was fitted on."""
    recipe, about = head.recipe, head.about
    pixels = f"{recipe.preprocessing.size} pixels out of {recipe.preprocessing.resize}"
    finish = f", {recipe.normalize}" if recipe.normalize else ""
    balanced = ", classes balanced" if about["balanced"] else ""
    return [
        f"features           {recipe.layer}{finish}, of {pixels}",
        f"weights            {legible(recipe.source)} ({recipe.fingerprint[:8]})",
        f"method             {about['method']}, C = {about['C']:.2g}{balanced}",
        f"fitted on          {about['pictures']:,} pictures of {len(head.classes):,} classes",
    ]


def of_figures(figures: Figures, folds: Sequence[float] = (), spread: float = 0.0) -> list[str]:
    """The figures of all classes together.

    Args:
        folds: accuracy by fold, where they come from cross-validation.
        spread: of these.
    """
    name, share = figures.baseline
    tried = f" ± {spread:.3f}  {len(folds)}-fold cross-validation, ± over folds" if folds else ""
    lines = [
        f"accuracy           {figures.accuracy:.3f}{tried}",
        f"  to compare       {share:.3f}  by always telling {legible(name)}",
        f"balanced accuracy  {figures.balanced_accuracy:.3f}  the mean recall",
    ]
    if figures.top is not None:
        lines.append(f"top-5 accuracy     {figures.top:.3f}")
    return [*lines, f"log loss           {figures.log_loss:.3f}"]


def by_class(figures: Figures, most: int | None = None) -> list[str]:
    """A table of the classes.

    Args:
        most: how many are shown, those with the least F1, where there are more.
    """
    order = range(len(figures.classes))
    shown = order if most is None or len(order) <= most else figures.f1.argsort()[:most]
    lines = ["precision  recall     F1  pictures  class"]
    for k in sorted(map(int, shown)):
        parts = f"{figures.precision[k]:9.3f}  {figures.recall[k]:6.3f}  {figures.f1[k]:5.3f}"
        lines.append(f"{parts}  {figures.counts[k]:8,}  {legible(figures.classes[k])}")
    if len(shown) < len(order):
        lines.append(f"and {len(order) - len(shown):,} more classes, of which F1 is higher")
    return lines


def mistakes(figures: Figures) -> list[str]:
    """The pairs of classes that are most often taken for each other."""
    pairs = figures.mistaken()
    width = max((len(f"{count:,}") for _, _, count in pairs), default=0)
    lines = [
        f"{count:{width},}  {legible(true)} taken for {legible(told)}"
        for true, told, count in pairs[:_MISTAKES]
    ]
    return ["most frequent mistakes", *lines] if lines else ["no mistakes"]


def legible(text: str) -> str:
    """Without what would move a cursor, and without bytes that are no text."""
    return "".join(sign if sign.isprintable() else "?" for sign in text)
