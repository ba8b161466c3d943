"""`vggfeat extract`: the main job."""

from __future__ import annotations

import os
import re
import sys

import click

from vggfeat.cli.options import (
    GroupedCommand,
    batch_size,
    quiet_option,
    verbose_option,
    weights_option,
)
from vggfeat.engines import NAMES
from vggfeat.engines.precision import NAMES as PRECISIONS
from vggfeat.errors import EXIT_DONE, EXIT_SOME_IMAGES_FAILED
from vggfeat.outcome import DTYPES, NORMS
from vggfeat.sinks import FORMS, STDOUT
from vggfeat.sources import STDIN
from vggfeat.vgg16 import LARGEST, SIZE, SMALLEST

EPILOG = """\
Layers are conv1_1 to conv5_3, pool1 to pool5, fc6, fc7, fc8 (logits) and prob (of the classes),
after the ReLU where they have one; fc7:linear is before it. Maps [h,w,c] may be pooled: pool5:avg,
:max, :flat.

Beside feats.npy are feats.index.csv (which row is which image), feats.json (what made it), and
feats.failed.csv if an image failed (exit code 3). Of several layers each has its feats.fc7.npy.

An output that ends in / is a folder of parts, part-00000.parquet and so on, each of which is
computed, and skipped when it is done, by itself. Inputs and outputs may be at addresses.

\b
  vggfeat extract a.jpg b.jpg ./more -o feats.csv
  vggfeat extract ./imgs -o feats.npy --layer fc7 --layer pool5:avg
  vggfeat extract 's3://b/{00000..00999}.tar' -o s3://b/feats/ --shard 3/16
  find . -name '*.jpg' -print0 | vggfeat extract -0 - -o - >feats.csv
"""

GROUPS = {
    "What is computed": (
        "layers", "size", "resize", "normalize", "dtype", "precision", "fast_decode",
    ),
    "What is done": ("fresh", "dry_run", "strict", "null", "column", "form"),
    "How it runs": (
        "wait", "shard", "ray", "engine", "devices", "batch_size", "workers", "quiet", "verbose",
    ),
}  # fmt: skip


