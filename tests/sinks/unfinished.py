"""Work of runs that were cut off."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.sinks.outputs import failure, row, rows, settings
from vggfeat.outcome import Failure, Row
from vggfeat.sinks.vectors import Vectors, vectors_of
from vggfeat.sinks.work import Work

FAILED = [failure("bad, \udcff.jpg"), Failure("gone.jpg", "no such\nfile")]
TOLD = ["0.jpg", FAILED[0], "1.jpg", "2.jpg", FAILED[1], "3.jpg"]
BATCHES: list[tuple[list[Row], list[Failure]]] = [
    (rows([0]), FAILED[:1]), (rows([1, 2]), []), ([], FAILED[1:]), (rows([3]), [])
]  # fmt: skip


def files_of(output: Path) -> list[Vectors]:
    return vectors_of(output, settings(output))


def work(output: Path, *, resume: bool = True) -> Work:
    made = Work(output, files_of(output))
    if resume:
        made.resume()
    return made


def leave(output: Path) -> None:
    """The work of a run that was cut off."""
    with closing(work(output)) as made:
        made.start(settings(output, began_ns=7))
        for batch in BATCHES:
            made.add(*batch)


def taken_up(output: Path) -> list[str | Failure]:
    """What counts, its rows checked."""
    made = work(output)
    if made.entries:
        with closing(made.rows(files_of(output)[0])) as there:
            assert len(there) == len(made.entries)
            for number, entry in enumerate(made.entries):
                original = row(int(entry.name.split(".")[0]))
                assert (entry.stamp, entry.sha256) == (original.stamp, original.sha256)
                assert there.numbers(number).tobytes() == original.features[0].tobytes()
    return [*(entry.name for entry in made.entries), *made.failures]


def change(path: Path, edit: Callable[[list[bytes]], Any]) -> None:
    """Edit the lines of a file."""
    edit(lines := path.read_bytes().splitlines(keepends=True))
    path.write_bytes(b"".join(lines))


def before(told: int) -> list[str | Failure]:
    """What counts where the journal tells as much."""
    return sorted(TOLD[:told], key=lambda item: isinstance(item, Failure))
