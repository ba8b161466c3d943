"""Ray, imported when it is needed, and kept from writing to the terminal."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from vggfeat.errors import VggfeatError

# What Ray reads while it is imported or starts processes; what the user has set stays.
_SILENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


def package() -> ModuleType:
    """The module ray, with ray.data. The first call takes a second or two.

    Raises:
        VggfeatError: it is not installed, or cannot be loaded here.
    """
    for name, value in _SILENT.items():
        os.environ.setdefault(name, value)
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise VggfeatError(
            f"--ray needs Ray ({error}): pip install 'vggfeat[ray]' (here, and on all nodes)"
        ) from error
    return ray


def hush(ray: ModuleType) -> None:
    """Keep what Ray has to say to its own files."""
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    # Of workers that die it tells on stdout, and has no setting for it.
    worker: Any = getattr(getattr(ray, "_private", None), "worker", None)
    if hasattr(worker, "print_to_stdstream"):
        worker.print_to_stdstream = lambda *args, **options: None


@contextlib.contextmanager
def own_signals() -> Iterator[None]:
    """Give back the handlers that Ray replaces within the block."""
    kept = {}
    for name in _SIGNALS:
        if (number := getattr(signal, name, None)) is not None:
            kept[number] = signal.getsignal(number)
    try:
        yield
    finally:
        for number, handler in kept.items():
            with contextlib.suppress(ValueError):  # not in the main thread
                signal.signal(number, handler)
