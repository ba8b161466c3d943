"""`vggfeat weights`: the store of networks."""

from __future__ import annotations

import click

from vggfeat.cli.options import input_options, quiet_option, verbose_option, weights_option
from vggfeat.exports import FORMS

_FORMS = "\n".join(
    f"  {name:<13}{form.suffixes[0]:<14}{form.about}" for name, form in FORMS.items()
)

EXPORT_EPILOG = f"""\b
Forms, and the names of files that stand for them:
{_FORMS}

\b
Examples:
  vggfeat weights export vgg16.pth -w keras
  vggfeat weights export vgg_16.ckpt -w my_finetuned.h5
"""


@click.group()
def weights() -> None:
    """Import, list and show the networks that can be used."""


@weights.command("import")
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

    FILE is told by its content: see `vggfeat weights forms`. fc8 is not needed and may have any
    number of classes.
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


@weights.command()
@verbose_option
def forms() -> None:
    """List the forms of files that can be read."""
    from vggfeat.weights.formats import FORMS

    for form in FORMS:
        click.echo(f"{form.NAME}: {form.FILES}\n    {form.ABOUT}".replace("`", ""))


@weights.command("list")
@verbose_option
def list_() -> None:
    """List the names in the store."""
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


@weights.command()
@click.argument("weights", metavar="NAME|FILE")
@input_options
@verbose_option
def show(weights: str, channels: str | None, scale: str | None) -> None:
    """Say what a network is: its form, whose training, what it takes, which layers are published.

    Where neither FILE's form nor its numbers tell the order of channels and the scale of pixels,
    it says so; --channels and --scale then tell it.
    """
    from vggfeat.vgg16 import text
    from vggfeat.weights import canonical, existing, identity

    network = existing(weights, channels=channels, scale=scale)
    origin = network.origin
    compared = identity.compare(network)
    click.echo(f"what         {network.describe()}")
    click.echo(f"source       {origin.source}")
    click.echo(f"training     {identity.describe(compared) or origin.training}")
    click.echo(f"input        {origin.taken}")
    click.echo(f"decided by   {origin.decided or 'itself'}")
    click.echo(f"fingerprint  {network.fingerprint}")
    click.echo(f"mean (RGB)   {', '.join(f'{value:.3f}' for value in network.tensors['mean'])}")
    for warning in origin.warnings:
        click.echo(f"warning      {warning}")
    for layer in network.layers:
        kernel, bias = (network.tensors[f"{layer}/{part}"] for part in ("kernel", "bias"))
        known = compared[layer] if identity.SAME in compared.values() else ""
        click.echo(f"{layer:<12} {text(kernel.shape):<16} {text(bias.shape):<8} {known}".rstrip())
    canonical.check_intact(network)


@weights.command()
@click.argument("weights", metavar="NAME|FILE")
@input_options
@verbose_option
def verify(weights: str, channels: str | None, scale: str | None) -> None:
    """Prove a network from pixels to numbers, on the photographs that vggfeat brings along.

    Both engines compute pool5 of them, which is compared with what Keras made of Oxford's published
    convolutions. A wrong mean, flipped channels or another resampling ends with exit code 1 and a
    sentence that says which. Networks of another training are compared between the engines only.
    """
    from vggfeat.reference import verify as prove
    from vggfeat.weights import existing

    prove(existing(weights, channels=channels, scale=scale), click.echo)


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
@click.argument(
    "name", type=click.Choice(["keras", "slim", "torchvision", "timm"]), default="keras"
)
@quiet_option
@verbose_option
def download(name: str, quiet: bool) -> None:
    """Fetch a published network (about 550 MB) and keep it in the store under its name.

    \b
      keras        Oxford's network, as Keras publishes it (the default)
      slim         Oxford's network, as TF-Slim publishes it
      torchvision  torchvision's own training of VGG16
      timm         the same, as timm publishes it

    The caches of Keras, torch and Hugging Face are looked at first. What comes is checked, and a
    download that broke off is resumed. $VGGFEAT_MIRROR, an address or a file:// folder that holds
    files of the published names, goes before the published addresses.
    """
    from vggfeat.cli.console import Console
    from vggfeat.weights import named

    console = Console(quiet=quiet)
    try:
        network = named(name, console.fetching, console.note)
    finally:
        console.stop()
    console.note(f"{name}: {network.describe()}; use it with --weights {name}")


@weights.command(epilog=EXPORT_EPILOG)
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
    from vggfeat.weights import choose

    path = Path(file)
    form = exports.check_place(path, form)
    console = Console(quiet=quiet)
    try:
        chosen = choose(weights, console.fetching, console.note)
    finally:
        console.stop()
    if not chosen.trained:
        console.note(f"weights are {chosen.source}")
    for warning in chosen.origin.warnings:
        console.note(f"weights: {warning}")
    console.note(f"{file}: {exports.export(chosen, path, form)}")
