"""The classes that networks trained on ImageNet tell apart."""

from __future__ import annotations

import csv
from functools import cache
from importlib.resources import files
from typing import NamedTuple


class Class(NamedTuple):
    """One class.

    Attributes:
        wnid: id of its synset in WordNet 3.0, such as `n02123045`; empty of a class that is not
            ImageNet's.
        name: its lemmas: `tabby, tabby cat`.
    """

    wnid: str
    name: str


@cache
def classes() -> tuple[Class, ...]:
    """The 1,000 classes of ILSVRC2012, in the order of the outputs of published networks."""
    text = files(__name__).joinpath("classes.csv").read_text("utf-8")
    return tuple(Class(row["wnid"], row["name"]) for row in csv.DictReader(text.splitlines()))


def named(count: int) -> tuple[Class, ...]:
    """The classes of a network that has so many: ImageNet's where they are 1,000, else numbers."""
    if count == len(classes()):
        return classes()
    return tuple(Class("", f"class {number}") for number in range(count))
