"""What is odd about pictures and their labels, in words: nothing that stops anyone."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path

from vggfeat.head.data import Labelled


def of_contents(data: Labelled) -> list[str]:
    """Pictures that are there under several labels."""
    names = defaultdict(set)
    first: dict[str, str] = {}
    for path, content, label in zip(data.paths, data.contents, data.labels, strict=True):
        names[content].add(label)
        first.setdefault(content, path)
    torn = [content for content, labels in names.items() if len(labels) > 1]
    if not torn:
        return []
    which = f"{first[torn[0]]} as {' and '.join(sorted(names[torn[0]]))}"
    return [f"{len(torn):,} pictures are there under several labels, such as {which}"]


def of_folders(data: Labelled) -> list[str]:
    """Folders that are one class by their name, or lie within another one that has pictures."""
    folders = {Path(os.path.abspath(path)).parent: os.path.dirname(path) for path in data.paths}
    by_name = defaultdict(list)
    for place, folder in folders.items():
        by_name[place.name].append(folder)
    lines = [
        f"{len(several):,} folders named {name} are one class, such as {' and '.join(several[:2])}"
        for name, several in by_name.items()
        if len(several) > 1
    ][:1]
    within = ((place, outer) for place in folders for outer in place.parents if outer in folders)
    if pair := next(within, None):
        inner, outer = pair
        lines.append(
            f"pictures in {folders[outer] or os.curdir} itself are of the class {outer.name}, "
            f"beside those in {folders[inner]}"
        )
    return lines
