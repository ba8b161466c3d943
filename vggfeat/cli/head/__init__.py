"""`vggfeat head`: the new fc8."""

from __future__ import annotations

import click

from vggfeat.cli.head.evaluate import evaluate
from vggfeat.cli.head.fit import fit
from vggfeat.cli.head.predict import predict


@click.group(short_help="Fit a classifier of your own on features, and apply it.")
def head() -> None:
    """Fit a classifier of your own on features, and apply it to pictures.

    \b
      vggfeat extract ./flowers -o feats.npy
      vggfeat head fit feats.npy --labels-from-folders -o flowers.head
      vggfeat head predict flowers.head ./new -o predictions.csv
    """


for command in (fit, predict, evaluate):
    head.add_command(command)
