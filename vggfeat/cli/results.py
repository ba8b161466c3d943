"""What a command found: a table for people, CSV or JSON for programs, on stdout or in a file."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sys
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from vggfeat.errors import Interrupted, VggfeatError, describe_os_error
from vggfeat.sinks import STDOUT
from vggfeat.watcher import Watcher
from vggfeat.whole import whole

TABLE, CSV, JSON, PATHS = FORMS = ("table", "csv", "json", "paths")

Value = str | int | float
Record = Mapping[str, Value]

_GAP = "  "
_LEAST = 12  # characters of a text that are shown in any case


class Results:
    """Records, in sections, to where the user wants them; a file is written whole or not at all.

    Args:
        output: a file, or `-` for stdout.
        form: `table`, `csv`, `json`, or `paths` for the paths alone; None to go by
            the output: a table on a terminal, CSV in a pipe, what its name says in a file.
        columns: of CSV and JSON.
        shown: those of them that a table shows.
        end: of a path, where there are only paths.
    """

    def __init__(
        self,
        output: str,
        form: str | None,
        columns: Sequence[str],
        shown: Sequence[str],
        end: bytes = b"\n",
    ) -> None:
        self._output = output
        self._terminal = output == STDOUT and sys.stdout.isatty()
        self._form = form or _form_of(output, terminal=self._terminal)
        self._columns = columns
        self._shown = shown
        self._end = end
        self._count = 0

    @property
    def only_paths(self) -> bool:
        """Whether nothing but paths is asked for."""
        return self._form == PATHS

    @contextlib.contextmanager
    def opened(self) -> Iterator[None]:
        """To be written to while the context lasts.

        Raises:
            Interrupted: nobody reads any more.
            VggfeatError: they cannot be written.
        """
        with _target(self._output) as self._file:
            yield
            if not self._count:
                self._put(self._head())
            if self._form == JSON:
                self._put(b"\n]\n" if self._count else b"]\n")

    @contextlib.contextmanager
    def progress(self, console: Watcher, total: int | None) -> Iterator[Watcher]:
        """To be told how far it is: nobody, where a bar would be drawn over the results."""
        watcher = Watcher() if self._terminal else console
        watcher.start(total)
        try:
            yield watcher
        finally:
            watcher.stop()

    def add(self, title: str, records: Sequence[Record]) -> None:
        """One section; only a table shows its title, and nothing of an empty one."""
        if self._form == TABLE and records:
            self._put(_table(title, [[record[name] for name in self._shown] for record in records]))
        elif records:
            between = b",\n" if self._form == JSON else b""
            start = between if self._count else self._head()
            self._put(start + between.join(map(self._line, records)))
        self._count += len(records)

    def _head(self) -> bytes:
        """Not before there is something to tell: what fails at once leaves nothing behind."""
        return {CSV: ",".join(self._columns).encode() + b"\n", JSON: b"[\n"}.get(self._form, b"")

    def _line(self, record: Record) -> bytes:
        from vggfeat.sinks.csv import field  # loads NumPy, for which --help must not wait

        if self._form == PATHS:
            return os.fsencode(str(record["path"])) + self._end
        values = [record[name] for name in self._columns]
        if self._form == CSV:
            return b",".join(field(_plain(value)) for value in values) + b"\n"
        return json.dumps(dict(zip(self._columns, values, strict=True))).encode()

    def _put(self, data: bytes) -> None:
        with _told(self._output):
            self._file.write(data)
            if self._output == STDOUT:
                self._file.flush()


def _form_of(output: str, *, terminal: bool) -> str:
    if output == STDOUT:
        return TABLE if terminal else CSV
    return JSON if output.lower().endswith(".json") else CSV


@contextlib.contextmanager
def _target(output: str) -> Iterator[BinaryIO]:
    if output == STDOUT:
        yield sys.stdout.buffer
        return
    with _told(output), whole(Path(output)) as file:
        yield file


@contextlib.contextmanager
def _told(output: str) -> Iterator[None]:
    """What the system says against writing, in words."""
    try:
        yield
    except BrokenPipeError:
        raise Interrupted(signal.SIGPIPE) from None
    except OSError as error:
        name = "stdout" if output == STDOUT else output
        raise VggfeatError(f"{name}: cannot be written: {describe_os_error(error)}") from error


def _plain(value: Value) -> str:
    return f"{value:.9g}" if isinstance(value, float) else str(value)


def _table(title: str, rows: Sequence[Sequence[Value]]) -> bytes:
    width = shutil.get_terminal_size().columns
    lines = [shortened(title, width)] if title else []
    numbers = [[_number(value) for value in row if not isinstance(value, str)] for row in rows]
    texts = [[value for value in row if isinstance(value, str)] for row in rows]
    wide = [max(map(len, column)) for column in zip(*numbers, strict=True)]
    taken = sum(wide) + len(_GAP) * len(wide)
    for figures, words in zip(numbers, texts, strict=True):
        room = max((width - taken) // max(len(words), 1) - len(_GAP), _LEAST)
        cells = [figure.rjust(size) for figure, size in zip(figures, wide, strict=True)]
        cells += [padded(shortened(word, room), room) for word in words]
        lines.append(_GAP + _GAP.join(cells).rstrip())
    encoding = sys.stdout.encoding or "utf-8"
    return "".join(f"{line}\n" for line in lines).encode(encoding, "replace")


def _number(value: int | float) -> str:
    return f"{value:.4f}" if isinstance(value, float) else f"{value:,}"


def shortened(text: str, width: int) -> str:
    """A text in so many columns of a terminal: the middle of a longer one is left out.

    What would move the cursor, and bytes that are no text, are shown as a question mark.
    """
    text = os.fsencode(text).decode("utf-8", "replace")
    text = "".join("?" if unicodedata.category(sign) in ("Cc", "Cf") else sign for sign in text)
    if _columns(text) <= width:
        return text
    head, tail = "", ""
    for sign in text:
        if _columns(head + sign) > (width - 1) // 3:
            break
        head += sign
    for sign in reversed(text):
        if _columns(head + sign + tail) > width - 1:
            break
        tail = sign + tail
    return f"{head}…{tail}"


def padded(text: str, width: int) -> str:
    return text + " " * (width - _columns(text))


def _columns(text: str) -> int:
    """The columns of a terminal that a text takes: East Asian signs take two, accents none."""
    return sum(
        0 if unicodedata.combining(sign) else 1 + (unicodedata.east_asian_width(sign) in "WF")
        for sign in text
    )
