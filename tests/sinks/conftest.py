"""What the tests of several steps start from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sinks.unfinished import leave
from vggfeat import sinks


@pytest.fixture(params=sinks.FORMS)
def unfinished(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """An output that is still in work, by a run that was cut off."""
    leave(output := tmp_path / f"f.{request.param}")
    yield output
    assert not output.exists()
