"""`vggfeat weights export`: the network for other programs."""

from __future__ import annotations

import click

from vggfeat.cli.options import quiet_option, verbose_option, weights_option
from vggfeat.exports import FORMS

_FORMS = "\n".join(
    f"  {name:<13}{form.suffixes[0]:<14}{form.about}" for name, form in FORMS.items()
)

EXPORT_EPILOG = f"""\b
Forms, and the names of files that stand for them:
{_FORMS}
A checkpoint is FILE.index and FILE.data-00000-of-00001, beside each other.

\b
A head over plain fc7 takes the place of fc8 in every form. Keras and ONNX models, and
vggfeat freeze, hold any other head too. FILE.classes.txt names its classes, one a line.

\b
Examples:
  vggfeat weights export vgg16.pth -w keras
  vggfeat weights export vgg_16.ckpt -w my_finetuned.h5
  vggfeat weights export flowers.keras --head flowers.head
"""


@click.command(epilog=EXPORT_EPILOG)
@click.argument("file", metavar="FILE")
@click.option(
    "-f", "--format", "form", type=click.Choice(list(FORMS)), help="[default: by FILE's name]"
)  # fmt: skip
@weights_option
@click.option(
    "--head", metavar="FILE",
    help="End in this head (vggfeat head fit) instead of fc8.",
)  # fmt: skip
@quiet_option
@verbose_option
def export(file: str, form: str | None, weights: str | None, head: str | None, quiet: bool) -> None:
    """Write the network in another form, for other programs.

    All layers that the weights hold are written, fc8 too. A FILE that is there is replaced.
    """
    from pathlib import Path

    from vggfeat import exports
    from vggfeat.cli.console import Console
    from vggfeat.exports import heads
    from vggfeat.head.file import read
    from vggfeat.weights import chosen_for
    from vggfeat.weights.made_by import made_by

    path = Path(file)
    heads.check_apart(path, head, weights)
    fitted = read(head) if head else None
    form = exports.check_place(path, form, fitted)
    console = Console(quiet=quiet)
    chosen = (
        made_by(fitted.recipe, weights, console, str(head))
        if fitted
        else chosen_for(console, weights)
    )
    console.note(f"{file}: {exports.export(chosen, path, form, fitted)}")
