"""`vggfeat weights show`, `verify` and `forms`: what a network is, and what can be read."""

from __future__ import annotations

import click

from vggfeat.cli.options import input_options, verbose_option


@click.command(short_help="Say what a network is, and whose training.")
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
    click.echo(f"decided by   {origin.decided}")
    click.echo(f"fingerprint  {network.fingerprint}")
    click.echo(f"mean (RGB)   {', '.join(f'{value:.3f}' for value in network.tensors['mean'])}")
    for warning in origin.warnings:
        click.echo(f"warning      {warning}")
    for layer in network.layers:
        kernel, bias = (network.tensors[f"{layer}/{part}"] for part in ("kernel", "bias"))
        known = compared[layer] if identity.SAME in compared.values() else ""
        click.echo(f"{layer:<12} {text(kernel.shape):<16} {text(bias.shape):<8} {known}".rstrip())
    canonical.check_intact(network)


@click.command(short_help="Prove a network from pixels to numbers.")
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


@click.command()
@verbose_option
def forms() -> None:
    """List the forms of files that can be read."""
    from vggfeat.weights.formats import listed

    for name, files, about in listed():
        click.echo(f"{name}: {files}\n    {about}".replace("`", ""))
