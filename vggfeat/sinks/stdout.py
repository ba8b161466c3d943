"""Output to a stream: the features alone, as they come where the form allows it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from typing import BinaryIO

import numpy as np

from vggfeat.outcome import Outcome, Row
from vggfeat.sinks import Form


class StreamSink:
    """Writes to a binary stream such as stdout.

    A form whose header tells the number of rows waits in a temporary file until it is known.
    """

    def __init__(self, stream: BinaryIO, form: Form, shape: tuple[int, ...]) -> None:
        self._stream = stream
        self._form = form
        self._shape = shape
        self._rows = 0
        self._body: BinaryIO = stream
        if form.HEADER_TELLS_ROWS:
            self._body = tempfile.TemporaryFile()  # noqa: SIM115 (it lives as long as the sink)
        else:
            stream.write(form.header(0, shape))

    def write(self, outcomes: Sequence[Outcome]) -> None:
        rows = [outcome for outcome in outcomes if isinstance(outcome, Row)]
        if not rows:
            return
        features = np.stack([row.features for row in rows])
        self._body.write(self._form.encode([row.name for row in rows], features))
        self._body.flush()
        self._rows += len(rows)

    def publish(self, about: dict[str, object]) -> None:
        if self._body is not self._stream:
            self._stream.write(self._form.header(self._rows, self._shape))
            self._body.seek(0)
            shutil.copyfileobj(self._body, self._stream, 1 << 20)
            self._body.close()
        self._stream.flush()

    def keep(self) -> str | None:
        return None
