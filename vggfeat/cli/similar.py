"""`vggfeat similar`: the pictures that are most similar to others."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import click

from vggfeat.cli.options import (
    html_option,
    made_by_option,
    quiet_option,
    two_files,
    verbose_option,
)
from vggfeat.cli.results import FORMS, Results
from vggfeat.errors import EXIT_DONE, EXIT_SOME_IMAGES_FAILED, VggfeatError
from vggfeat.sinks import STDOUT
from vggfeat.sources import STDIN

if TYPE_CHECKING:
    from vggfeat.cli.results import Record
    from vggfeat.search.page import Picture
    from vggfeat.search.similar import Answer

COLUMNS = ("query", "rank", "similarity", "path")

EPILOG = """\b
Examples:
  vggfeat similar feats.npy cat.jpg
  vggfeat similar feats.npy ./new -k 3 --html new.html
  find . -name '*.png' -print0 | vggfeat similar feats.npy -0 - -o near.csv
"""


@click.command(epilog=EPILOG, no_args_is_help=True)
@click.argument("features", metavar="FEATURES")
@click.argument("queries", metavar="PICTURE...", nargs=-1, required=True)
@click.option(
    "-k", "count", type=click.IntRange(min=1), default=10, show_default=True, metavar="N",
    help="How many pictures for each.",
)  # fmt: skip
@made_by_option
@click.option("-o", "--output", metavar="FILE", default=STDOUT, help="[default: stdout]")
@click.option(
    "--format", "form", type=click.Choice(FORMS),
    help="[default: table on a terminal, else CSV; in FILE by its name]",
)  # fmt: skip
@html_option
@click.option(
    "-0", "--null", is_flag=True, help="Paths end in NUL: those on stdin, and of --format paths."
)
@quiet_option
@verbose_option
def similar(
    features: str,
    queries: tuple[str, ...],
    count: int,
    weights: str | None,
    output: str,
    form: str | None,
    html: str | None,
    null: bool,
    quiet: bool,
) -> int:
    """Find the pictures that are most similar to others.

    They are looked for in FEATURES, a file of extract's, for each PICTURE: a file, those of a
    folder, an address, or - for a list of these on stdin. Similarity is the cosine of the vectors:
    1 for equal ones. A PICTURE that has a row in FEATURES needs no weights, and is not listed among
    its own neighbours. Any other is computed as FEATURES was, by the same weights. Paths are as
    extract was given them: relative ones begin where it ran.
    """
    if null and STDIN not in queries and form != "paths":
        raise click.UsageError("-0 is about a list on stdin, or --format paths: give one of them")
    two_files(output, html)

    from vggfeat.cli.console import Console
    from vggfeat.outcome import Failure
    from vggfeat.search.gallery import Gallery
    from vggfeat.search.page import page
    from vggfeat.search.queries import pictures
    from vggfeat.search.similar import similar as most_similar

    console = Console(quiet=quiet)
    gallery = Gallery(features)
    about = f"Of {len(gallery.paths):,} in {features}, by the cosine of {gallery.recipe.layer}."
    results = Results(output, form, COLUMNS, COLUMNS[1:], b"\0" if null else b"\n")
    answered = failed = 0
    with (
        results.opened(),
        results.progress(console, None) as progress,
        page(html, "Similar pictures", about) if html else contextlib.nullcontext() as shown,
    ):
        asked = pictures(queries, nul_separated=null)
        for answer in most_similar(gallery, asked, count, weights=weights, watcher=console):
            progress.advance(1)
            if isinstance(answer, Failure):
                failed += 1
                console.failed(answer)
                continue
            answered += 1
            results.add(answer.query, _records(answer))
            if shown:
                shown.add(_pictures(answer))
        if not answered + failed:
            raise VggfeatError(f"no pictures in {', '.join(queries)}")
    if failed:
        console.note(f"pictures that failed: {failed:,}")
    return EXIT_SOME_IMAGES_FAILED if failed else EXIT_DONE


def _records(answer: Answer) -> list[Record]:
    ranked = enumerate(zip(answer.similarities, answer.paths, strict=True), start=1)
    return [dict(zip(COLUMNS, (answer.query, rank, *found), strict=True)) for rank, found in ranked]


def _pictures(answer: Answer) -> list[Picture]:
    from vggfeat.search.page import Picture

    neighbours = zip(answer.paths, answer.similarities, strict=True)
    row = [Picture(path, f"{similarity:.4f}") for path, similarity in neighbours]
    return [Picture(answer.query, "query"), *row]
