from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Iterator

import pytest


@contextlib.contextmanager
def on_stdin(data: bytes | io.RawIOBase | io.BufferedIOBase) -> Iterator[None]:
    """Let the program find these bytes, or this stream, on its standard input."""
    stream = io.BytesIO(data) if isinstance(data, bytes) else data
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", io.TextIOWrapper(stream))  # type: ignore[arg-type]
        yield
