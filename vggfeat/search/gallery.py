"""Features that are searched: their rows, by path and by content."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict

import numpy as np

from vggfeat.errors import ImageError
from vggfeat.features import open_features
from vggfeat.search.cosine import RowNumbers
from vggfeat.sources import ImageRef
from vggfeat.sources.files import LocalFile

_NO_ROWS = np.empty(0, np.int64)


class Gallery:
    """Opened features.

    Attributes:
        path: of their file.
        vectors: float32 or float16 `[n, ...]`, memory-mapped.
        paths: of the images, row by row.
        recipe: what the rows were made by.

    Raises:
        VggfeatError: they are missing or damaged, or do not belong together.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.vectors, self.paths, self.recipe, self._entries = open_features(path)
        self._by_content = {entry.sha256: row for row, entry in enumerate(self._entries)}
        by_place = defaultdict(list)
        for row, name in enumerate(self.paths):
            by_place[_place(name)].append(row)
        self._by_place = {place: np.array(rows) for place, rows in by_place.items()}

    def rows_at(self, path: str) -> RowNumbers:
        """The rows of the image at a path, however the path is written."""
        return self._by_place.get(_place(path), _NO_ROWS)

    def row_of(self, image: ImageRef) -> int | None:
        """The row that holds the features of an image as it is now; None if none does.

        That of its path, where its file is unchanged or gone, else that of its content.

        Raises OSError, ImageError, ValueError where it cannot be read.
        """
        rows = self.rows_at(image.name)
        if len(rows) and image.stamp() in (None, self._entries[rows[0]].stamp):
            return int(rows[0])
        return self._by_content.get(_content(image))

    def unchanged(self, path: str) -> bool:
        """Whether the file at the path of a row is there, and still what that row was made of."""
        image = LocalFile(path)
        entry = self._entries[self.rows_at(path)[0]]
        try:
            same_stamp: bool = image.stamp() == entry.stamp
            return same_stamp or _content(image) == entry.sha256
        except (OSError, ImageError, ValueError):  # ValueError: a NUL within the path
            return False


def _content(image: ImageRef) -> str:
    data = image.read().data
    assert isinstance(data, bytes)
    return hashlib.sha256(data).hexdigest()


def _place(path: str) -> str:
    return os.path.abspath(path) if "\0" not in path else path
