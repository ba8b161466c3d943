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
Examples:
  vggfeat weights export vgg16.pth -w keras
  vggfeat weights export vgg_16.ckpt -w my_finetuned.h5
"""


@click.command(epilog=EXPORT_EPILOG)
@click.argument("file", metavar="FILE")
@click.option(
    "-f", "--format", "form", type=click.Choice(list(FORMS)), help="[default: by FILE's name]"
)  # fmt: skip
@weights_option
@quiet_option
@verbose_option
def export(file: str, form: str | None, weights: str | None, quiet: bool) -> None:
    """Write the network in another form, for other programs.

    All layers that the weights hold are written, fc8 too. A FILE that is there is replaced.
    """
    from pathlib import Path

    from vggfeat import exports
    from vggfeat.cli.console import Console
    from vggfeat.weights import chosen_for

    path = Path(file)
    form = exports.check_place(path, form)
    console = Console(quiet=quiet)
    console.note(f"{file}: {exports.export(chosen_for(console, weights), path, form)}")
