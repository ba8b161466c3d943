"""Which label belongs to which row of features: of a CSV file, or of the folders' names."""

from __future__ import annotations

import csv
import io
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from vggfeat.errors import VggfeatError, describe_os_error

# What the columns are called; a file without such a header has two columns, in this order.
_PATHS = ("path", "file", "filename", "image")
_LABELS = ("label", "class")

Keys = Callable[[str], Iterator[str]]


class Labels(NamedTuple):
    """The labels of some paths.

    Attributes:
        of_row: one for each path, empty for those that have none.
        unknown: how many labels are of other paths.
    """

    of_row: list[str]
    unknown: int


def from_folders(paths: Sequence[str]) -> Labels:
    """The name of the folder that each picture lies in."""
    return Labels([Path(os.path.abspath(path)).parent.name for path in paths], 0)


def from_csv(file: str | os.PathLike[str], paths: Sequence[str]) -> Labels:
    """What a CSV file (also with semicolons or tabs) says of each path.

    A path in it is meant as it stands there, else from the current folder, else from the folder of
    the CSV file; else it is one that ends in it, or that it ends in, where there is only one.

    Raises:
        VggfeatError: the file cannot be read, is no list of paths and labels, or leaves a doubt.
    """
    told = read(file)
    of_row = [""] * len(paths)
    open_rows: dict[int, str] = dict(enumerate(paths))
    open_told = dict(told)
    folder = os.path.dirname(os.path.abspath(file))
    ways: tuple[tuple[Keys, Keys], ...] = (
        (_itself, _itself),
        (_from(os.curdir), _from(os.curdir)),
        (_from(folder), _from(os.curdir)),
        (_normal, _ends),
        (_ends, _normal),
    )
    for of_told, of_path in ways:
        for name, rows in _matches(file, open_told, open_rows, of_told, of_path).items():
            label = open_told.pop(name)
            for row in rows:
                del open_rows[row]
                of_row[row] = label
    if told and not any(of_row) and paths:
        raise VggfeatError(
            f"{file}: none of its {len(told):,} paths, such as {next(iter(told))}, is among those "
            f"of the features, such as {paths[0]}"
        )
    return Labels(of_row, len(open_told))


def _matches(
    file: str | os.PathLike[str],
    told: Mapping[str, str],
    rows: Mapping[int, str],
    of_told: Keys,
    of_path: Keys,
) -> dict[str, list[int]]:
    """Rows by path of the file, where one of the keys is the same."""
    by_key: dict[str, list[int]] = defaultdict(list)
    for row, path in rows.items():
        for key in of_path(path):
            by_key[key].append(row)
    found: dict[str, list[int]] = {}
    taken: dict[int, str] = {}
    for name, label in told.items():
        matched = [row for key in of_told(name) for row in by_key.get(key, ())]
        if len(meant := sorted({rows[row] for row in matched})) > 1:
            raise VggfeatError(
                f"{file}: {name} may be {meant[0]} or {meant[1]}: write more of the path"
            )
        for row in matched:
            if told[taken.setdefault(row, name)] != label:
                raise VggfeatError(
                    f"{file}: {rows[row]} may be {taken[row]} or {name}, of other labels: extract "
                    "with more of the path"
                )
        if matched:
            found[name] = [row for row in matched if taken[row] == name]
    return found


def _itself(path: str) -> Iterator[str]:
    yield path


def _normal(path: str) -> Iterator[str]:
    yield os.path.normpath(path)


def _from(folder: str) -> Keys:
    def keys(path: str) -> Iterator[str]:
        yield os.path.abspath(os.path.join(folder, path))

    return keys


def _ends(path: str) -> Iterator[str]:
    """`a/b/c.jpg`, `b/c.jpg`, `c.jpg`."""
    parts = os.path.normpath(path).split(os.sep)
    return (os.sep.join(parts[start:]) for start in range(len(parts)))


def read(file: str | os.PathLike[str]) -> dict[str, str]:
    """Label by path, as the file has them; those without a label are left out.

    Raises:
        VggfeatError: the file cannot be read, or is no list of paths and labels.
    """
    try:
        with open(file, encoding="utf-8-sig", errors="surrogateescape", newline="") as opened:
            text = opened.read()
        separator = next((mark for mark in ",\t;" if mark in text.partition("\n")[0]), ",")
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
        lines = [line for line in reader if any(line)]
    except OSError as error:
        raise VggfeatError(f"{file}: cannot be read: {describe_os_error(error)}") from error
    except csv.Error as error:
        raise VggfeatError(f"{file}: no CSV file: {error}") from error
    path_at, label_at, lines = _columns(file, lines)
    told: dict[str, str] = {}
    for line in lines:
        path, label = (line[at].strip() if at < len(line) else "" for at in (path_at, label_at))
        if path and label and told.setdefault(path, label) != label:
            raise VggfeatError(f"{file}: {path} is labelled {told[path]}, and {label} too")
    return told


def _columns(
    file: str | os.PathLike[str], lines: list[list[str]]
) -> tuple[int, int, list[list[str]]]:
    """Where path and label stand, and the lines without a header."""
    header = [name.strip().lower() for name in lines[0]] if lines else []
    places = [
        next((at for at, name in enumerate(header) if name in names), None)
        for names in (_PATHS, _LABELS)
    ]
    if places[0] is not None and places[1] is not None:
        return places[0], places[1], lines[1:]
    if len(header) == 2:
        return 0, 1, lines
    raise VggfeatError(f"{file}: no labels: it should begin with the line path,label")
