"""One run of `extract` into a file and its companions: sources, engine and sink put together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from vggfeat import sinks
from vggfeat.claimed import claimed
from vggfeat.computation import Computation
from vggfeat.errors import UsageError
from vggfeat.extraction import Extraction, no_images
from vggfeat.outcome import Outcome
from vggfeat.pace import Pace
from vggfeat.report import Report, Written
from vggfeat.sinks.earlier import engine_of
from vggfeat.sinks.files import FileSink
from vggfeat.sinks.stdout import StdoutSink
from vggfeat.sinks.vectors import file_names
from vggfeat.sources import ImageRef, open_inputs
from vggfeat.suspects import Suspects
from vggfeat.watcher import Watcher


def into_file(
    names: Sequence[str],
    output: str,
    layers: Sequence[str],
    load: Callable[[], Computation],
    watcher: Watcher,
    *,
    form: str,
    fresh: bool,
    wait: bool,
    dry_run: bool,
    strict: bool,
    nul_separated: bool,
    column: str | None,
) -> Report:
    """A run whose output is a file, here or at an address, or stdout.

    Args:
        names: what the user gave as inputs.
        output: a path, an address, or `-`.
        layers: as `--layer` takes them.
        load: gives what is to be computed, when it is needed: it may fetch weights.
        watcher: told how it goes.
        form: the name of the form in which.

    The others, and what it raises, are as of `run.extract`.
    """
    target: Path | None = None
    note: Callable[[str], None] = watcher.note
    with ExitStack() as held:
        if output != sinks.STDOUT:
            claim = claimed(output, form, layers, wait=wait, note=note, put=not dry_run)
            target, note = held.enter_context(claim)
        elif len(layers) > 1:
            raise UsageError("several layers are several files: give -o a name, not stdout")
        images = open_inputs(names, nul_separated=nul_separated, column=column)
        if images.total == 0:
            raise no_images(images)
        loaded = load()
        before = None
        if loaded.engine == "auto" and target is not None and not fresh:
            before = engine_of(target, loaded.settings(form))
        computation = loaded.resolved(before)
        made = computation.settings(form)
        shapes = [tuple(layer["shape"]) for layer in made["layers"]]
        sink: sinks.Sink = (
            FileSink(target, made, fresh=fresh, on_note=note)
            if target
            else StdoutSink(
                sinks.form(form),
                sinks.RowType(shapes[0], made["dtype"], layers[0].replace(":", ".")),
            )
        )
        pace = Pace()

        def compute(unknown: Iterable[ImageRef], suspects: Suspects) -> Iterator[list[Outcome]]:
            built = computation.create(watcher.note, loaded.engine)
            contents = sink.contents
            return computation.run_on(built, unknown, lambda image: contents, suspects, pace)

        versions = {"vggfeat": made["vggfeat"], **made["versions"]}
        run = Extraction(images, sink, watcher, versions, strict=strict, pace=pace)
        report = run.foresee() if dry_run else run.carry_out(compute, target)
    files = file_names(target, layers) if target else [sinks.STDOUT]
    written = map(Written, layers, files, shapes)
    return report._replace(output=output, layers=tuple(written), dtype=made["dtype"])
