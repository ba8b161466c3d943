"""`vggfeat extract`: the main job."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vggfeat.cli.options import quiet_option, verbose_option, weights_option
from vggfeat.engines import NAMES
from vggfeat.errors import EXIT_DONE, EXIT_SOME_IMAGES_FAILED
from vggfeat.sinks import FORMS, STDOUT
from vggfeat.sources import STDIN
from vggfeat.vgg16 import OUTPUTS, SIZE

if TYPE_CHECKING:
    from vggfeat.report import Report

EPILOG = """\b
Examples:
  vggfeat extract ./imgs -o feats.npy
  vggfeat extract a.jpg b.jpg ./more -o feats.csv
  find . -name '*.jpg' -print0 | vggfeat extract -0 - -o - >feats.csv

\b
Beside feats.npy it writes:
  feats.index.csv   row,path,size,mtime_ns,sha256,crc32
  feats.json        what made it: weights, layer, preprocessing, versions, the last runs
  feats.failed.csv  path,reason,... of each image that failed, if any did (exit code 3)
"""


@click.command(epilog=EPILOG, no_args_is_help=True)
@click.argument("inputs", metavar="INPUT...", nargs=-1, required=True)
@click.option("-o", "--output", metavar="FILE", required=True, help="File to write; - for stdout.")
@weights_option
@click.option(
    "--layer", type=click.Choice(list(OUTPUTS)[::-1]), default="fc7", show_default=True,
    help="Which layer's output: fc7 and fc6 after their ReLU, pool5 as a map of 7x7.",
)  # fmt: skip
@click.option("--fresh", is_flag=True, help="Compute all images, unchanged ones too.")
@click.option("-n", "--dry-run", is_flag=True, help="Only tell what would be done, and why.")
@click.option("--wait", is_flag=True, help="Wait for another run that is writing FILE.")
@click.option("--format", "form", type=click.Choice(list(FORMS)), help="[default: by FILE's name]")
@click.option("-0", "--null", is_flag=True, help="Paths on stdin end in NUL (find -print0).")
@click.option(
    "--resize", type=click.IntRange(min=SIZE), default=256, show_default=True, metavar="PIXELS",
    help=f"Smaller side before the central {SIZE}x{SIZE} is cut out; {SIZE} crops the most.",
)  # fmt: skip
@click.option(
    "--strict", is_flag=True, help="End at the first image that fails, without an output."
)
@click.option(
    "--engine", type=click.Choice(NAMES), default="auto", show_default=True,
    help="auto: tensorflow where there is a GPU for it, else ncnn.",
)  # fmt: skip
@click.option(
    "--batch-size", type=click.IntRange(min=1), metavar="N",
    help="Images computed at once; changes speed and memory, not the vectors.  "
    "[default: what serves the engine]",
)  # fmt: skip
@click.option(
    "--workers", type=click.IntRange(min=1), metavar="N",
    help="Threads that decode (and, with ncnn, compute).  [default: the processors]",
)  # fmt: skip
@click.option(
    "--fast-decode", is_flag=True,
    help="Shrink large JPEGs while decoding: much faster, moves pixels a little.",
)  # fmt: skip
@quiet_option
@verbose_option
def extract(
    inputs: tuple[str, ...],
    output: str,
    weights: str | None,
    layer: str,
    fresh: bool,
    dry_run: bool,
    wait: bool,
    form: str | None,
    null: bool,
    resize: int,
    strict: bool,
    engine: str,
    batch_size: int | None,
    workers: int | None,
    fast_decode: bool,
    quiet: bool,
) -> int:
    """Write one vector for each image of INPUT...: files, folders (with all below them), or - for
    a list of paths on stdin. Rows are in the order of the inputs, folders in natural order.

    Rows that FILE has already of unchanged images are kept, and what a run that was cut off has
    computed is taken up.
    """
    if null and STDIN not in inputs:
        raise click.UsageError("-0 is about a list on stdin: add - to the inputs")
    if output == STDOUT and form == "npy" and sys.stdout.isatty():
        raise click.UsageError("an .npy file is not for terminals: redirect it, or write CSV")

    from vggfeat import run
    from vggfeat.cli.console import Console
    from vggfeat.sinks.index import beside

    console = Console(quiet=quiet)
    report = run.extract(
        inputs,
        output,
        weights=weights,
        layer=layer,
        engine=engine,
        batch_size=batch_size,
        workers=workers,
        resize=resize,
        fast_decode=fast_decode,
        form=form,
        fresh=fresh,
        wait=wait,
        dry_run=dry_run,
        strict=strict,
        nul_separated=null,
        watcher=console,
    )
    if dry_run:
        console.note(_counts(report, f"{report.computed:,} to compute"))
        return EXIT_DONE
    where = "stdout" if output == STDOUT else output
    shape = ",".join(map(str, (report.rows, *report.shape)))
    console.note(
        f"{where}: {layer} of {report.rows:,} images, float32 [{shape}], "
        f"{_counts(report, _computed(report))}"
    )
    if report.skipped:
        console.note(f"skipped in folders: {report.skipped}")
    if report.failed:
        listed = "" if output == STDOUT else f": see {beside(Path(output)).failed}"
        console.note(f"{report.failed:,} images failed{listed}")
    return EXIT_SOME_IMAGES_FAILED if report.failed else EXIT_DONE


def _computed(report: Report) -> str:
    """`in 9.5 s (16.6 images/s)` where all were computed, else how many."""
    from vggfeat.cli.console import duration

    if not report.computed and report.rows:
        return "nothing to compute"
    rate = report.computed / report.seconds if report.seconds else 0.0
    time = f"in {duration(report.seconds)} ({rate:.1f} images/s)"
    return time if report.computed == report.rows else f"{report.computed:,} computed {time}"


def _counts(report: Report, computed: str) -> str:
    counts = {
        "from a run that was cut off": report.resumed,
        "kept": report.kept,
        "dropped": report.dropped,
    }
    return ", ".join([computed, *(f"{count:,} {what}" for what, count in counts.items() if count)])
