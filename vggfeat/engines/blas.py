"""How many threads NumPy's BLAS takes, while batches are computed side by side."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import threadpoolctl

from vggfeat.cores import cores


class Blas:
    """The number is the whole process's: the first batch sets it, the last one restores it."""

    def __init__(self) -> None:
        self._controller = threadpoolctl.ThreadpoolController().select(user_api="blas")
        self._lock = threading.Lock()
        self._users = 0
        self._limit: Any = None
        # BLAS does not see a container's quota; a smaller number that the user has set stays.
        # Other packages may have a BLAS of their own with one thread: NumPy's is the largest.
        pools = [pool["num_threads"] for pool in self._controller.info()]
        self.threads = min(cores(), max(pools, default=1))

    @contextlib.contextmanager
    def limited(self, threads: int) -> Iterator[None]:
        """With so many threads, or as many as a batch has set that is being computed."""
        with self._lock:
            self._users += 1
            if self._users == 1:
                self._limit = self._controller.limit(limits=threads)
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if self._users == 0:
                    self._limit.restore_original_limits()
