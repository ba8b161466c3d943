"""What a run did, in the lines that its user reads."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from vggfeat.sinks import STDOUT

if TYPE_CHECKING:
    from vggfeat.report import Report


def files(report: Report) -> list[str]:
    """`feats.npy: fc7 of 1,000 images, float32 [1000,4096]`, of each file."""
    lines = []
    for layer, file, shape in report.layers:
        told = ",".join(map(str, (report.rows, *shape)))
        rows = f"{layer} of {images(report.rows)}, {report.dtype} [{told}]"
        lines.append(f"{place(report.output, file)}: {rows}")
    if report.parts:
        last = lines.pop()
        of_all = "" if report.own_parts == report.parts else f" of {report.parts:,}"
        number = report.parts if of_all else report.own_parts
        parts = f"{report.own_parts:,}{of_all} part{'' if number == 1 else 's'}"
        lines.append(f"{last}, in {parts}")
    return lines


def images(count: int) -> str:
    """`1 image`, `1,000 images`."""
    return f"{count:,} image{'' if count == 1 else 's'}"


def place(output: str, file: str | None = None) -> str:
    """Where an output is, and a file of its: what it is a link to, and no password."""
    from vggfeat.remote import is_address, shown

    if output == STDOUT:
        return "stdout"
    if output.endswith(("/", os.sep)):
        return shown(output) if is_address(output) else output
    if is_address(output):
        folder, _, name = shown(output).rpartition("/")
        return f"{folder}/{file or name}"
    path = Path(output)
    path = path.resolve() if path.is_symlink() else path
    return str(path.with_name(file) if file else path)


def where_listed(report: Report, form: str | None) -> str:
    """`: see feats.failed.csv`."""
    from vggfeat.sinks.index import beside

    if report.output == STDOUT:
        return ""
    if report.parts:
        where = "part-*.failed.csv" if form == "npy" else "_failed/"
        return f": see {place(report.output)}{where}"
    failed = beside(Path(place(report.output))).failed.name
    return f": see {place(report.output, failed)}"


def computed(report: Report) -> str:
    """`in 9.5 s (16.6 images/s)` where all were computed, else how many."""
    from vggfeat.cli.console import duration

    if not report.computed and (report.rows or report.parts):
        return "nothing to compute"
    rate = report.computed / report.seconds if report.seconds else 0.0
    time = f"in {duration(report.seconds)} ({rate:.1f} images/s)"
    return time if report.computed == report.rows else f"{report.computed:,} computed {time}"


def counts(report: Report, computed: str) -> str:
    """`9 computed in 0.5 s (18.0 images/s), 4 kept, 1 dropped`."""
    others = {
        "from a run that was cut off": report.resumed,
        "kept": report.kept,
        "dropped": report.dropped,
    }
    return ", ".join([computed, *(f"{count:,} {what}" for what, count in others.items() if count)])
