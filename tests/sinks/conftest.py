"""What the tests of several steps start from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.object_store import object_store, store
from tests.sinks.outputs import KINDS
from tests.sinks.unfinished import leave

__all__ = ["object_store", "store", "unfinished"]


@pytest.fixture(params=KINDS)
def unfinished(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """An output that is still in work, by a run that was cut off."""
    leave(output := tmp_path / f"f.{request.param}")
    yield output
    assert not output.exists()