class _Extract(GroupedCommand):
    """`--ray` takes a value only by `=`, so that it does not swallow an input."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        end = args.index("--") if "--" in args else len(args)
        spelt = ["--ray=auto" if arg == "--ray" else arg for arg in args[:end]]
        return super().parse_args(ctx, spelt + args[end:])


@click.command(
    cls=_Extract, groups=GROUPS, epilog=EPILOG, no_args_is_help=True,
    short_help="Write one vector for each image.",
)  # fmt: skip
@click.argument("inputs", metavar="INPUT...", nargs=-1, required=True)
@click.option(
    "-o", "--output", metavar="FILE|DIR/", required=True,
    help="File to write, - for stdout; with / at its end a folder of parts.",
)  # fmt: skip
@weights_option
@click.option(
    "--layer", "layers", metavar="LAYER", multiple=True, default=("fc7",), show_default=True,
    help="See below; given several times, each has a file of its own.",
)  # fmt: skip
@click.option(
    "--size", type=click.IntRange(SMALLEST, LARGEST), default=SIZE, metavar="PIXELS",
    help="Side of the central square. Above 224, fc6 and on are averages.  [default: 224]",
)  # fmt: skip
@click.option(
    "--resize", type=click.IntRange(min=SMALLEST), metavar="PIXELS",
    help="Smaller side before the square is cut out.  [default: 8/7 of --size]",
)  # fmt: skip
@click.option(
    "--normalize", type=click.Choice(NORMS), metavar="l2", help="Give each row the length one."
)
@click.option(
    "--dtype", type=click.Choice(DTYPES), default=DTYPES[0], metavar="TYPE",
    help="float16 takes half the space, with three digits.  [default: float32]",
)  # fmt: skip
@click.option(
    "--precision", type=click.Choice(PRECISIONS), default=PRECISIONS[0], metavar="TYPE",
    help="tf32, bfloat16 and float16 are faster on GPUs.  [default: float32]",
)  # fmt: skip
@click.option(
    "--fast-decode", is_flag=True,
    help="Shrink large JPEGs while decoding: faster, moves pixels a little.",
)  # fmt: skip
@click.option("--fresh", is_flag=True, help="Compute all images, unchanged ones too.")
@click.option("-n", "--dry-run", is_flag=True, help="Only tell what would be done, and why.")
@click.option("--strict", is_flag=True, help="End at the first image that fails, without output.")
@click.option("-0", "--null", is_flag=True, help="Paths on stdin end in NUL (find -print0).")
@click.option("--column", metavar="NAME", help="Of tables, the one with the images or their paths.")
@click.option(
    "--format", "form", type=click.Choice(FORMS), metavar="NAME",
    help=f"{', '.join(FORMS)}; of parts parquet or npy.  [default: by FILE's name]",
)  # fmt: skip
@click.option("--wait", is_flag=True, help="Wait for another run that is writing FILE.")
@click.option(
    "--shard", metavar="I/N",
    help="Only the parts of one of N processes, I from 0: each does its share of DIR/.",
)  # fmt: skip
@click.option(
    "--ray", metavar="[=HOST:PORT]",
    help="Compute the parts of DIR/ on a Ray cluster: that one, or the one that is running.",
)  # fmt: skip
@click.option(
    "--engine", type=click.Choice(NAMES), default="auto", metavar="NAME",
    help="ncnn or tensorflow.  [default: FILE's own, else tensorflow on a GPU, else ncnn]",
)  # fmt: skip
@click.option(
    "--devices", default="all", metavar="0,1",
    help="The GPUs to compute on, by their numbers.  [default: all]",
)  # fmt: skip
@click.option(
    "--batch-size", type=batch_size, default="auto", metavar="N",
    help="Images computed at once.  [default: auto, by engine and memory]",
)  # fmt: skip
@click.option(
    "--workers", type=click.IntRange(min=1), metavar="N",
    help="Threads that decode and, with ncnn, compute.  [default: the processors]",
)  # fmt: skip
@quiet_option
@verbose_option
def extract(
    inputs: tuple[str, ...],
    output: str,
    weights: str | None,
    layers: tuple[str, ...],
    size: int,
    resize: int | None,
    normalize: str | None,
    dtype: str,
    precision: str,
    fast_decode: bool,
    fresh: bool,
    dry_run: bool,
    strict: bool,
    null: bool,
    column: str | None,
    form: str | None,
    wait: bool,
    shard: str | None,
    ray: str | None,
    engine: str,
    devices: str,
    batch_size: int | None,
    workers: int | None,
    quiet: bool,
) -> int:
    """Write one vector for each image of INPUT...: files, folders (with all below them), archives,
    tables, addresses, or - for a list of all these on stdin. Rows are in the order of the inputs,
    folders in natural order.

    Rows that FILE has already of unchanged images are kept, and what a run that was cut off has
    computed is taken up.
    """
    if null and STDIN not in inputs:
        raise click.UsageError("-0 is about a list on stdin: add - to the inputs")
    if output == STDOUT and form not in (None, "csv") and sys.stdout.isatty():
        raise click.UsageError(f"a .{form} file is not for terminals: redirect it, or write CSV")
    for name in inputs if ray == "auto" else ():
        if re.fullmatch(r"ray://.*|[\w.-]+:\d+", name) and not os.path.lexists(name):
            raise click.UsageError(f"{name} is taken for an input: write --ray={name}")

    from vggfeat import run
    from vggfeat.cli import told
    from vggfeat.cli.console import Console

    console = Console(quiet=quiet, label=f"shard {shard}" if shard else "")
    report = run.extract(
        inputs,
        output,
        weights=weights,
        layer=layers,
        size=size,
        normalize=normalize,
        dtype=dtype,
        engine=engine,
        precision=precision,
        devices=devices,
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
        column=column,
        shard=shard,
        ray=ray,
        watcher=console,
    )
    if dry_run:
        console.note(told.counts(report, f"{report.computed:,} to compute"))
        return EXIT_DONE
    *others, last = told.files(report)
    for line in others:
        console.note(line)
    console.note(f"{last}, {told.counts(report, told.computed(report))}")
    if report.awaits_others:
        console.note(
            f"{told.place(output)}: others have parts to do yet: the process that does the last "
            "one writes _vggfeat.json"
        )
    if report.skipped:
        console.note(f"skipped in folders: {report.skipped}")
    if report.failed:
        console.note(f"{told.images(report.failed)} failed{told.where_listed(report, form)}")
    return EXIT_SOME_IMAGES_FAILED if report.failed else EXIT_DONE
