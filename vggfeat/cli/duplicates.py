"""`vggfeat duplicates`: pictures that are nearly the same."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from vggfeat.cli.options import html_option, quiet_option, two_files, verbose_option
from vggfeat.cli.results import FORMS, PATHS, Results
from vggfeat.sinks import STDOUT

if TYPE_CHECKING:
    from vggfeat.cli.console import Console
    from vggfeat.cli.results import Record
    from vggfeat.search.gallery import Gallery
    from vggfeat.search.page import Picture
    from vggfeat.search.spare import Spare

Section = tuple[str, list["Record"]]

GROUPED = ("group", "similarity", "path")
PAIRED = ("similarity", "path", "other")

EPILOG = """\b
Examples:
  vggfeat duplicates feats.npy --html duplicates.html
  vggfeat duplicates feats.npy --format paths -0 | xargs -0 rm -f --
"""


@click.command(epilog=EPILOG, no_args_is_help=True)
@click.argument("features", metavar="FEATURES")
@click.option(
    "--threshold", type=click.FloatRange(-1, 1, min_open=True), default=0.98, show_default=True,
    metavar="COSINE", help="From which similarity on pictures are nearly the same.",
)  # fmt: skip
@click.option("--pairs", is_flag=True, help="List pairs, the most similar first, not groups.")
@click.option("-o", "--output", metavar="FILE", default=STDOUT, help="[default: stdout]")
@click.option(
    "--format", "form", type=click.Choice(FORMS),
    help="paths: of files that can go, all but the first of each group, one a line.  "
    "[default: table on a terminal, else CSV; in FILE by its name]",
)  # fmt: skip
@html_option
@click.option("-0", "--null", is_flag=True, help="The lines of --format paths end in NUL.")
@quiet_option
@verbose_option
def duplicates(
    features: str,
    threshold: float,
    pairs: bool,
    output: str,
    form: str | None,
    html: str | None,
    null: bool,
    quiet: bool,
) -> None:
    """Find pictures that are nearly the same.

    Those are the pictures of FEATURES, a file of extract's, whose vectors have a cosine of at least
    the threshold. A group begins with its first picture in the order of FEATURES, and all others of
    it are that similar to the first. A picture that is so to several firsts is with the earliest.

    Paths are as extract was given them: relative ones begin where it ran. --format paths lists no
    file that is missing, has changed since, or is the first one's own by another name, and nothing
    in archives and at addresses.
    """
    if null and form != PATHS:
        raise click.UsageError("-0 is about --format paths: add it")
    if pairs and form == PATHS:
        raise click.UsageError("--format paths is about groups: leave --pairs out")
    two_files(output, html)

    from vggfeat.cli.console import Console
    from vggfeat.search.gallery import Gallery
    from vggfeat.search.page import page
    from vggfeat.search.spare import Spare

    console = Console(quiet=quiet)
    gallery = Gallery(features)
    about = f"In {features}, by {gallery.recipe.layer}: a cosine of {threshold:g} or more."
    columns, shown = (PAIRED, PAIRED) if pairs else (GROUPED, GROUPED[1:])
    results = Results(output, form, columns, shown, b"\0" if null else b"\n")
    spare = Spare(gallery)
    with (
        results.opened(),
        page(html, "Near duplicates", about) if html else contextlib.nullcontext() as pictures,
    ):
        find = _pairs if pairs else _groups
        for title, records in find(gallery, threshold, console):
            results.add(title, _spare(spare, records) if results.only_paths else records)
            if pictures:
                pictures.add(_pictures(records))
    if spare.withheld:
        console.note(
            f"pictures not listed: {spare.withheld:,}; they, or the first of their group, are in "
            "an archive or at an address, or not at their path any more, or have changed (paths "
            "are relative to where extract ran)"
        )


def _groups(gallery: Gallery, threshold: float, console: Console) -> Iterator[Section]:
    from vggfeat.search.duplicates import groups

    with _counting(console, len(gallery.paths)):
        found = groups(gallery.vectors, threshold, on_rows=console.advance)
    members = sum(len(group.rows) for group in found)
    console.note(f"groups: {len(found):,}, with {members:,} of {len(gallery.paths):,} pictures")
    for number, group in enumerate(found, start=1):
        alike = zip(group.similarities.tolist(), group.rows.tolist(), strict=True)
        yield (
            f"group {number:,}",
            [
                {"group": number, "similarity": similarity, "path": gallery.paths[row]}
                for similarity, row in alike
            ],
        )


def _pairs(gallery: Gallery, threshold: float, console: Console) -> Iterator[Section]:
    from vggfeat.search.duplicates import pairs

    with _counting(console, len(gallery.paths)):
        found = pairs(gallery.vectors, threshold, on_rows=console.advance)
    console.note(f"pairs: {len(found.first):,}, among {len(gallery.paths):,} pictures")
    paths = gallery.paths
    for a, b, similarity in zip(*(column.tolist() for column in found), strict=True):
        yield "", [{"similarity": similarity, "path": paths[a], "other": paths[b]}]


@contextlib.contextmanager
def _counting(console: Console, rows: int) -> Iterator[None]:
    console.start(rows)
    try:
        yield
    finally:
        console.stop()


def _spare(spare: Spare, records: list[Record]) -> list[Record]:
    return [{"path": path} for path in spare.of([str(record["path"]) for record in records])]


def _pictures(records: list[Record]) -> list[Picture]:
    from vggfeat.search.page import Picture

    return [
        Picture(str(record[name]), f"{record['similarity']:.4f}")
        for record in records
        for name in ("path", "other")
        if name in record
    ]
