"""What earlier runs have made of the images of a part: in its old file, and in those around it.

An image that is new or gone moves all that follow it, by some places or some parts. So rows are
looked for in the parts around, also in those that have been replaced since, which stay open for a
while.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from vggfeat.dataset.folder import Folder
from vggfeat.dataset.forms import Old, PartForm
from vggfeat.dataset.job import Job
from vggfeat.outcome import Failure, Recognised, Stamp
from vggfeat.sinks.known import NEW, Kept, Known
from vggfeat.sources import ImageRef

_HELD = 8  # parts


class Row(NamedTuple):
    """A row that is there already.

    Attributes:
        old: the part that has it.
        kept: its number there, and what is told of it now.
    """

    old: Old
    kept: Kept


class Earlier:
    """Old parts, as far as they count, opened as they are asked for."""

    def __init__(self, folder: Folder, form: PartForm, job: Job) -> None:
        self._folder = folder
        self._form = form
        self._job = job
        self._held: dict[int, _Held | None] = {}

    @contextmanager
    def around(self, number: int) -> Iterator[Around]:
        """What is known for the part of that number, which stays open within the block."""
        before = [self._held.get(near) for near in range(number - 2, number - _HELD - 1, -1)]
        near = [self.held(near) for near in (number, number - 1)]
        around = Around(self, number, [found for found in (*near, *before) if found])
        try:
            yield around
        finally:
            around.let_go()
            self._close_far_from(number)

    def held(self, number: int) -> _Held | None:
        """The part of that number as it was when it was asked for first; None if none counts."""
        if number not in self._held:
            self._held[number] = self._open(number) if number >= 0 else None
        return self._held[number]

    def close(self) -> None:
        """Let go of all."""
        for found in self._held.values():
            if found is not None:
                found.old.close()
        self._held.clear()

    def _open(self, number: int) -> _Held | None:
        old = self._form.open(self._folder, number, self._folder.size)
        if old is None or not self._job.counts(old.made):
            if old is not None:
                old.close()
            return None
        known = Known()
        failures = old.failures if self._job.failures_count(old.made) else []
        known.add(old.entries, failures, old.made.began_ns, published=True)
        return _Held(old, known)

    def _close_far_from(self, number: int) -> None:
        for other, found in list(self._held.items()):
            if abs(other - number) > _HELD and not (found and found.users):
                del self._held[other]
                if found is not None:
                    found.old.close()


class _Held:
    def __init__(self, old: Old, known: Known) -> None:
        self.old = old
        self.known = known
        self.names = {entry.name for entry in old.entries}
        self.users = 0


class Around:
    """What is known for one part, the nearest first.

    Attributes:
        own: the part as it is there, if it counts.
        contents: sha256 of all files whose rows are there.
    """

    def __init__(self, earlier: Earlier, number: int, held: list[_Held]) -> None:
        self._earlier = earlier
        self._ahead = iter(range(number + 1, number + _HELD + 1))
        self._held: list[_Held] = []
        self.own = next((found.old for found in held if found.old.number == number), None)
        self.contents: Container[str] = _Contents(self._held)
        for found in held:
            self._hold(found)

    def of(self, image: ImageRef) -> Row | Failure | None:
        """What became of an image, if its file is still the same."""
        asked, stamp = False, None
        for old, known in self._known(ahead=True):
            if known.has(image.name):
                if not asked:  # where storage is far away, it takes as long as a small file
                    asked, stamp = True, image.stamp()
                made = known.of(image.name, stamp)
                if made is not None:
                    return Row(old, made) if isinstance(made, Kept) else made
        return None

    def recognised(self, image: Recognised) -> Row:
        """The row of an image whose content is known."""
        old, known = next(it for it in self._known() if image.sha256 in it[1].contents)
        return Row(old, known.recognised(image))

    def had_row(self, name: str) -> bool:
        """Whether the image of that name has one, for this content or another."""
        return any(name in found.names for found in self._held)

    def why_not(self, name: str, stamp: Stamp | None) -> str:
        """Why nothing is known of an image, in a word or some."""
        reasons = [known.why_not(name, stamp) for _, known in self._known()]
        return next((why for why in reasons if why != NEW), NEW)

    def is_of(self, name: str, sha256: str) -> bool:
        """Whether a row of that name is of that content."""
        return any(known.is_of(name, sha256) for _, known in self._known())

    @property
    def sizes(self) -> Container[int]:
        """Of the files whose rows are there, in bytes."""
        return _Sizes(self._held)

    def let_go(self) -> None:
        """Need the parts no more."""
        for found in self._held:
            found.users -= 1
            if not found.users:
                found.old.rest()
        self._held.clear()

    def _known(self, *, ahead: bool = False) -> Iterator[tuple[Old, Known]]:
        """Those behind are opened when nothing is known of an image otherwise."""
        for held in self._held:
            yield held.old, held.known
        for number in self._ahead if ahead else ():
            if (found := self._earlier.held(number)) is not None:
                self._hold(found)
                yield found.old, found.known

    def _hold(self, found: _Held) -> None:
        found.users += 1
        self._held.append(found)


class _Sizes:
    """Of the files whose rows are there."""

    def __init__(self, held: list[_Held]) -> None:
        self._held = held

    def __contains__(self, size: object) -> bool:
        return any(size in found.known.sizes for found in self._held)


class _Contents:
    """sha256 of all files whose rows are there."""

    def __init__(self, held: list[_Held]) -> None:
        self._held = held

    def __contains__(self, sha256: object) -> bool:
        return any(sha256 in found.known.contents for found in self._held)
