"""`vggfeat classify`: what the network itself sees in pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vggfeat.cli.options import quiet_option, verbose_option, weights_option
from vggfeat.cli.results import CSV, JSON, TABLE, Results
from vggfeat.errors import EXIT_DONE, EXIT_SOME_IMAGES_FAILED, VggfeatError
from vggfeat.sinks import STDOUT
from vggfeat.sources import STDIN

if TYPE_CHECKING:
    from vggfeat.classify import Classified
    from vggfeat.cli.results import Record

COLUMNS = ("path", "rank", "probability", "class", "wnid", "name")
SHOWN = ("probability", "name")

EPILOG = """\b
Examples:
  vggfeat classify cat.jpg
  vggfeat classify ./imgs --top 1 -o classes.csv
"""


@click.command(epilog=EPILOG, no_args_is_help=True)
@click.argument("inputs", metavar="INPUT...", nargs=-1, required=True)
@click.option(
    "--top", type=click.IntRange(min=1), default=5, show_default=True, metavar="N",
    help="How many classes of each image.",
)  # fmt: skip
@weights_option
@click.option("-o", "--output", metavar="FILE", default=STDOUT, help="[default: stdout]")
@click.option(
    "--format", "form", type=click.Choice([TABLE, CSV, JSON]),
    help="[default: table on a terminal, else CSV; in FILE by its name]",
)  # fmt: skip
@click.option("-0", "--null", is_flag=True, help="Paths on stdin end in NUL (find -print0).")
@quiet_option
@verbose_option
def classify(
    inputs: tuple[str, ...],
    top: int,
    weights: str | None,
    output: str,
    form: str | None,
    null: bool,
    quiet: bool,
) -> int:
    """Tell what the network itself sees.

    For each image of INPUT... (files, folders, or - for a list of paths on stdin) it lists the most
    probable of the network's classes: the 1,000 of ImageNet, or numbers where it was trained for
    others. That shows whether weights are right.
    """
    if null and STDIN not in inputs:
        raise click.UsageError("-0 is about a list on stdin: add - to the inputs")

    from vggfeat.classify import classify as classified
    from vggfeat.cli.console import Console
    from vggfeat.outcome import Failure
    from vggfeat.sources import open_inputs
    from vggfeat.weights import chosen_for

    console = Console(quiet=quiet)
    images = open_inputs(inputs, nul_separated=null)
    found = classified(images, chosen_for(console, weights), top)
    failed = 0
    results = Results(output, form, COLUMNS, SHOWN)
    with results.opened(), results.progress(console, images.total) as progress:
        for item in found:
            if isinstance(item, Failure):
                failed += 1
                console.failed(item)
            else:
                results.add(item.image, _records(item))
            progress.advance(1)
        if not images.taken:
            raise VggfeatError(f"no images in {', '.join(inputs)}")
    return EXIT_SOME_IMAGES_FAILED if failed else EXIT_DONE


def _records(item: Classified) -> list[Record]:
    return [
        {
            "path": item.image,
            "rank": rank,
            "probability": guess.probability,
            "class": guess.number,
            "wnid": guess.wnid,
            "name": guess.name,
        }
        for rank, guess in enumerate(item.guesses, start=1)
    ]
