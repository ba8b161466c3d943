"""From the units of a run to a folder of parts that is sealed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timezone
from typing import Any

from vggfeat.dataset.folder import Folder
from vggfeat.dataset.foresee import foresee, names_in
from vggfeat.dataset.forms import FAILED, form
from vggfeat.dataset.job import Job
from vggfeat.dataset.manifest import Manifest, seal, unseal
from vggfeat.dataset.ours import check_part
from vggfeat.dataset.part import Part, Record, part_name
from vggfeat.dataset.survey import Survey
from vggfeat.extraction import no_images
from vggfeat.pace import Pace
from vggfeat.report import Report
from vggfeat.settings import difference
from vggfeat.sources.units import Units
from vggfeat.sources.unreachable import check_reachable
from vggfeat.watcher import Watcher

ComputeParts = Callable[[Iterable[Part]], Iterator[Record]]


class DatasetExtraction:
    """What is to be done about each part, and what comes of it.

    Args:
        units: of all parts, those of other shards too.
        folder: where the parts are to be.
        job: what is to be made.
        told: what is told of the folder before.
        watcher: told how it goes.
        versions: of the programs that take part.
        pace: of what computes.
    """

    def __init__(
        self,
        units: Units,
        folder: Folder,
        job: Job,
        told: Manifest | None,
        watcher: Watcher,
        versions: dict[str, str],
        pace: Pace,
    ) -> None:
        self._units = units
        self._folder = folder
        self._job = job
        self._form = form(job.form)
        self._told = told
        self._watcher = watcher
        self._versions = versions
        self._pace = pace
        self._survey = Survey(folder, job, told, watcher.note)
        self._records: dict[int, Record] = {}
        self._began: float | None = None
        self._had = 0  # rows that were there, and counted
        if told and not job.fresh and (why := difference(told.about, job.settings)):
            watcher.note(f"all is computed anew: {why}")

    def carry_out(self, compute_parts: ComputeParts) -> Report:
        """Have all parts in the folder.

        Args:
            compute_parts: as `compute.compute_parts`, a record of each part.

        Raises:
            VggfeatError: it could not be done. Parts that are done stay.
        """
        started = datetime.now(timezone.utc)
        try:
            for record in compute_parts(self._survey.to_do(self._units.units)):
                self._records[record.number] = record
            seconds = 0.0 if self._began is None else time.monotonic() - self._began
            self._records |= {record.number: record for record in self._survey.done}
            self._check_all_there()
            removed = self._remove_beyond()
            self._remove_stale_failures()
            report = self._report(seconds)
            return self._seal(report, started, removed)
        except BaseException:
            if written := sum(record.written for record in self._records.values()):
                parts = "1 part is" if written == 1 else f"{written:,} parts are"
                self._watcher.note(f"{parts} done and kept, the next run goes on")
            raise
        finally:
            self._watcher.stop()

    def foresee(self) -> Report:
        """Tell the watcher what `carry_out` would do; images that may fail count as rows."""
        foreseen = foresee(self._units, self._survey, self._folder, self._job, self._watcher)
        if not self._survey.digests:
            raise no_images(self._units)
        done = self._survey.done
        return self._told_of(
            foreseen.rows + sum(record.rows for record in done),
            foreseen.failed + sum(record.failed for record in done),
            foreseen.to_compute, foreseen.gone, 0.0,
        )  # fmt: skip

    def start(self, total: int | None = None) -> None:
        """The first image is about to be read. To be called by what computes."""
        self._began = time.monotonic()
        self._watcher.start(total)

    def _check_all_there(self) -> None:
        shard = self._job.shard
        numbers = [n for n in range(len(self._survey.digests)) if shard.has(n)]
        if sorted(self._records) != numbers:
            raise AssertionError(f"{len(self._records)} records of {len(numbers)} parts")
        images = sum(record.images for record in self._records.values())
        if not self._survey.digests or (shard.is_all and not images):
            raise no_images(self._units)

    def _remove_beyond(self) -> bool:
        """Remove parts behind the last one, where their images are gone for good."""
        beyond = self._survey.beyond()
        for number in beyond:
            check_part(self._folder, self._job.form, number)
            names = names_in(number, self._folder, self._form, self._job)
            self._had += len(names)
            if not self._job.fresh:
                check_reachable(names)
        if beyond:
            unseal(self._folder, self._job)
            there = [name for name in self._survey.sizes if self._form.number(name) in beyond]
            for name in sorted(there, key=lambda name: not name.endswith(self._form.TELLS)):
                self._folder.remove(name)
        return bool(beyond)

    def _remove_stale_failures(self) -> None:
        """A kill may have left them behind a part that has none."""
        for record in self._records.values():
            name = f"{FAILED}/{part_name(record.number)}.{self._job.form}"
            if not record.failed and not record.written and name in self._survey.sizes:
                self._folder.remove(name)

    def _report(self, seconds: float) -> Report:
        records = self._records.values()
        rows, computed, replaced, had = (
            sum(getattr(record, what) for record in records)
            for what in ("rows", "computed", "replaced", "had")
        )
        dropped = max(self._had + had - (rows - computed) - replaced, 0)
        return self._told_of(
            rows, sum(record.failed for record in records), computed, dropped, seconds
        )

    def _told_of(
        self, rows: int, failed: int, computed: int, dropped: int, seconds: float
    ) -> Report:
        own = sum(map(self._job.shard.has, range(len(self._survey.digests))))
        return Report(
            output="", rows=rows, failed=failed, computed=computed, resumed=0, dropped=dropped,
            layers=(), dtype="", seconds=seconds, skipped=str(self._units.skipped),
            pace=self._pace.told(), parts=len(self._survey.digests), own_parts=own,
        )  # fmt: skip

    def _seal(self, report: Report, started: datetime, removed: bool) -> Report:
        """Write the manifest, if this process has the last parts."""
        others = self._survey.others()
        if others is None:
            return report._replace(awaits_others=True)
        changed = removed or any(record.written for record in self._records.values())
        is_whole = self._told is not None and self._told.is_whole
        if self._job.shard.is_all or changed or not is_whole:
            runs = self._told.runs if self._told else []
            about = report.about(started, self._versions, runs)
            records = {record.number: record for record in others} | self._records
            seal(self._folder, self._job, (records[number] for number in sorted(records)), about)
        return report


def engine_there(told: Manifest | None, asked: dict[str, Any]) -> str | None:
    """The engine by which rows can be kept that are there; None if none can be.

    Args:
        asked: the settings of a run, whatever its engine.
    """
    made = told.about if told else {}
    engine = made.get("engine")
    if engine and difference(made, {**asked, "engine": engine}) is None:
        return str(engine)
    return None
