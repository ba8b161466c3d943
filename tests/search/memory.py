"""What a call takes of memory that is not mapped from a file."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import TypeVar

A = TypeVar("A")


def peak_of(call: Callable[[], A]) -> tuple[A, int]:
    """Its result, and the bytes at the peak; numpy tells tracemalloc of its arrays."""
    tracemalloc.start()
    try:
        return call(), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
