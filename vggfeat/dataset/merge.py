"""The parts of a folder as one output, as a run into that output would have made it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timezone

from vggfeat import sinks
from vggfeat.claimed import claimed
from vggfeat.dataset import manifest
from vggfeat.dataset.folder import Folder, open_folder, place_of
from vggfeat.dataset.forms import Old, form
from vggfeat.dataset.manifest import Manifest
from vggfeat.errors import UsageError, VggfeatError
from vggfeat.outcome import Failure, Numbers, Row
from vggfeat.report import Report, Written
from vggfeat.sinks import RowType
from vggfeat.sinks.files import FileSink
from vggfeat.sinks.known import Kept
from vggfeat.sinks.vectors import file_names
from vggfeat.watcher import Watcher

_BATCH_BYTES = 1 << 24
_ANEW = "all is computed anew"  # which is never true here


def merge(
    folder: str,
    output: str,
    *,
    form: str | None = None,
    wait: bool = False,
    watcher: Watcher | None = None,
) -> Report:
    """Copy the rows of a dataset folder, in order, into one output; its failures as well.

    Rows that the output has already stay. A later run over the same inputs into it goes on from
    there.

    Args:
        folder: a path or an address.
        output: the file to write, here or at an address.
        form: `npy`, `csv` ...; None to go by the output's name.
        wait: where another run is writing the output, wait for its end.
        watcher: told how it goes.

    Raises:
        OutputBusyError: another run is writing the output.
        VggfeatError: the folder is not whole, or no dataset, or the output cannot be written.
    """
    watcher = watcher or Watcher()
    if output == sinks.STDOUT or output.endswith(("/", os.sep)):
        raise UsageError(f"-o {output}: merge writes a file: give a name, as feats.npy")
    written = sinks.form_of(output, form)
    source = open_folder(place_of(folder.rstrip("/") + "/"))
    told = _whole(source)
    layers = [layer["layer"] for layer in told.about["layers"]]
    with claimed(output, written, layers, wait=wait, note=watcher.note) as (target, note):
        sink = FileSink(
            target,
            _settings(told, written),
            on_note=lambda said: note(said.replace(_ANEW, "all rows there are replaced")),
        )
        try:
            return _merged(source, told, sink, watcher)._replace(
                output=output,
                layers=tuple(
                    Written(layer["layer"], file, tuple(layer["shape"]))
                    for layer, file in zip(
                        told.about["layers"], file_names(target, layers), strict=True
                    )
                ),
                dtype=told.about["dtype"],
            )
        except BaseException:
            sink.keep()
            raise
        finally:
            watcher.stop()


def _whole(source: Folder) -> Manifest:
    """What is told of a folder that is whole.

    Raises:
        VggfeatError: it is not, or there is none.
    """
    told = manifest.read(source)
    if told is None:
        if not source.sizes():
            raise VggfeatError(f"{source.shown}: no such folder, or nothing is in it")
        raise VggfeatError(
            f"{source.shown}: there is no {manifest.MANIFEST} in it, or a damaged one: it is no "
            "folder of vggfeat's, or not all of its parts are done: extract to it to the end"
        )
    if not told.is_whole:
        raise VggfeatError(
            f"{source.shown}: {manifest.MANIFEST} is missing: not all parts are done, or they are "
            "just being replaced: extract to it to the end"
        )
    return told


def _settings(told: Manifest, written: str) -> dict[str, object]:
    """Those of a run that would have made the output, when the inputs were looked at."""
    kept = {k: v for k, v in told.about.items() if k not in ("rows", "failed", "runs", "parts")}
    looked = [part.looked_ns for part in told.looked().values()]
    return kept | {"format": written, "began_ns": min(looked, default=time.time_ns())}


def _merged(source: Folder, told: Manifest, sink: FileSink, watcher: Watcher) -> Report:
    started, began = datetime.now(timezone.utc), time.monotonic()
    kinds = [RowType(tuple(layer["shape"])) for layer in told.about["layers"]]
    done: list[Kept | Failure] = []
    watcher.start(told.about["rows"] + told.about["failed"])
    for old in _parts(source, told):
        with closing(old):
            for batch in _batches(old, kinds, sink):
                done += batch
                watcher.advance(len(batch))
            sink.write(old.failures)
            done += old.failures
            watcher.advance(len(old.failures))
    rows = sum(isinstance(item, Kept) for item in done)
    if (rows, len(done) - rows) != (told.about["rows"], told.about["failed"]):
        raise AssertionError(f"{rows:,} rows, not {told.about['rows']:,}")
    report = Report(
        output="", rows=rows, failed=len(done) - rows, computed=0, resumed=0, dropped=0,
        layers=(), dtype="", seconds=time.monotonic() - began, skipped="",
    )  # fmt: skip
    versions = {"vggfeat": told.about["vggfeat"], **told.about["versions"]}
    sink.publish(done, report.about(started, versions, told.runs))
    return report


def _parts(source: Folder, told: Manifest) -> Iterator[Old]:
    """The parts in order. Raises VggfeatError where one is not the one that is told of."""
    parts = form(told.about["format"])
    for number, (name, looked) in enumerate(told.looked().items()):
        old = parts.open(source, number, source.size)
        is_whole = old is not None and len(old.failures) == old.made.failed
        if old is None or not is_whole or old.made.began_ns != looked.made_ns:
            if old is not None:
                old.close()
            why = "is not the one that is told of" if is_whole else "is missing or damaged"
            raise VggfeatError(
                f"{source.shown}{name}.{told.about['format']}: {why} in {manifest.MANIFEST}: "
                "extract to the folder again"
            )
        yield old


def _batches(old: Old, kinds: list[RowType], sink: FileSink) -> Iterator[list[Kept | Failure]]:
    """The rows of a part, some at a time, as they stand in the output or its work in progress."""
    most = max(1, _BATCH_BYTES // sum(kind.nbytes for kind in kinds))
    for begin in range(0, len(old.entries), most):
        some = old.entries[begin : begin + most]
        known = [sink.known.of(entry.name, entry.stamp) for entry in some]
        there = [
            found if isinstance(found, Kept) and found.entry.sha256 == entry.sha256 else None
            for found, entry in zip(known, some, strict=True)
        ]
        new = iter(
            sink.write(
                [
                    Row(entry.name, entry.stamp, entry.sha256, _shaped(old, row, kinds))
                    for row, (entry, found) in enumerate(zip(some, there, strict=True), begin)
                    if found is None
                ]
            )
        )
        yield [found or next(new) for found in there]


def _shaped(old: Old, row: int, kinds: list[RowType]) -> tuple[Numbers, ...]:
    return tuple(
        numbers.reshape(kind.shape) for numbers, kind in zip(old.features(row), kinds, strict=True)
    )
