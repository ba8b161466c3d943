"""One run of `extract` into a dataset folder: units, weights, engine and folder put together."""

from __future__ import annotations

import hashlib
import os
import tempfile
import uuid
from collections.abc import Callable, Container, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from vggfeat.computation import Computation
from vggfeat.dataset.compute import compute_parts
from vggfeat.dataset.extraction import DatasetExtraction, engine_there
from vggfeat.dataset.folder import open_folder, place_of
from vggfeat.dataset.job import Job, most_images
from vggfeat.dataset.local_folder import LocalFolder
from vggfeat.dataset.lock import locked
from vggfeat.dataset.manifest import Manifest
from vggfeat.dataset.ours import check_ours, check_place
from vggfeat.dataset.part import Part, Record
from vggfeat.dataset.shard import ALL, Shard
from vggfeat.outcome import Outcome
from vggfeat.pace import Pace
from vggfeat.remote import is_address
from vggfeat.report import Report, Written
from vggfeat.sinks import RowType
from vggfeat.sinks.arrow import column_of
from vggfeat.sinks.part import writing
from vggfeat.sources import ImageRef
from vggfeat.sources.units import Units, open_units
from vggfeat.suspects import Suspects
from vggfeat.watcher import Watcher

if TYPE_CHECKING:
    from vggfeat.ray.cluster import Cluster


class Options(NamedTuple):
    """How a run over a dataset folder goes.

    Attributes:
        form: of the parts, `parquet` or `npy`.
        shard: the parts that are its own.
        ray: the address of a Ray cluster, `auto` to find or start one; None to compute here.
        fresh: compute all images.
        wait: where another run is writing the same parts, wait for its end.
        dry_run: only tell what would be done.
        strict: end at the first image that fails.
        nul_separated: paths on stdin end in NUL.
        column: of tables, that holds images or paths.
    """

    form: str
    shard: Shard = ALL
    ray: str | None = None
    fresh: bool = False
    wait: bool = False
    dry_run: bool = False
    strict: bool = False
    nul_separated: bool = False
    column: str | None = None


def extract(
    names: Sequence[str],
    output: str,
    rows: Sequence[RowType],
    load: Callable[[], Computation],
    options: Options,
    watcher: Watcher,
) -> Report:
    """Extract the features of images into parts.

    Args:
        names: what the user gave as inputs.
        output: the folder, with `/` at its end.
        rows: of each layer, as large as they may be.
        load: gives what is to be computed, when it is needed: it may fetch weights.
        options: how it goes.
        watcher: told how it goes.

    Raises as `run.extract` does.
    """
    target = place_of(output)
    folder = open_folder(target, options.shard)
    check_place(folder)
    check_ours(folder, options.form)
    with ExitStack() as held:
        if isinstance(folder, LocalFolder) and (folder.path.exists() or not options.dry_run):
            _make(folder, held)
            held.enter_context(
                locked(folder, options.shard, wait=options.wait, on_wait=watcher.note)
            )
        told = check_ours(folder, options.form)  # as it is when others have ended
        units = open_units(
            names, most_images(rows), nul_separated=options.nul_separated, column=options.column
        )
        loaded = load()
        cluster = None
        if options.ray is not None:
            from vggfeat.ray import connected

            cluster = held.enter_context(connected(options.ray, watcher.note))
        computation = _resolved(loaded, told, options, cluster)
        settings = computation.settings(options.form)
        job = Job(
            target, options.form, settings, uuid.uuid4().hex,
            options.shard, options.fresh, options.strict,
        )  # fmt: skip
        pace = Pace()
        versions = {"vggfeat": settings["vggfeat"], **settings["versions"]}
        run = DatasetExtraction(units, folder, job, told, watcher, versions, pace)
        if options.dry_run:
            report = run.foresee()
        elif cluster is not None:
            run.start()
            report = run.carry_out(
                lambda parts: cluster.extract_parts(parts, job, computation, watcher, names=names)
            )
        else:
            report = run.carry_out(
                _Here(job, computation, loaded.engine, run, pace, units, watcher)
            )
        return report._replace(output=output, layers=_written(job), dtype=settings["dtype"])


def _resolved(
    loaded: Computation, told: Manifest | None, options: Options, cluster: Cluster | None
) -> Computation:
    """By a certain engine: that of the rows that are there, else the best where it is to run."""
    before = None
    if loaded.engine == "auto" and not options.fresh:
        before = engine_there(told, loaded.settings(options.form))
    if cluster is not None:
        loaded = replace(loaded, engine=cluster.engine(loaded.engine, loaded.precision, before))
    return loaded.resolved(before)


@dataclass(frozen=True)
class _Here:
    """Computes parts in this process."""

    job: Job
    computation: Computation
    asked: str  # the engine
    run: DatasetExtraction
    pace: Pace
    units: Units
    watcher: Watcher

    def __call__(self, parts: Iterable[Part]) -> Iterator[Record]:
        suspects = Suspects(_suspects_at(self.job))
        decided = False
        try:
            yield from compute_parts(
                parts, self.job, self.compute, self.watcher, suspects, self.units.skipped
            )
            decided = True
        finally:
            suspects.close(decided=decided)

    def compute(
        self,
        images: Iterable[ImageRef],
        contents: Callable[[ImageRef], Container[str]],
        suspects: Suspects,
    ) -> Generator[list[Outcome], None, None]:
        engine = self.computation.create(self.watcher.note, self.asked)
        self.run.start()
        for outcomes in self.computation.run_on(engine, images, contents, suspects, self.pace):
            self.watcher.limited(self.pace.limit)
            yield outcomes


def _suspects_at(job: Job) -> Path:
    """In the folder, or in that for temporary files, of the output's name."""
    name = f".{job.shard}.decoding"
    if not is_address(job.output):
        return Path(job.output, name)
    user = getattr(os, "getuid", lambda: 0)()
    digest = hashlib.sha256(job.output.encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir(), f"vggfeat-{user}-{digest}{name}")


def _written(job: Job) -> tuple[Written, ...]:
    return tuple(Written(layer, column_of(layer), kind.shape) for layer, kind in job.layers)


def _make(folder: LocalFolder, held: ExitStack) -> None:
    """Make a folder, which goes again at the end if it is empty. Raises VggfeatError."""
    with writing(folder.path):
        try:
            folder.path.mkdir()
        except FileExistsError:
            return

    def unmake() -> None:
        with suppress(OSError):  # there is something in it now
            folder.path.rmdir()

    held.callback(unmake)
