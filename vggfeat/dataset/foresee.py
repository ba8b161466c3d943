"""What a run would do: told image by image, and not done."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from typing import NamedTuple

from vggfeat.dataset.earlier import Earlier
from vggfeat.dataset.folder import Folder
from vggfeat.dataset.forms import PartForm, form
from vggfeat.dataset.job import Job
from vggfeat.dataset.survey import Survey
from vggfeat.hidden import Hidden
from vggfeat.outcome import Failure
from vggfeat.plan import AS_GOOD, why
from vggfeat.sources.units import Units
from vggfeat.sources.unreachable import check_reachable
from vggfeat.watcher import Watcher


class Foreseen(NamedTuple):
    """What would be done about the parts that are not up to date.

    Attributes:
        rows: that they would have; images that may fail count.
        failed: images that would fail again.
        to_compute: rows that are nowhere yet.
        gone: how many rows would go.
    """

    rows: int
    failed: int
    to_compute: int
    gone: int


def foresee(units: Units, survey: Survey, folder: Folder, job: Job, watcher: Watcher) -> Foreseen:
    """Tell the watcher of each image that would be looked at, and of each whose row would go.

    Raises:
        VggfeatError: rows would go of images that have merely got out of sight.
    """
    parts = form(job.form)
    reasons: Counter[str] = Counter()
    names: Counter[str] = Counter()
    had: dict[str, None] = {}
    hidden = Hidden()
    failed = 0
    with closing(Earlier(folder, parts, job)) as earlier:
        for part in survey.to_do(units.units):
            with earlier.around(part.number) as around:
                if around.own is not None:
                    had |= dict.fromkeys(entry.name for entry in around.own.entries)
                for image in part.unit.images(units.skipped):
                    names[image.name] += 1
                    hidden.look(image, names)
                    found = around.of(image)
                    failed += isinstance(found, Failure)
                    if found is None:
                        reasons[reason := why(image, around)] += 1
                        watcher.foreseen(image.name, reason)
    for number in survey.beyond():
        had |= dict.fromkeys(names_in(number, folder, parts, job))
    gone = [name for name in had if name not in names]
    if not job.fresh:
        check_reachable(gone)
        hidden.check(gone)
    for name in gone:
        watcher.foreseen(name, "gone")
    to_compute = reasons.total() - sum(reasons[reason] for reason in AS_GOOD)
    return Foreseen(names.total() - failed, failed, to_compute, len(gone))


def names_in(number: int, folder: Folder, parts: PartForm, job: Job) -> list[str]:
    """Of the images that have rows in a part, if they count."""
    old = parts.open(folder, number, folder.size)
    if old is None:
        return []
    with closing(old):
        return [entry.name for entry in old.entries] if job.counts(old.made) else []
