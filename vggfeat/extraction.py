"""From the images of a run to what is published."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timezone
from itertools import chain
from pathlib import Path

from vggfeat import sinks
from vggfeat.errors import VggfeatError
from vggfeat.outcome import Failure, Outcome, Row, Stamp
from vggfeat.pace import Pace
from vggfeat.plan import AS_GOOD, MOVED, Plan, refused
from vggfeat.report import Report
from vggfeat.sinks.index import Entry
from vggfeat.sinks.known import Kept
from vggfeat.sources import ImageRef, Inputs
from vggfeat.sources.units import Units
from vggfeat.suspects import Suspects
from vggfeat.watcher import Watcher

Compute = Callable[[Iterable[ImageRef], Suspects], Iterator[list[Outcome]]]


class Extraction:
    """What is known, what is to be computed, and what comes of it.

    Args:
        images: all inputs, in order.
        sink: where rows go, and what it knows of earlier runs.
        watcher: told how it goes.
        versions: of the programs that take part.
        strict: end at the first image that fails.
        pace: of what computes; None where nobody measures it.
    """

    def __init__(
        self,
        images: Inputs,
        sink: sinks.Sink,
        watcher: Watcher,
        versions: dict[str, str],
        *,
        strict: bool,
        pace: Pace | None = None,
    ) -> None:
        self._images = images
        self._sink = sink
        self._watcher = watcher
        self._versions = versions
        self._strict = strict
        self._pace = pace or Pace()
        self._plan = Plan(sink.known, strict=strict)
        self._computed = 0

    def carry_out(self, compute: Compute, target: Path | None) -> Report:
        started = datetime.now(timezone.utc)
        suspects = Suspects(target and target.with_name(f".{target.name}.decoding"))
        decided = False
        try:
            unknown = self._plan.unknown(self._images)
            total = None
            if self._images.total is not None:  # then what is to do can be counted beforehand
                unknown = iter(listed := list(unknown))
                total = len(listed)
                self._plan.check_none_hidden()
            first = next(unknown, None)
            batches = compute(chain([first], unknown), suspects) if first is not None else iter(())
            self._watcher.start(total)
            began = time.monotonic()
            done = self._plan.merged(self._write(batches))
            if not done:
                raise no_images(self._images)
            if self._images.taken != len(done):
                raise AssertionError(f"{len(done)} outcomes of {self._images.taken} images")
            self._plan.check_none_hidden(done)
            report = self._report(done, time.monotonic() - began)
            runs = self._sink.before.about.get("runs", []) if self._sink.before else []
            self._sink.publish(done, report.about(started, self._versions, runs))
            decided = True
            return report
        except BaseException:
            if kept := self._sink.keep():
                self._watcher.note(kept)
            raise
        finally:
            suspects.close(decided=decided)
            self._watcher.stop()

    def _write(self, batches: Iterable[list[Outcome]]) -> list[Kept | Failure]:
        """Drain the pipeline into the sink."""
        done: list[Kept | Failure] = []
        for outcomes in batches:
            failures = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
            if failures and self._strict:
                raise refused(failures[0])
            done += self._sink.write(outcomes)
            for failure in failures:
                self._watcher.failed(failure)
            self._computed += sum(isinstance(outcome, Row) for outcome in outcomes)
            self._watcher.limited(self._pace.limit)
            self._watcher.advance(len(outcomes))
        return done

    def foresee(self) -> Report:
        """Tell the watcher what `carry_out` would do; images that may fail count as rows."""
        reasons: Counter[str] = Counter()
        looked_at: list[Kept | Failure] = []
        try:
            for image in self._plan.unknown(self._images):
                why = self._plan.why(image)
                self._watcher.foreseen(image.name, why)
                reasons[why] += 1
                looked_at.append(Kept(Entry(image.name, Stamp(0, 0), "", ""), True, -1))
            self._plan.check_none_hidden()
        finally:
            self._sink.keep()
        gone = self._gone()
        for entry in gone:
            self._watcher.foreseen(entry.name, "gone")
        self._computed = reasons.total() - sum(reasons[why] for why in AS_GOOD)
        report = self._report(self._plan.merged(looked_at), 0.0)
        return report._replace(dropped=max(len(gone) - reasons[MOVED], 0))

    def _gone(self) -> list[Entry]:
        """The rows that are there of images that are not among the inputs."""
        before = self._sink.before.entries if self._sink.before else []
        names = set(self._plan.gone(entry.name for entry in before))
        return [entry for entry in before if entry.name in names]

    def _report(self, done: Sequence[Kept | Failure], seconds: float) -> Report:
        rows = [item for item in done if isinstance(item, Kept)]
        contents = {kept.entry.sha256 for kept in rows}
        return Report(
            output="",
            rows=len(rows),
            failed=len(done) - len(rows),
            computed=self._computed,
            resumed=sum(not kept.published and kept.row < self._sink.resumed for kept in rows),
            dropped=sum(entry.sha256 not in contents for entry in self._gone()),
            layers=(),
            dtype="",
            seconds=seconds,
            skipped=str(self._images.skipped),
            pace=self._pace.told(),
        )


def no_images(images: Inputs | Units) -> VggfeatError:
    """What ends a run that finds none."""
    skipped = f" (skipped: {images.skipped})" if str(images.skipped) else ""
    return VggfeatError(f"no images in {', '.join(images.names)}{skipped}")
