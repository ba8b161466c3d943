"""`vggfeat weights`: the store of networks."""

from __future__ import annotations

import click

from vggfeat.cli.options import quiet_option, verbose_option


@click.group()
def weights() -> None:
    """Import, list and show the networks that can be used."""


@weights.command("import")
@click.argument("file", metavar="FILE")
@click.option("--name", help="Name in the store.  [default: FILE's name without its suffix]")
@click.option("--ema", is_flag=True, help="Take a checkpoint's exponential moving averages.")
@quiet_option
@verbose_option
def import_(file: str, name: str | None, ema: bool, quiet: bool) -> None:
    """Read a network of any known form and keep it in the store.

    FILE is a TF-Slim checkpoint (a V1 file; a V2 prefix, any of its files, or its folder) or a
    Keras file (.h5, .weights.h5, .keras). fc8 is not needed and may have any number of classes.
    """
    from pathlib import Path

    from vggfeat.cli.console import Console
    from vggfeat.weights import RANDOM, formats, store

    name = name or Path(file).name.partition(".")[0]
    if name == RANDOM:
        raise click.UsageError("'random' is the name of the random weights: add --name")
    store.path_of(name)
    kept = store.save(formats.read(Path(file), ema=ema), name)
    Console(quiet=quiet).note(f"{name}: {kept.describe()}; use it with --weights {name}")


@weights.command("list")
@verbose_option
def list_() -> None:
    """List the names in the store."""
    from vggfeat.weights import store

    names = store.names()
    width = max(map(len, names), default=0)
    for name in names:
        network = store.open_weights(name)
        click.echo(f"{name:{width}}  {network.fingerprint[:16]}  {network.describe()}")
    if not names:
        click.echo(f"vggfeat: the store {store.folder()} is empty", err=True)


@weights.command()
@click.argument("weights", metavar="NAME|FILE")
@verbose_option
def show(weights: str) -> None:
    """Say what a network is: source, fingerprint, shapes."""
    from vggfeat.vgg16 import text
    from vggfeat.weights import canonical, existing

    network = existing(weights)
    click.echo(f"what         {network.describe()}")
    click.echo(f"source       {network.source}")
    click.echo(f"fingerprint  {network.fingerprint}")
    click.echo(f"mean (RGB)   {', '.join(f'{value:.3f}' for value in network.tensors['mean'])}")
    for layer in network.layers:
        kernel, bias = (network.tensors[f"{layer}/{part}"] for part in ("kernel", "bias"))
        click.echo(f"{layer:<12} {text(kernel.shape):<16} {text(bias.shape)}")
    canonical.check_intact(network)


@weights.command()
@click.argument("name")
@verbose_option
def path(name: str) -> None:
    """Print the file that a name stands for."""
    from vggfeat.weights import store

    store.open_weights(name)
    click.echo(str(store.path_of(name)))


@weights.command()
@click.argument("name")
@verbose_option
def remove(name: str) -> None:
    """Delete a network from the store."""
    from vggfeat.weights import store

    store.remove(name)


@weights.command()
@click.argument("name", type=click.Choice(["keras"]), default="keras")
@quiet_option
@verbose_option
def download(name: str, quiet: bool) -> None:
    """Fetch the file that Keras publishes (553 MB) and keep it in the store as 'keras'.

    Keras' own cache is looked at first. A download that broke off is resumed.
    """
    from vggfeat.cli.console import Console
    from vggfeat.weights import named

    console = Console(quiet=quiet)
    network = named(name, console.fetching)
    console.note(f"{name}: {network.describe()}; use it with --weights {name}")
