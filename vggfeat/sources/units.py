"""The images of a run in units: each is read by one worker, and becomes one part of a dataset."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple, Protocol

from vggfeat.outcome import Stamp
from vggfeat.sources import open_inputs
from vggfeat.sources.base import ImageRef
from vggfeat.sources.files import Skipped


class Unit(Protocol):
    """Images that belong together. It can be pickled."""

    @property
    def name(self) -> str:
        """What a user knows it by: its archive, or its first image."""

    def images(self, skipped: Skipped) -> Iterator[ImageRef]:
        """Its images, in order, opened as they are asked for.

        Args:
            skipped: counts what is passed over.
        """

    def inputs(self) -> Iterable[tuple[str, Stamp | None]]:
        """The files that it is made from, and their stamps at present."""


class Files(NamedTuple):
    """Image files, each by itself."""

    refs: Sequence[ImageRef]

    @property
    def name(self) -> str:
        return self.refs[0].name

    def images(self, skipped: Skipped) -> Iterator[ImageRef]:
        return iter(self.refs)

    def inputs(self) -> Iterable[tuple[str, Stamp | None]]:
        return ((ref.name, ref.stamp()) for ref in self.refs)


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


def open_units(names: Sequence[str], most: int, *, nul_separated: bool = False) -> Units:
    """The units that inputs stand for, of up to so many images.

    Raises as `open_inputs` does.
    """
    inputs = open_inputs(names, nul_separated=nul_separated)

    def units() -> Iterator[Unit]:
        images = iter(inputs)
        while refs := list(islice(images, most)):
            yield Files(refs)

    return Units(names, units(), inputs.skipped)
