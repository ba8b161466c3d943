"""Pictures that are similar to others."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from vggfeat.each import Vector
from vggfeat.outcome import Failure
from vggfeat.search.gallery import Gallery
from vggfeat.search.nearest import nearest
from vggfeat.search.queries import Vectors, WeightsLike
from vggfeat.sources import ImageRef
from vggfeat.watcher import Watcher

# Queries for which the rows are read once: at the most, and in bytes of float32.
_AT_ONCE = 1024
_BYTES_AT_ONCE = 1 << 28


class Answer(NamedTuple):
    """The pictures most similar to one, the most similar first.

    Attributes:
        query: its path.
        paths: theirs.
        similarities: cosines, -1 to 1.
    """

    query: str
    paths: list[str]
    similarities: list[float]


def similar(
    gallery: Gallery,
    queries: Iterable[ImageRef],
    k: int = 10,
    *,
    weights: WeightsLike = None,
    watcher: Watcher | None = None,
) -> Iterator[Answer | Failure]:
    """For each picture the `k` of the gallery with the highest cosine, in order of the queries.

    A picture of the gallery, known by its path or its content, needs no weights. It is not among
    its own neighbours; copies of it under other paths are.

    Args:
        gallery: what is searched.
        queries: as `queries.pictures` gives them.
        k: how many neighbours, at least 1.
        weights: those that the gallery was made by, as `Extractor` takes them.
        watcher: told what there is to say of the weights.

    Raises:
        VggfeatError: a picture has to be computed, and the weights cannot be had, or are others.
    """
    vectors = Vectors(gallery, weights, watcher or Watcher())
    waiting = iter(queries)
    bytes_each = 4 * math.prod(gallery.vectors.shape[1:])
    at_once = min(max(_BYTES_AT_ONCE // bytes_each, 1), _AT_ONCE)
    while images := list(itertools.islice(waiting, at_once)):
        found = list(vectors.of(images))
        answers = _answers(gallery, [item for item in found if isinstance(item, Vector)], k)
        yield from (item if isinstance(item, Failure) else next(answers) for item in found)


def _answers(gallery: Gallery, queries: list[Vector], k: int) -> Iterator[Answer]:
    if not queries:
        return
    numbers = np.stack([query.numbers for query in queries])
    own = [gallery.rows_at(query.name) for query in queries]
    for query, near in zip(queries, nearest(gallery.vectors, numbers, k, own), strict=True):
        paths = [gallery.paths[row] for row in near.rows]
        yield Answer(query.name, paths, near.similarities.tolist())
