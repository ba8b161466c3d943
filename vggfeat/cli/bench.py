"""`vggfeat bench`: which engine is the fastest here."""

from __future__ import annotations

import click

from vggfeat.cli.options import verbose_option

_SECONDS = 6.0  # for each engine, beside loading it


@click.command(short_help="Measure the engines on this machine.")
@click.option(
    "-w", "--weights", default="random", show_default=True, metavar="NAME|FILE",
    help="Weights to run; speed does not depend on their numbers.",
)  # fmt: skip
@verbose_option
def bench(weights: str) -> None:
    """Measure the engines on this machine, in some 20 seconds, and say which one auto takes."""
    from vggfeat import engines
    from vggfeat.bench import measure
    from vggfeat.cli.console import Console
    from vggfeat.doctor import choice
    from vggfeat.errors import VggfeatError
    from vggfeat.weights import chosen_for

    network = chosen_for(Console(quiet=False), weights)
    click.echo(f"{'engine':<12}{'ready after':>12}{'images/s':>12}")
    for name in engines.NAMES[1:]:
        try:
            _, ready, rate = measure(name, network, _SECONDS)
            click.echo(f"{name:<12}{ready:>10.1f} s{rate:>12.1f}")
        except VggfeatError as error:
            click.echo(f"{name:<12}{error}")
    chosen, reason = choice.auto()
    click.echo(f"auto takes {chosen}: {reason}")
