"""`vggfeat merge`: the parts of a dataset folder as one output."""

from __future__ import annotations

import click

from vggfeat.cli.options import quiet_option, verbose_option
from vggfeat.errors import EXIT_DONE
from vggfeat.sinks import FORMS

EPILOG = """\b
  vggfeat merge feats/ -o feats.npy
  vggfeat merge s3://b/feats/ -o feats.h5
"""


@click.command(
    epilog=EPILOG, no_args_is_help=True, short_help="Make one file of a folder of parts."
)
@click.argument("folder", metavar="DIR/")
@click.option("-o", "--output", metavar="FILE", required=True, help="File to write.")
@click.option(
    "--format", "form", type=click.Choice(FORMS), metavar="NAME",
    help=f"{', '.join(FORMS)}.  [default: by FILE's name]",
)  # fmt: skip
@click.option("--wait", is_flag=True, help="Wait for another run that is writing FILE.")
@quiet_option
@verbose_option
def merge(folder: str, output: str, form: str | None, wait: bool, quiet: bool) -> int:
    """Make one file, with its companions, of the parts that `extract -o DIR/` has written.

    It is as if `extract` had written FILE itself, and a later `extract -o FILE` goes on from there.
    """
    from vggfeat.cli.console import Console
    from vggfeat.cli.told import files, images, where_listed
    from vggfeat.dataset.merge import merge as merged

    console = Console(quiet=quiet)
    report = merged(folder, output, form=form, wait=wait, watcher=console)
    for line in files(report):
        console.note(line)
    if report.failed:
        console.note(f"{images(report.failed)} failed{where_listed(report, form)}")
    return EXIT_DONE
