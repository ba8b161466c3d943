"""One part under work: what has become of its images so far, and its rows in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from typing import TypeAlias

import numpy as np

from vggfeat import outcome as outcomes
from vggfeat.dataset.earlier import Earlier, Row
from vggfeat.dataset.folder import Folder
from vggfeat.dataset.forms import GROUP_BYTES, PartForm, PartWriter
from vggfeat.dataset.job import Job
from vggfeat.dataset.part import SHOWN, Made, Part, Record
from vggfeat.hidden import Hidden
from vggfeat.outcome import Failure, Numbers, Outcome
from vggfeat.plan import refused
from vggfeat.sinks.index import Entry
from vggfeat.sources import ImageRef
from vggfeat.sources.unreachable import check_reachable

_Place: TypeAlias = "Row | outcomes.Row | Failure | None"  # None until its outcome is there


class PartWork:
    """A part under work.

    As long as its rows come as they are in its old file, nothing is written; if they do to the
    end, the file stays.

    Args:
        unseal: called before it is replaced.
        hidden: what cannot be read, of the parts so far.

    Attributes:
        around: what is known of its images.
        listed: whether all its images have been looked at. To be set.
    """

    def __init__(
        self,
        part: Part,
        job: Job,
        folder: Folder,
        form: PartForm,
        earlier: Earlier,
        unseal: Callable[[], None],
        hidden: Hidden,
    ) -> None:
        self.listed = False
        self._part = part
        self._job = job
        self._folder = folder
        self._form = form
        self._unseal = unseal
        self._hidden = hidden
        self._opened = ExitStack()
        self.around = self._opened.enter_context(earlier.around(part.number))
        self._places: deque[_Place] = deque()
        self._waiting = 0  # images without an outcome
        self._names: set[str] = set()
        self._images = 0
        self._failures: list[Failure] = []
        self._failed_now: list[Failure] = []
        self._rows = self._computed = self._replaced = 0
        self._same = 0  # rows, from the first on, that are where they were
        self._writer: PartWriter | None = None
        self._group: list[tuple[Entry, tuple[Numbers, ...]]] = []
        self._layers = [layer for layer, _ in job.layers]
        nbytes = sum(kind.nbytes for _, kind in job.layers)
        self._group_rows = max(1, GROUP_BYTES // nbytes)

    def look(self, image: ImageRef) -> bool:
        """Take the next image; whether it is to be looked at, and its outcome to be given."""
        found = self.around.of(image)
        if self._job.strict and isinstance(found, Failure):
            raise refused(found)
        self._images += 1
        self._names.add(image.name)
        self._hidden.look(image, self._names)
        self._places.append(found)
        self._waiting += found is None
        self._advance()
        return found is None

    def take(self, outcome: Outcome) -> None:
        """Take the outcome of the first image that has none yet."""
        self._places[0] = (
            self.around.recognised(outcome) if isinstance(outcome, outcomes.Recognised) else outcome
        )
        self._waiting -= 1
        if isinstance(outcome, outcomes.Row):
            self._computed += 1
            self._replaced += self.around.had_row(outcome.name)
        elif isinstance(outcome, Failure):
            self._failed_now.append(outcome)
        self._advance()

    @property
    def is_done(self) -> bool:
        return self.listed and not self._waiting

    def publish(self) -> Record:
        """Have the part in its folder, as it is to be. Raises VggfeatError."""
        if self._images != self._rows + len(self._failures):
            raise AssertionError(
                f"{self._rows} rows and {len(self._failures)} failures of {self._images} images"
            )
        own, part = self.around.own, self._part
        if own is not None and not self._job.fresh:
            had = {entry.name for entry in own.entries}
            lost = had - self._names
            check_reachable(lost | {it.name for it in self._failed_now if it.name in had})
            self._hidden.check(lost)
        failed, passing = len(self._failures), sum(it.stamp is None for it in self._failures)
        made = Made(
            self._job.settings, self._job.run, part.unit.name, part.digest, part.began_ns,
            self._rows, failed, passing, self._computed,
        )  # fmt: skip
        if own is not None and (unchanged := self._is_unchanged()):
            made = own.made
            nbytes = self._form.nbytes(part.name, self._layers, self._folder.size)
        else:
            unchanged = False
            writer = self._written()
            self._write_group(writer)
            self._unseal()
            nbytes = writer.publish(made, self._failures)
        self.close()
        return Record(
            part.number, self._rows, failed, passing, nbytes, part.digest,
            made.began_ns, part.began_ns, not unchanged, self._computed, self._replaced,
            len(own.entries) if own else 0, tuple(self._failed_now[:SHOWN]),
        )  # fmt: skip

    def close(self) -> None:
        """Let go of all, and of what was not published."""
        self._opened.close()

    def _advance(self) -> None:
        """Take up the rows and failures before the first image without an outcome."""
        while self._places and (place := self._places[0]) is not None:
            self._places.popleft()
            if isinstance(place, Failure):
                self._failures.append(place)
                continue
            if not self._is_where_it_was(place):
                self._add(place)
            self._rows += 1

    def _is_where_it_was(self, place: Row | outcomes.Row) -> bool:
        """Whether the next row of the old file is of that image, wherever it was found."""
        own = self.around.own
        if own is None or self._writer is not None or not isinstance(place, Row):
            return False
        if self._same == len(own.entries):
            return False
        there, found = own.entries[self._same], place.kept.entry
        same = found._replace(crc32=there.crc32) == there
        self._same += same
        return same

    def _add(self, place: Row | outcomes.Row) -> None:
        writer = self._written()
        if isinstance(place, Row):
            added = place.kept.entry, place.old.features(place.kept.row)
        else:
            added = Entry(place.name, place.stamp, place.sha256, ""), place.features
        self._group.append(added)
        if len(self._group) == self._group_rows:
            self._write_group(writer)

    def _written(self) -> PartWriter:
        """What the part is written to, from its first row on."""
        if self._writer is None:
            begun = self._form.write(self._folder, self._part.name, self._job.layers)
            self._writer = writer = self._opened.enter_context(begun)
            if own := self.around.own:
                for row, entry in enumerate(own.entries[: self._same]):
                    self._group.append((entry, own.features(row)))
                    if len(self._group) == self._group_rows:
                        self._write_group(writer)
        return self._writer

    def _write_group(self, writer: PartWriter) -> None:
        if self._group:
            entries, rows = zip(*self._group, strict=True)
            self._group = []
            features = [
                np.stack([numbers.reshape(-1) for numbers in layer])
                for layer in zip(*rows, strict=True)
            ]
            writer.add(entries, features)

    def _is_unchanged(self) -> bool:
        own = self.around.own
        return (
            own is not None
            and self._writer is None
            and self._same == len(own.entries)
            and self._failures == own.failures
            and len(self._failures) == own.made.failed
            and own.made.digest == self._part.digest
            and (not self._failures or self._job.failures_count(own.made))
        )
