"""Pictures that others are compared with, and their vectors."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from vggfeat.address import is_address
from vggfeat.each import Vector, each
from vggfeat.errors import ImageError, describe_os_error
from vggfeat.extractor import Extractor
from vggfeat.outcome import Failure
from vggfeat.search.gallery import Gallery
from vggfeat.sources import STDIN, ImageRef, ref
from vggfeat.sources.base import Failing
from vggfeat.sources.files import LocalFile, Skipped, missing
from vggfeat.sources.lists import paths_in
from vggfeat.sources.named import found_on_list, is_archive
from vggfeat.watcher import Watcher
from vggfeat.weights import Weights
from vggfeat.weights.made_by import made_by

WeightsLike: TypeAlias = "str | os.PathLike[str] | Weights | None"


def pictures(names: Sequence[str], *, nul_separated: bool = False) -> Iterator[ImageRef]:
    """What files, folders, addresses, and `-` for a list of those on stdin stand for.

    A path where nothing is, is a picture too: there may be a row of it. So is one in an archive.
    """
    for name in names:
        paths = [name] if name != STDIN else paths_in(sys.stdin.buffer, _end(nul_separated))
        for path in paths:
            yield from _images_at(path)


def _images_at(path: str) -> Iterator[ImageRef]:
    if not is_address(path) and missing(path):
        yield ref(path) or LocalFile(path)
        return
    for found in found_on_list(path, Skipped()):
        if is_archive(found):
            yield Failing(found.name, "is an archive: name pictures in it, ARCHIVE/NAME")
        else:
            yield cast("ImageRef", found)


def _end(nul_separated: bool) -> bytes:
    return b"\0" if nul_separated else b"\n"


class Vectors:
    """Vectors of pictures, comparable with a gallery's: its rows, where they are in it.

    Args:
        gallery: where they are looked up.
        weights: those that the gallery was made by; opened when the first picture has to be
            computed.
        watcher: told what there is to say of the weights.
    """

    def __init__(self, gallery: Gallery, weights: WeightsLike, watcher: Watcher) -> None:
        self._gallery = gallery
        self._weights = weights
        self._watcher = watcher

    def of(self, images: Sequence[ImageRef]) -> Iterator[Vector | Failure]:
        """What becomes of each picture, in order.

        Raises:
            VggfeatError: one has to be computed, and the weights cannot be had, or are others.
        """
        known = [self._known(image) for image in images]
        unknown = [image for image, found in zip(images, known, strict=True) if found is None]
        computed = each(self._extractor, unknown) if unknown else iter(())
        return (next(computed) if found is None else found for found in known)

    def _known(self, image: ImageRef) -> Vector | Failure | None:
        try:
            row = self._gallery.row_of(image)
        except OSError as error:
            return Failure(image.name, describe_os_error(error))
        except (ImageError, ValueError) as error:  # ValueError: a NUL within the path
            return Failure(image.name, str(error))
        return None if row is None else Vector(image.name, self._row(row))

    def _row(self, row: int) -> NDArray[np.float32]:
        return np.asarray(self._gallery.vectors[row], np.float32)

    @cached_property
    def _extractor(self) -> Extractor:
        recipe = self._gallery.recipe
        chosen = made_by(recipe, self._weights, self._watcher, self._gallery.path)
        return Extractor.of(recipe, chosen)
