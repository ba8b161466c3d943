"""Parts are computed: one run of the pipeline over all of them, its outcomes dealt to each.

The pipeline looks some images ahead, so the images of the next parts are read while the last ones
of a part are computed. Memory is that of the rows of one group, and of the names of some parts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Container, Generator, Iterable, Iterator
from contextlib import ExitStack, closing
from itertools import chain
from typing import TypeAlias

from vggfeat.dataset.earlier import Earlier
from vggfeat.dataset.folder import open_folder
from vggfeat.dataset.forms import form
from vggfeat.dataset.job import Job
from vggfeat.dataset.manifest import unseal
from vggfeat.dataset.part import SHOWN, Part, Record, record_of
from vggfeat.dataset.work import PartWork
from vggfeat.hidden import Hidden
from vggfeat.outcome import Failure, Outcome
from vggfeat.plan import refused
from vggfeat.sources import ImageRef
from vggfeat.sources.files import Skipped
from vggfeat.suspects import Suspects
from vggfeat.watcher import Watcher

Contents: TypeAlias = "Callable[[ImageRef], Container[str]]"
Compute: TypeAlias = (
    "Callable[[Iterable[ImageRef], Contents, Suspects], Generator[list[Outcome], None, None]]"
)


def compute_parts(
    parts: Iterable[Part],
    job: Job,
    compute: Compute,
    watcher: Watcher | None = None,
    suspects: Suspects | None = None,
    skipped: Skipped | None = None,
) -> Iterator[Record]:
    """Compute parts and have them in their folder; a record of each, not always in order.

    Rows that are there already of images that have not changed are kept. A part that this run has
    written before (a worker that has died since) is not computed again.

    Args:
        parts: taken as they are needed.
        job: what is to be made of them.
        compute: `pipeline.run` over some images: outcomes, one each, in their order. It is called
            once, with the first image that is to be computed, if there is one.
        watcher: told of images as they are done.
        suspects: images that may kill the process. The caller closes it.
        skipped: counts what units pass over.

    Raises:
        VggfeatError: it could not go on; parts that have a record are whole and stay. So they are
            when it is closed early.
    """
    with ExitStack() as opened:
        working = _Working(job, watcher or Watcher(), skipped or Skipped(), opened)
        unknown = working.unknown(parts)
        first = next(unknown, None)  # the engine is not loaded where there is none
        yield from working.finished()
        if first is not None:
            images = chain([first], unknown)
            batches = compute(images, working.contents, suspects or Suspects(None))
            opened.callback(batches.close)
            for outcomes in batches:
                working.deal(outcomes)
                yield from working.finished()
        yield from working.finished()
        working.check_all_dealt()


class _Working:
    """The parts between the first image that was handed out and the last outcome that came back."""

    def __init__(
        self,
        job: Job,
        watcher: Watcher,
        skipped: Skipped,
        opened: ExitStack,
    ) -> None:
        self._job = job
        self._watcher = watcher
        self._skipped = skipped
        self._is_sealed = True
        self._hidden = Hidden()
        self._folder = open_folder(job.output, job.shard)
        self._form = form(job.form)
        self._earlier = Earlier(self._folder, self._form, job)
        self._works: deque[PartWork] = deque()
        self._handed: deque[tuple[ImageRef, PartWork]] = deque()
        self._by_image: dict[int, PartWork] = {}
        self._records: list[Record] = []
        opened.callback(self._earlier.close)
        opened.callback(self._give_up)

    def contents(self, image: ImageRef) -> Container[str]:
        """sha256 of files that have a row which an image may take. For any thread."""
        return self._by_image[id(image)].around.contents

    def finished(self) -> Iterator[Record]:
        """The records since it was asked last."""
        records, self._records = self._records, []
        return iter(records)

    def unknown(self, parts: Iterable[Part]) -> Iterator[ImageRef]:
        """The images that are to be looked at, of one part after the other."""
        for part in parts:
            if record := self._done_before(part):
                self._records.append(record)
                continue
            work = PartWork(
                part, self._job, self._folder, self._form, self._earlier, self._unseal,
                self._hidden,
            )  # fmt: skip
            self._works.append(work)
            for image in part.unit.images(self._skipped):
                if work.look(image):
                    self._handed.append((image, work))
                    self._by_image[id(image)] = work
                    yield image
            work.listed = True
            self._finish(work)

    def deal(self, outcomes: Iterable[Outcome]) -> None:
        """Give outcomes to the parts that their images are of."""
        failures: list[Failure] = []
        for count, outcome in enumerate(outcomes, 1):  # noqa: B007
            image, work = self._handed.popleft()
            del self._by_image[id(image)]
            if isinstance(outcome, Failure):
                if self._job.strict:
                    raise refused(outcome)
                failures.append(outcome)
            work.take(outcome)
            self._finish(work)
        for failure in failures:
            self._watcher.failed(failure)
        self._watcher.advance(count)

    def check_all_dealt(self) -> None:
        if self._handed or self._works:
            raise AssertionError(f"{len(self._handed)} images have no outcome")

    def _finish(self, work: PartWork) -> None:
        if work.is_done:
            self._records.append(work.publish())
            self._works.remove(work)

    def _unseal(self) -> None:
        if self._is_sealed:
            unseal(self._folder, self._job)
            self._is_sealed = False

    def _done_before(self, part: Part) -> Record | None:
        made = self._form.made(self._folder, part.name, self._folder.size)
        if made is None or made.run != self._job.run:
            return None
        layers = (layer for layer, _ in self._job.layers)
        nbytes = self._form.nbytes(part.name, layers, self._folder.size)
        record = record_of(part, made, nbytes)._replace(written=True, computed=made.computed)
        if not made.failed:
            return record
        old = self._form.open(self._folder, part.number, self._folder.size)
        if old is None:
            return record
        with closing(old):
            return record._replace(failures=tuple(old.failures[:SHOWN]))

    def _give_up(self) -> None:
        for work in self._works:
            work.close()
