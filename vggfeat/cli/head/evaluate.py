"""`vggfeat head evaluate`: how well a head does."""

from __future__ import annotations

import json

import click

from vggfeat.cli.head.options import check, labels_options
from vggfeat.cli.options import quiet_option, verbose_option


@click.command(no_args_is_help=True)
@click.argument("head", metavar="HEAD")
@click.argument("features", metavar="FEATURES")
@labels_options
@click.option("--json", "as_json", is_flag=True, help="Print all figures as JSON.")
@quiet_option
@verbose_option
def evaluate(
    head: str, features: str, labels: str | None, from_folders: bool, as_json: bool, quiet: bool
) -> None:
    """Tell how well a classifier does on labelled features.

    FEATURES, a file of extract's, should be of pictures that HEAD was not fitted on; where they
    are, that is told.
    """
    check(labels, from_folders=from_folders)

    from vggfeat.cli.console import Console
    from vggfeat.head import report
    from vggfeat.head.evaluate import evaluate as judge

    judged = judge(head, features, labels, Console(quiet=quiet))
    if as_json:
        click.echo(json.dumps(judged.as_dict(), indent=2))
        return
    figures = judged.figures
    sections = [report.of_figures(figures), report.by_class(figures), report.mistakes(figures)]
    click.echo("\n\n".join("\n".join(lines) for lines in sections))
