"""`vggfeat weights download`: published networks."""

from __future__ import annotations

import click

from vggfeat.cli.options import quiet_option, verbose_option


@click.command(short_help="Fetch a published network and keep it in the store.")
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
    download that broke off is resumed. $VGGFEAT_MIRROR, an address or a folder that holds files of
    the published names, goes before the published addresses.
    """
    from vggfeat.cli.console import Console
    from vggfeat.weights import named

    console = Console(quiet=quiet)
    try:
        network = named(name, console.fetching, console.note)
    finally:
        console.stop()
    console.note(f"{name}: {network.describe()}; use it with --weights {name}")
