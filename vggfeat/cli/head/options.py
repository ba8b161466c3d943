"""Where labels come from: the same for all commands that take them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def labels_options(command: F) -> F:
    """`--labels` and `--labels-from-folders`."""
    file = click.option(
        "-l", "--labels", metavar="CSV",
        help="File with a line path,label for each picture. Its paths may begin where extract was "
        "run or where CSV is, or be the ends of longer ones.",
    )  # fmt: skip
    folders = click.option(
        "--labels-from-folders", "from_folders", is_flag=True,
        help="The label is the name of the folder that a picture lies in.",
    )  # fmt: skip
    return file(folders(command))


def check(labels: str | None, *, from_folders: bool) -> None:
    """Raise click.UsageError unless there is just one of both."""
    if (labels is None) != from_folders:
        raise click.UsageError("give one of --labels CSV and --labels-from-folders")
