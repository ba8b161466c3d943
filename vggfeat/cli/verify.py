"""`vggfeat verify`: whether an output is whole and up to date."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from vggfeat.cli.options import verbose_option, weights_option
from vggfeat.errors import EXIT_DAMAGED, EXIT_DONE, EXIT_OUTDATED

if TYPE_CHECKING:
    from vggfeat.verify import Findings

EPILOG = """\b
Exit codes:
  0  whole, and up to date where that was asked
  1  could not be looked through
  4  damaged: extract --fresh makes it anew
  5  whole, but images have changed since: extract brings it up to date
"""


@click.command(epilog=EPILOG, short_help="Look through what extract wrote.")
@click.argument("output", metavar="FILE")
@click.option(
    "--against", metavar="INPUT", multiple=True,
    help="Also compare with the images: what extract was given, option by option.",
)  # fmt: skip
@click.option(
    "--recompute", type=click.IntRange(min=1), metavar="N", default=None,
    help="Also compute N rows again, chosen at random.",
)  # fmt: skip
@weights_option
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
@verbose_option
def verify(
    output: str,
    against: tuple[str, ...],
    recompute: int | None,
    weights: str | None,
    as_json: bool,
) -> int:
    """Look through the output FILE of extract: that its files are of one run, each row has the
    checksum that is listed and no NaN, and as many are there as are told.
    """
    from vggfeat.verify import verify as look_through

    found = look_through(output, against=against, recompute=recompute or 0, weights=weights)
    if as_json:
        click.echo(json.dumps(found.as_dict() | {"exit_code": _code(found)}, indent=2))
    else:
        for line in _lines(found, recomputed=recompute is not None, compared=bool(against)):
            click.echo(line)
    return _code(found)


def _code(found: Findings) -> int:
    if found.damages:
        return EXIT_DAMAGED
    return EXIT_OUTDATED if found.outdated else EXIT_DONE


def _lines(found: Findings, *, recomputed: bool, compared: bool) -> list[str]:
    lines = [f"damaged      {damage}" for damage in found.damages]
    if not found.damages:
        lines.append(f"rows         {found.rows:,}, each with the checksum that is listed")
        lines.append(f"generation   {found.generation}")
        if found.failed:
            lines.append(f"failed       {found.failed:,} images have no row")
    if recomputed and found.recomputed:
        lines.append(
            f"recomputed   {found.recomputed:,} rows, {found.bit_equal:,} of them equal to the bit"
        )
    elif recomputed and not found.damages:
        lines.append("recomputed   none: the images of the rows chosen have changed or are gone")
    if compared:
        counts = ", ".join(f"{count:,} {what}" for what, count in found.outdated.items())
        lines.append(f"images       {counts or 'as they were'}")
    return lines
