"""What earlier runs have made of images, as far as it still counts."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from functools import cached_property
from itertools import chain
from typing import NamedTuple

from vggfeat.outcome import Failure, Recognised, Stamp
from vggfeat.sinks.index import Entry

# A file that is changed in the moment in which it is read may keep its stamp, where stamps are
# coarse: two seconds on FAT. So stamps that were fresh when the run began prove nothing.
FRESH_NS = 2_000_000_000

NEW, CHANGED, DOUBTFUL = "new", "changed", "maybe changed"


class Kept(NamedTuple):
    """A row that is there already.

    Attributes:
        entry: its line in the index, for the image as it is now.
        published: whether it is in the output; else in the work in progress.
        row: its number there.
    """

    entry: Entry
    published: bool
    row: int


class Known:
    """Rows and failures of earlier runs of the same settings."""

    def __init__(self) -> None:
        self._rows: list[Kept] = []
        self._by_name: dict[str, Kept | Failure] = {}
        self._doubtful: set[str] = set()

    def add(
        self,
        entries: Iterable[Entry],
        failures: Iterable[Failure],
        began_ns: int,
        *,
        published: bool,
    ) -> None:
        """Let count what a run has made that began then, and later than those added before."""
        rows = [Kept(entry, published, row) for row, entry in enumerate(entries)]
        self._rows += rows
        fresh = began_ns - FRESH_NS
        made: Kept | Failure
        for made in chain[Kept | Failure](rows, failures):
            name, stamp = _name(made), _stamp(made)
            self._by_name[name] = made
            if stamp is None or stamp.mtime_ns >= fresh:
                self._doubtful.add(name)
            else:
                self._doubtful.discard(name)

    def has(self, name: str) -> bool:
        """Whether anything may be known of an image, so that its stamp is worth asking for."""
        return name in self._by_name and name not in self._doubtful

    def of(self, name: str, stamp: Stamp | None) -> Kept | Failure | None:
        """What became of an image, if its file is still the same."""
        made = self._by_name[name] if self.has(name) else None
        return made if made is not None and stamp == _stamp(made) else None

    def why_not(self, name: str, stamp: Stamp | None) -> str:
        """Why nothing is known of an image, in a word or some."""
        made = self._by_name.get(name)
        if made is None:
            return NEW
        if isinstance(made, Failure) and made.stamp is None:
            return "failed before"
        return CHANGED if stamp != _stamp(made) else DOUBTFUL

    def recognised(self, image: Recognised) -> Kept:
        """The row of an image whose content is known."""
        kept = self.contents[image.sha256]
        return kept._replace(entry=kept.entry._replace(name=image.name, stamp=image.stamp))

    @cached_property
    def contents(self) -> Mapping[str, Kept]:
        """The rows by sha256 of the images' files; of several, the first."""
        return {kept.entry.sha256: kept for kept in reversed(self._rows)}

    @cached_property
    def sizes(self) -> Container[int]:
        """Of the images' files, in bytes."""
        return {kept.entry.stamp.size for kept in self._rows}

    @property
    def rows(self) -> Iterator[str]:
        """The images that have one."""
        return (kept.entry.name for kept in self._rows)

    def is_of(self, name: str, sha256: str) -> bool:
        """Whether the row of that name is of that content."""
        made = self._by_name.get(name)
        return isinstance(made, Kept) and made.entry.sha256 == sha256


def _stamp(made: Kept | Failure) -> Stamp | None:
    return made.entry.stamp if isinstance(made, Kept) else made.stamp


def _name(made: Kept | Failure) -> str:
    return made.entry.name if isinstance(made, Kept) else made.name
