"""What is odd about folders is told."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from tests.head.made import RECIPE
from vggfeat.head import doubts
from vggfeat.head.data import Labelled


@pytest.mark.parametrize(
    ("paths", "told"),
    [
        ("a/1.jpg a/2.jpg b/1.jpg", []),
        ("./a/1.jpg b/1.jpg b/2.jpg", []),
        (
            "x/a/1.jpg y/a/1.jpg z/a/1.jpg x/b/2.jpg",
            ["3 folders named a are one class, such as x/a and y/a"],
        ),
        (
            "x/a/1.jpg x/1.jpg x/b/2.jpg",
            ["pictures in x itself are of the class x, beside those in x/a"],
        ),
        ("a/1.jpg 1.jpg", ["pictures in . itself are of the class {here}, beside those in a"]),
        (
            "a/b/1.jpg b/1.jpg a/1.jpg",
            [
                "2 folders named b are one class, such as a/b and b",
                "pictures in a itself are of the class a, beside those in a/b",
            ],
        ),
    ],
)
def test_folders_that_may_be_other_classes_than_meant(paths: str, told: list[str]) -> None:
    names = paths.split()
    labels = [Path(os.path.abspath(name)).parent.name for name in names]
    contents = [f"{number:064x}" for number in range(len(names))]
    data = Labelled(np.zeros((len(names), 2)), labels, names, contents, RECIPE)
    here = Path.cwd().name
    assert doubts.of_folders(data) == [line.format(here=here) for line in told]
