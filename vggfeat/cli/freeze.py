"""`vggfeat freeze`: the network as a TensorFlow graph."""

from __future__ import annotations

import click

from vggfeat.cli.options import quiet_option, verbose_option, weights_option


@click.command()
@click.option("-o", "--output", metavar="FILE", required=True, help="The .pb file to write.")
@weights_option
@click.option(
    "--layer", type=click.Choice(["fc7", "fc6"]), default="fc7", show_default=True,
    help="The last layer of the graph.",
)  # fmt: skip
@quiet_option
@verbose_option
def freeze(output: str, weights: str | None, layer: str, quiet: bool) -> None:
    """Write the network as a frozen TensorFlow graph (GraphDef).

    Input images: uint8 [?,224,224,3], RGB; the mean is subtracted inside. Outputs fc6 and fc7:
    float32 [?,4096], after their ReLU.
    """
    from pathlib import Path

    from vggfeat import freeze as frozen
    from vggfeat.cli.console import Console
    from vggfeat.weights import chosen_for

    console = Console(quiet=quiet)
    outputs = frozen.freeze(chosen_for(console, weights), Path(output), layer)
    console.note(
        f"{output}: input {frozen.INPUT}:0, outputs {', '.join(f'{n}:0' for n in outputs)}"
    )
