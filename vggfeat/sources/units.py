"""The images of a run in units: each is read by one worker, and becomes one part of a dataset."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, cast

from vggfeat.outcome import Stamp
from vggfeat.sources import list_found
from vggfeat.sources.base import ImageRef, Unit
from vggfeat.sources.named import is_archive
from vggfeat.sources.skipped import Skipped
from vggfeat.sources.table import stamps_of

__all__ = ["Files", "Unit", "Units", "open_units"]


class Files(NamedTuple):
    """Image files, each by itself."""

    refs: Sequence[ImageRef]

    @property
    def name(self) -> str:
        return self.refs[0].name

    def images(self, skipped: Skipped) -> Iterator[ImageRef]:
        return iter(self.refs)

    def inputs(self) -> Iterable[tuple[str, Stamp | None]]:
        return stamps_of(self.refs)


@dataclass
class Units:
    """All units of a run, in order.

    Attributes:
        names: as the user gave them.
        units: each is made when it is asked for.
        skipped: what was passed over while they were listed.
    """

    names: Sequence[str]
    units: Iterable[Unit]
    skipped: Skipped = field(default_factory=Skipped)


def open_units(
    names: Sequence[str], most: int, *, nul_separated: bool = False, column: str | None = None
) -> Units:
    """The units that inputs stand for, of up to so many images; a tar is one, whatever is in it.

    Args:
        most: images in a unit.
        column: of tables, which holds the images; None to find out.

    Raises:
        VggfeatError: as `open_inputs` does; of an address, when its turn comes.
    """
    skipped = Skipped()
    found = list_found(names, skipped, nul_separated=nul_separated, column=column)

    def units() -> Iterator[Unit]:
        images: list[ImageRef] = []
        for item in found:
            if not is_archive(item):
                images.append(cast("ImageRef", item))
            if images and (is_archive(item) or len(images) == most):
                yield Files(images)
                images = []
            if is_archive(item):
                yield from item.divided(most)
        if images:
            yield Files(images)

    return Units(names, units(), skipped)
