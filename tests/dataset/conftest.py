"""Small parts, and a folder to work in."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.dataset.made import IMAGES
from tests.object_store import object_store, store

__all__ = ["object_store", "store"]


@pytest.fixture(autouse=True)
def settled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("vggfeat.dataset.job.MOST_IMAGES", IMAGES)
