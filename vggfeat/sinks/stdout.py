"""Output to stdout: the features alone, as they come where the form allows it."""

from __future__ import annotations

import signal
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np

from vggfeat.errors import Interrupted, VggfeatError, describe_os_error
from vggfeat.outcome import Failure, Outcome, Row
from vggfeat.sinks import Form, RowType
from vggfeat.sinks.copying import write_all
from vggfeat.sinks.index import Entry
from vggfeat.sinks.known import Kept, Known

_CHUNK = 1 << 20


class StdoutSink:
    """Writes the rows of one layer to stdout, past its buffer: what was written is out.

    A form whose header tells the number of rows waits in a temporary file until it is known.

    Raises:
        Interrupted: nobody reads any more.
        VggfeatError: it cannot be written for another reason.
    """

    before = None
    contents = None
    resumed = 0

    def __init__(self, form: Form, kind: RowType) -> None:
        self._form = form
        self._kind = kind
        self._rows = 0
        self.known = Known()
        self._body = tempfile.TemporaryFile() if form.HEADER_TELLS_ROWS else None  # noqa: SIM115
        if self._body is None:
            _write(form.header(0, kind))

    def write(self, outcomes: Sequence[Outcome]) -> list[Kept | Failure]:
        rows = [outcome for outcome in outcomes if isinstance(outcome, Row)]
        if rows:
            features = np.stack([row.features[0] for row in rows])
            self._put(self._form.encode([row.name for row in rows], features))
        done: list[Kept | Failure] = []
        for outcome in outcomes:
            if isinstance(outcome, Failure):
                done.append(outcome)
            else:
                entry = Entry(outcome.name, outcome.stamp, outcome.sha256, "")
                done.append(Kept(entry, published=False, row=self._rows))
                self._rows += 1
        return done

    def _put(self, data: bytes) -> None:
        if self._body is None:
            _write(data)
            return
        try:
            self._body.write(data)
        except OSError as error:
            raise VggfeatError(
                f"the temporary folder {tempfile.gettempdir()} cannot be written: "
                f"{describe_os_error(error)}; set TMPDIR to one with room"
            ) from error

    def publish(self, done: Sequence[Kept | Failure], about: dict[str, Any]) -> None:
        if self._body is None:
            return
        _write(self._form.header(self._rows, self._kind))
        self._body.seek(0)
        while chunk := self._body.read(_CHUNK):
            _write(chunk)
        self._body.close()

    def keep(self) -> str | None:
        return None


def _write(data: bytes) -> None:
    try:
        write_all(sys.stdout.fileno(), data)
    except BrokenPipeError:
        raise Interrupted(signal.SIGPIPE) from None
    except OSError as error:
        raise VggfeatError(f"stdout: cannot be written: {describe_os_error(error)}") from error
