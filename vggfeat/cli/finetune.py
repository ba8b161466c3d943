"""`vggfeat finetune`: the upper layers learn new classes, in Keras."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from vggfeat.cli.options import quiet_option, verbose_option, weights_option
from vggfeat.errors import EXIT_DONE, EXIT_SOME_IMAGES_FAILED

if TYPE_CHECKING:
    from vggfeat.finetune import Finetuned

EPILOG = """\b
Example:
  vggfeat finetune ./classes -o flowers.keras --train-from fc6 --epochs 20

\b
Beside flowers.keras it writes:
  flowers.finetune.json  classes and settings, the start and the epoch that was kept
  flowers.history.csv    epoch,loss,accuracy,val_loss,val_accuracy,learning_rate
  flowers.history.png    the same as a picture
  flowers.head           the classes alone, for `vggfeat head predict -w flowers.keras`
  flowers.unread.csv     path,reason,... of pictures that cannot be read, if any (exit code 3)
"""


@click.command(
    epilog=EPILOG, no_args_is_help=True, short_help="Fine-tune the upper layers in Keras."
)
@click.argument("folder", metavar="FOLDER")
@click.option("-o", "--output", metavar="FILE", required=True, help="The .keras file to write.")
@weights_option
@click.option(
    "--train-from", default="conv5_1", show_default=True, metavar="LAYER",
    help="Lowest layer that learns: conv1_1 to conv5_3, fc6, fc7, or head for the classes alone.",
)  # fmt: skip
@click.option(
    "--layer", metavar="fc7|pool5:avg",
    help="What the classes stand on.  [default: fc7 if the weights have it]",
)  # fmt: skip
@click.option(
    "--val", metavar="FOLDER|FRACTION",
    help="What judges after each epoch: a folder of the same classes, or a part of each class.  "
    "[default: FOLDER/val if there is one, else 0.2]",
)  # fmt: skip
@click.option(
    "--epochs", type=int, default=10, show_default=True, metavar="N",
    help="Epochs at the most.",
)  # fmt: skip
@click.option(
    "--patience", type=int, default=3, show_default=True, metavar="N",
    help="End after N epochs in a row without a lower validation loss.",
)  # fmt: skip
@click.option(
    "--learning-rate", type=float, default=1e-5, show_default=True, metavar="RATE",
    help="Of Adam in the first epoch; it falls along half a cosine.",
)  # fmt: skip
@click.option(
    "--batch-size", type=int, default=32, show_default=True, metavar="N",
    help="Pictures in a step.",
)  # fmt: skip
@click.option(
    "--dropout", type=float, default=0.0, show_default=True, metavar="RATE",
    help="Of fc6 and fc7, before what learns; the start is fitted without it.",
)  # fmt: skip
@click.option(
    "--seed", type=int, default=0, show_default=True, metavar="N",
    help="Of the split, the order, the augmentation and the dropout.",
)  # fmt: skip
@click.option("--fresh", is_flag=True, help="Begin anew, whatever earlier runs left.")
@click.option("--wait", is_flag=True, help="Wait for another run that is writing FILE.")
@quiet_option
@verbose_option
def finetune(
    folder: str,
    output: str,
    weights: str | None,
    train_from: str,
    layer: str | None,
    val: str | None,
    epochs: int,
    patience: int,
    learning_rate: float,
    batch_size: int,
    dropout: float,
    seed: int,
    fresh: bool,
    wait: bool,
    quiet: bool,
) -> int:
    """Let the upper layers of VGG16 learn the classes of FOLDER, a folder of pictures for each,
    and write the network as a Keras file.

    It starts from classes fitted on frozen features, and keeps the epoch that judges best on
    pictures it has not learned from. A run that was cut off is gone on with.
    """
    from vggfeat import finetune as finetuning
    from vggfeat.cli.epochs import EpochsConsole
    from vggfeat.finetune import result

    console = EpochsConsole(quiet=quiet)
    report = finetuning.finetune(
        folder,
        output,
        weights=weights,
        layer=layer,
        train_from=train_from,
        val=val,
        epochs=epochs,
        patience=patience,
        batch_size=batch_size,
        dropout=dropout,
        learning_rate=learning_rate,
        seed=seed,
        fresh=fresh,
        wait=wait,
        watcher=console,
    )
    if report.was_there:
        console.note(f"{output}: is made of these pictures with these settings; nothing to do")
    console.note(f"{output}: {_came_to(report)}")
    if report.failed:
        listed = result.companions(Path(output)).failed
        console.note(f"{report.failed:,} of the pictures cannot be read: see {listed}")
    return EXIT_SOME_IMAGES_FAILED if report.failed else EXIT_DONE


def _came_to(report: Finetuned) -> str:
    start, best = (
        f"{row.val_accuracy:.1%} (loss {row.val_loss:.4f})" for row in (report.start, report.best)
    )
    learned = f"{len(report.classes)} classes, of {report.learned_from:,} pictures"
    judged = f"accuracy on {report.judged_by:,} others"
    if not report.best.epoch:
        return f"{learned}; {judged} {start} on frozen features, and no epoch did better"
    return f"{learned}; {judged} {best} after epoch {report.best.epoch}, from {start}"
