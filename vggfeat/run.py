"""One run of `extract`: sources, weights, engine and sink put together."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from datetime import datetime, timezone
from itertools import chain
from pathlib import Path

from vggfeat import engines, pipeline, sinks
from vggfeat.errors import VggfeatError
from vggfeat.outcome import Failure, Outcome, Row, Stamp
from vggfeat.plan import AS_GOOD, MOVED, Plan, refused
from vggfeat.preprocess import RESIZE, Preprocessing
from vggfeat.report import Report
from vggfeat.settings import settings
from vggfeat.sinks.files import FileSink
from vggfeat.sinks.index import Entry
from vggfeat.sinks.known import Kept
from vggfeat.sinks.lock import OutputLock
from vggfeat.sinks.stdout import StdoutSink
from vggfeat.sinks.strangers import check_free
from vggfeat.sources import ImageRef, Inputs, open_inputs
from vggfeat.sources.unreachable import check_reachable
from vggfeat.suspects import Suspects
from vggfeat.watcher import Watcher
from vggfeat.weights import Weights, chosen_for

Compute = Callable[[Iterable[ImageRef], Suspects], Iterator[list[Outcome]]]


def extract(
    inputs: Sequence[str | os.PathLike[str]] | str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    weights: str | os.PathLike[str] | Weights | None = None,
    layer: str = "fc7",
    engine: str = "auto",
    batch_size: int | None = None,
    workers: int | None = None,
    resize: int = RESIZE,
    fast_decode: bool = False,
    form: str | None = None,
    fresh: bool = False,
    wait: bool = False,
    dry_run: bool = False,
    strict: bool = False,
    nul_separated: bool = False,
    watcher: Watcher | None = None,
) -> Report:
    """Extract the features of images into a file, as the command `vggfeat extract` does.

    What an earlier run has made of unchanged images, under the same settings, is kept.

    Args:
        inputs: files and folders, one or several; `-` for a list of paths on stdin.
        output: the file to write, `-` for stdout.
        weights: a name in the store, a file of any known form, or `Weights`; None for the
            default.
        layer: `fc7`, `fc6` or `pool5`, each after its ReLU.
        engine: `auto`, `ncnn` or `tensorflow`.
        batch_size: images computed at once; None for what serves the engine best. It changes
            speed and memory, not the vectors.
        workers: threads that decode; None for as many as there are processors to use.
        resize: length of the smaller side before the central 224x224 is cut out, in pixels.
        fast_decode: shrink large JPEGs while they are decoded, which moves their pixels a little.
        form: `npy` or `csv`; None to go by the output's name.
        fresh: compute all images, whatever earlier runs have made.
        wait: where another run is writing the output, wait for its end.
        dry_run: tell the watcher what would be done, and do nothing.
        strict: end at the first image that fails, without an output.
        nul_separated: paths on stdin end in NUL, not in a newline.
        watcher: told how it goes.

    Raises:
        OutputBusyError: another run is writing the output.
        VggfeatError: it could not run. An image that fails is counted in the report instead.
    """
    watcher = watcher or Watcher()
    names = [inputs] if isinstance(inputs, (str, os.PathLike)) else inputs
    pipeline.check_counts(batch_size, workers)
    preprocessing = Preprocessing(resize, fast_decode)
    target = Path(os.path.realpath(output)) if os.fspath(output) != sinks.STDOUT else None
    form = sinks.form_of(os.fspath(output), form)
    if target is not None:
        check_free(target, form)
    with OutputLock(target, wait=wait, on_wait=watcher.note) if target else nullcontext():
        if target is not None:  # as it is when others have ended
            check_free(target, form)
        images = open_inputs([os.fspath(name) for name in names], nul_separated=nul_separated)
        if images.total == 0:
            raise _no_images(images)
        chosen = chosen_for(watcher, weights)
        computing = engines.resolve(engine, chosen, layer)
        made = settings(form, layer, preprocessing, computing, chosen)
        sink: sinks.Sink = (
            FileSink(target, made, fresh=fresh, on_note=watcher.note)
            if target
            else StdoutSink(sinks.form(form), tuple(made["shape"]))
        )

        def compute(unknown: Iterable[ImageRef], suspects: Suspects) -> Iterator[list[Outcome]]:
            built = engines.create(computing, chosen, layer)
            if engine == "auto" and not engines.is_best(computing):
                watcher.note("ncnn, the faster engine for CPUs, is not installed: pip install ncnn")
            return pipeline.run(
                unknown, preprocessing, built, batch_size, workers, sink.contents, suspects
            )

        versions = {"vggfeat": made["vggfeat"], **made["versions"]}
        run = _Run(images, sink, watcher, versions, strict=strict)
        report = run.foresee() if dry_run else run.carry_out(compute, target)
        return report._replace(output=os.fspath(output), shape=tuple(made["shape"]))


class _Run:
    """From the images to what is published."""

    def __init__(
        self,
        images: Inputs,
        sink: sinks.Sink,
        watcher: Watcher,
        versions: dict[str, str],
        *,
        strict: bool,
    ) -> None:
        self._images = images
        self._sink = sink
        self._watcher = watcher
        self._versions = versions
        self._strict = strict
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
                check_reachable(self._plan.lost())
            first = next(unknown, None)
            batches = compute(chain([first], unknown), suspects) if first is not None else iter(())
            self._watcher.start(total)
            began = time.monotonic()
            done = self._plan.merged(self._write(batches))
            if not done:
                raise _no_images(self._images)
            if self._images.taken != len(done):
                raise AssertionError(f"{len(done)} outcomes of {self._images.taken} images")
            check_reachable(self._plan.lost(done))
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
            check_reachable(self._plan.lost())
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
            shape=(),
            seconds=seconds,
            skipped=str(self._images.skipped),
        )


def _no_images(images: Inputs) -> VggfeatError:
    skipped = f" (skipped: {images.skipped})" if str(images.skipped) else ""
    return VggfeatError(f"no images in {', '.join(images.names)}{skipped}")
