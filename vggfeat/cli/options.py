"""Options that several commands share."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

import click

from vggfeat.inputs import CHANNELS, SCALES

F = TypeVar("F", bound=Callable[..., Any])


class GroupedCommand(click.Command):
    """A command whose help lists options under headings, those that no group names first.

    Args:
        groups: names of parameters, by heading.
    """

    def __init__(self, *args: Any, groups: dict[str, tuple[str, ...]], **options: Any) -> None:
        super().__init__(*args, **options)
        self._groups = groups

    def format_options(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        records = {
            parameter.name: record
            for parameter in self.get_params(context)
            if isinstance(parameter, click.Option)
            and (record := parameter.get_help_record(context)) is not None
        }
        grouped = {name for names in self._groups.values() for name in names}
        first = tuple(name for name in records if name and name not in grouped and name != "help")
        for heading, names in {"Options": first, **self._groups}.items():
            with formatter.section(heading):
                formatter.write_dl([records[name] for name in names])


def batch_size(text: str) -> int | None:
    """A number of images, or None for `auto`. Raises click.BadParameter."""
    return None if text == "auto" else int(click.IntRange(min=1)(text))


def weights_option(command: F) -> F:
    """`--weights`: which network."""
    return _weights(
        "A name in the store, a file, 'random', or 'keras', 'slim', 'torchvision', 'timm', which "
        "are fetched once.  [default: $VGGFEAT_WEIGHTS, else those in the store, else keras]"
    )(command)


def made_by_option(command: F) -> F:
    """`--weights`: those that features were made by, which are told by their numbers."""
    return _weights(
        "The weights that those features were made by.  [default: the store is looked through for "
        "them, then $VGGFEAT_WEIGHTS]"
    )(command)


def _weights(told: str) -> Callable[[F], F]:
    return click.option("-w", "--weights", metavar="NAME|FILE", help=told)


def html_option(command: F) -> F:
    """`--html`: a page beside the results at `--output`."""
    return click.option(
        "--html", metavar="FILE", help="Also write a page that shows them side by side."
    )(command)


def two_files(output: str, html: str | None) -> None:
    """See that the results and their page do not go to the same file.

    Raises click.UsageError.
    """
    if html is not None and os.path.realpath(html) == os.path.realpath(output):
        raise click.UsageError("-o and --html name the same file: give each its own")


def input_options(command: F) -> F:
    """`--channels` and `--scale`: what conv1_1 takes, where a file does not tell."""
    channels = click.option(
        "--channels",
        type=click.Choice(CHANNELS),
        help="Order of channels that FILE's network takes, if FILE does not tell.",
    )
    scale = click.option(
        "--scale",
        type=click.Choice(list(SCALES)),
        help="Scale of pixels, likewise: caffe (0..255 minus the mean), torch (0..1 minus "
        "mean, over deviation), tf (-1..1), unit (0..1), raw (0..255).",
    )
    return channels(scale(command))


def quiet_option(command: F) -> F:
    """`-q`: nothing but errors on stderr."""
    return click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")(command)


def verbose_option(command: F) -> F:
    """`-v`: what is of use to who looks for a fault."""
    return click.option(
        "-v",
        "--verbose",
        is_flag=True,
        expose_value=False,
        callback=_set_verbosity,
        help="Show tracebacks of errors, and warnings of libraries.",
    )(command)


class Verbosity:
    """Whether `-v` was given: asked when an error is shown, after the command has ended."""

    verbose = False


def _set_verbosity(context: click.Context, parameter: click.Parameter, verbose: bool) -> None:
    Verbosity.verbose = verbose
    if not verbose:
        warnings.simplefilter("ignore")
