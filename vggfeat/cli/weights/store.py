"""`vggfeat weights import`, `list`, `path` and `remove`: what is kept in the store."""

from __future__ import annotations

import click

from vggfeat.cli.options import input_options, quiet_option, verbose_option


@click.command("import")
@click.argument("file", metavar="FILE")
@click.option("--name", help="Name in the store.  [default: FILE's name without its suffix]")
@click.option("--ema", is_flag=True, help="Take a checkpoint's exponential moving averages.")
@input_options
@quiet_option
@verbose_option
def import_(
    file: str, name: str | None, ema: bool, channels: str | None, scale: str | None, quiet: bool
) -> None:
    """Read a network of any known form and keep it in the store.

    FILE's form is told by its content; `vggfeat weights forms` lists those that are known. fc8 is
    not needed and may have any number of classes.
    """
    from pathlib import Path

    from vggfeat.cli.console import Console
    from vggfeat.weights import RANDOM, formats, store

    name = name or Path(file).name.partition(".")[0]
    if name == RANDOM:
        raise click.UsageError("'random' is the name of the random weights: add --name")
    store.path_of(name)
    network = formats.read(Path(file), channels=channels, scale=scale, ema=ema)
    kept = store.save(network, name)
    console = Console(quiet=quiet)
    for warning in kept.origin.warnings:
        console.note(f"{file}: {warning}")
    console.note(f"{name}: {kept.describe()}, training: {kept.origin.training}")
    console.note(f"{name}: use it with --weights {name}")


@click.command("list")
@verbose_option
def list_() -> None:
    """List the networks in the store: name, fingerprint, what it is."""
    from vggfeat.errors import WeightsError
    from vggfeat.weights import store

    names = store.names()
    width = max(map(len, names), default=0)
    for name in names:
        try:
            network = store.open_weights(name)
            click.echo(f"{name:{width}}  {network.fingerprint[:16]}  {network.describe()}")
        except WeightsError as error:
            click.echo(f"vggfeat: {error}", err=True)
    if not names:
        click.echo(f"vggfeat: the store {store.folder()} is empty", err=True)


@click.command()
@click.argument("name")
@verbose_option
def path(name: str) -> None:
    """Print the file that a name stands for."""
    from vggfeat.weights import store

    store.open_weights(name)
    click.echo(str(store.path_of(name)))


@click.command()
@click.argument("name")
@verbose_option
def remove(name: str) -> None:
    """Delete a network from the store."""
    from vggfeat.weights import store

    store.remove(name)
