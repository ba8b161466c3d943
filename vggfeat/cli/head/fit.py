"""`vggfeat head fit`: features and labels in, a classifier out."""

from __future__ import annotations

from pathlib import Path

import click

from vggfeat.cli.head.options import check, labels_options
from vggfeat.cli.options import quiet_option, verbose_option, weights_option
from vggfeat.errors import EXIT_DONE, EXIT_SOME_IMAGES_FAILED

_SHOWN = 25  # classes; the report has them all

EPILOG = """\b
Beside flowers.head it writes:
  flowers.report.txt      how well it does, by class too
  flowers.confusion.png   which class was taken for which
  flowers.features.npy    of a FOLDER: its features, kept for the next time

\b
Examples:
  vggfeat head fit ./flowers -o flowers.head
  vggfeat head fit feats.npy --labels labels.csv -o flowers.head --method svm
"""


@click.command(epilog=EPILOG, no_args_is_help=True)
@click.argument("source", metavar="FEATURES|FOLDER")
@labels_options
@click.option("-o", "--output", metavar="FILE", required=True, help="The .head file to write.")
@click.option(
    "--method", type=click.Choice(["logistic", "svm"]), default="logistic", show_default=True,
    help="Multinomial logistic regression, or a linear SVM.",
)  # fmt: skip
@click.option(
    "--balanced", is_flag=True,
    help="Let each class count the same, however many pictures it has.",
)  # fmt: skip
@weights_option
@click.option(
    "--layer", metavar="LAYER",
    help="Of a FOLDER: which layer's output to stand on, such as pool5:avg.  [default: fc7]",
)  # fmt: skip
@quiet_option
@verbose_option
def fit(
    source: str,
    labels: str | None,
    from_folders: bool,
    output: str,
    method: str,
    balanced: bool,
    weights: str | None,
    layer: str | None,
    quiet: bool,
) -> int:
    """Fit a classifier on features: the new fc8.

    FEATURES is a file of extract's; of a FOLDER of pictures they are extracted first, and the
    labels are the names of its folders if nothing else is said. Rows are standardised, for a linear
    classifier, of which the regularisation is chosen by cross-validation; that also tells how well
    it does on pictures that it has not seen. Needs pip install 'vggfeat[head]'.
    """
    pictures = Path(source).is_dir()
    if not (pictures or labels or from_folders or Path(source).exists()):
        raise click.UsageError(f"{source}: no such file or folder")
    if not pictures and (weights or layer):
        raise click.UsageError(
            "-w and --layer are for a FOLDER of pictures: FEATURES are computed already"
        )
    check(labels, from_folders=from_folders or (pictures and labels is None))

    from vggfeat.cli.console import Console
    from vggfeat.head import report
    from vggfeat.head.train import train

    console = Console(quiet=quiet)
    failed = 0
    if pictures:
        from vggfeat.head.pictures import extracted

        source, failed = extracted(
            source, output, labels, weights=weights, layer=layer or "fc7", watcher=console
        )
    done = train(source, output, labels, method=method, balanced=balanced, watcher=console)
    if not quiet:
        _, figures, folds = done.fitted
        lines = [*report.of_figures(figures, folds, done.fitted.spread), ""]
        click.echo("\n".join([*lines, *report.by_class(figures, _SHOWN)]))
    console.note(
        f"{output}: {len(done.fitted.head.classes):,} classes, fitted on "
        f"{int(done.fitted.figures.counts.sum()):,} pictures; see {done.report} and {done.picture}"
    )
    return EXIT_SOME_IMAGES_FAILED if failed else EXIT_DONE
