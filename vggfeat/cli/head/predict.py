"""`vggfeat head predict`: what a head says of pictures."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from vggfeat.cli.options import made_by_option, quiet_option, verbose_option
from vggfeat.cli.results import Results
from vggfeat.errors import EXIT_DONE, EXIT_SOME_IMAGES_FAILED
from vggfeat.sinks import STDOUT
from vggfeat.sources import STDIN

if TYPE_CHECKING:
    from vggfeat.cli.results import Record
    from vggfeat.head.predict import Prediction

EPILOG = """\b
Examples:
  vggfeat head predict flowers.head feats.npy -o predictions.csv
  vggfeat head predict flowers.head ./new --top 3
  find . -name '*.jpg' -print0 | vggfeat head predict flowers.head -0 - >predictions.csv
"""


@click.command(epilog=EPILOG, no_args_is_help=True)
@click.argument("head", metavar="HEAD")
@click.argument("inputs", metavar="FEATURES|PICTURE...", nargs=-1, required=True)
@click.option("-o", "--output", metavar="FILE", default=STDOUT, help="[default: stdout]")
@click.option(
    "--top", type=click.IntRange(min=1), default=1, metavar="K",
    help="Tell the K most probable classes.",
)  # fmt: skip
@click.option("--probabilities", is_flag=True, help="Add a column p_CLASS for each class.")
@made_by_option
@click.option("-0", "--null", is_flag=True, help="Paths on stdin end in NUL (find -print0).")
@quiet_option
@verbose_option
def predict(
    head: str,
    inputs: tuple[str, ...],
    output: str,
    top: int,
    probabilities: bool,
    weights: str | None,
    null: bool,
    quiet: bool,
) -> int:
    """Classify pictures, or rows of features.

    FEATURES is an .npy file of extract's; a PICTURE is a file, a folder, or - for a list of paths
    on stdin.

    Writes CSV with the columns path, label and probability; a table on a terminal. Pictures are
    computed by the weights that HEAD was fitted with: those in the store, or --weights.
    """
    if null and STDIN not in inputs:
        raise click.UsageError("-0 is about a list on stdin: add - to the inputs")
    if any(os.path.exists(output) and _same(output, name) for name in (head, *inputs)):
        raise click.UsageError(f"-o {output} would replace what is read")

    from vggfeat.cli.console import Console
    from vggfeat.head import file
    from vggfeat.head.predict import predict as told
    from vggfeat.outcome import Failure

    console = Console(quiet=quiet)
    fitted = file.read(head)
    ranks = [""] + [str(rank) for rank in range(2, min(top, len(fitted.classes)) + 1)]
    shown = ["path"] + [f"{what}{rank}" for rank in ranks for what in ("label", "probability")]
    columns = [*shown, *(f"p_{name}" for name in fitted.classes if probabilities)]
    found = told(fitted, inputs, weights=weights, nul_separated=null, watcher=console)
    results = Results(output, None, columns, shown)
    failed = 0
    with results.opened(), results.progress(console, found.total) as progress:
        for outcome in found.outcomes:
            progress.advance(1)
            if isinstance(outcome, Failure):
                failed += 1
                console.failed(outcome)
            else:
                results.add("", [_record(outcome, fitted.classes, ranks)])
    if failed:
        console.note(f"{failed:,} pictures failed")
    return EXIT_SOME_IMAGES_FAILED if failed else EXIT_DONE


def _record(prediction: Prediction, classes: tuple[str, ...], ranks: list[str]) -> Record:
    values = prediction.probabilities
    best = (-values).argsort(kind="stable")
    record: dict[str, str | int | float] = {"path": prediction.path}
    for rank, column in zip(ranks, best, strict=False):
        record |= {f"label{rank}": classes[column], f"probability{rank}": float(values[column])}
    return record | {f"p_{name}": float(p) for name, p in zip(classes, values, strict=True)}


def _same(output: str, name: str) -> bool:
    return os.path.exists(name) and os.path.samefile(output, name)
