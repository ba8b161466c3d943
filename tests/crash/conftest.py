"""One bench for all tests of a process: its scenes are played through in calm but once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.trial import Bench


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    if not Path("/proc/self/fd").exists():
        pytest.skip("no /proc to tell the files of descriptors")
    made = Bench(tmp_path_factory.mktemp("bench"))
    yield made
    made.close()
