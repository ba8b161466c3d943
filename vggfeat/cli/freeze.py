"""`vggfeat freeze`: the network as a TensorFlow graph."""

from __future__ import annotations

import click

from vggfeat.cli.options import quiet_option, verbose_option, weights_option

FREEZE_EPILOG = """\b
Examples:
  vggfeat freeze -o vgg16_fc7.pb
  vggfeat freeze -o pool5.pb --layer pool5:avg
  vggfeat freeze -o flowers.pb --head flowers.head
"""


@click.command(epilog=FREEZE_EPILOG)
@click.option("-o", "--output", metavar="FILE", required=True, help="The .pb file to write.")
@weights_option
@click.option(
    "--layer", "layers", metavar="LAYER", multiple=True,
    help="An output, as vggfeat extract takes it: fc7, pool5:avg, conv5_3:linear ... It has this "
    "name with _ for a colon. Can be given several times.  [default: fc6 and fc7]",
)  # fmt: skip
@click.option(
    "--head", metavar="FILE",
    help="End in this head (vggfeat head fit): outputs logits and probabilities, and a constant "
    "'classes' with their names. They are written beside, one a line (.classes.txt).",
)  # fmt: skip
@quiet_option
@verbose_option
def freeze(
    output: str, weights: str | None, layers: tuple[str, ...], head: str | None, quiet: bool
) -> None:
    """Write the network as a frozen TensorFlow graph (GraphDef).

    Input images: uint8 [?,224,224,3], RGB; the mean is subtracted inside. Outputs: float32, fc6
    and fc7 [?,4096] after their ReLU, or those asked for.
    """
    from pathlib import Path

    from vggfeat import freeze as frozen
    from vggfeat.cli.console import Console
    from vggfeat.exports import heads
    from vggfeat.head.file import read
    from vggfeat.weights import chosen_for
    from vggfeat.weights.made_by import made_by

    console = Console(quiet=quiet)
    path = Path(output)
    heads.check_apart(path, head, weights)
    fitted = read(head) if head else None
    chosen = (
        made_by(fitted.recipe, weights, console, str(head))
        if fitted
        else chosen_for(console, weights)
    )
    outputs = frozen.freeze(chosen, path, layers, fitted)
    names = ", ".join(f"{name}:0" for name in outputs)
    classes = f"; {heads.told(fitted, path)}" if fitted else ""
    console.note(f"{output}: input {frozen.INPUT}:0, outputs {names}{classes}")
