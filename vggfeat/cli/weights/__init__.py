"""`vggfeat weights`: the networks that can be used."""

from __future__ import annotations

import click

from vggfeat.cli.weights.download import download
from vggfeat.cli.weights.export import export
from vggfeat.cli.weights.look import forms, show, verify
from vggfeat.cli.weights.store import import_, list_, path, remove


@click.group()
def weights() -> None:
    """Read, show, prove, fetch, keep and convert networks."""


for command in (import_, show, verify, forms, download, export, list_, path, remove):
    weights.add_command(command)
