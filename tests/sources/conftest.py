from __future__ import annotations

from tests.object_store import object_store, store

__all__ = ["object_store", "store"]
