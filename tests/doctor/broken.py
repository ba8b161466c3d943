"""Installations that are broken: packages that stand in for the real ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from vggfeat import engines

CRASHES = "import os, signal; os.kill(os.getpid(), signal.SIGILL)"
HANGS = "import time; time.sleep(60)"
CANNOT_BE_LOADED = "raise ImportError('libgomp.so.1: cannot open shared object file')"

_REAL_ONE = """
import sys
sys.path.remove({folder!r})
del sys.modules["ncnn"]
import ncnn
from vggfeat.engines import connected
real = connected.Connected.__call__
connected.Connected.__call__ = lambda *args: [{change} for found in real(*args)]
"""
# What the real one computes, changed.
OTHER_NUMBERS = _REAL_ONE.replace("{change}", "found * 1.001")
OTHER_BITS_ALONE = _REAL_ONE.replace("{change}", "found * (1 + 1e-6 * (len(found) == 1))")
NO_NUMBERS = _REAL_ONE.replace("{change}", "found * float('nan')")


def install_ncnn(folder: Path, monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    """Put it before the real ncnn, and let it be the only engine."""
    (folder / "ncnn.py").write_text(source.replace("{folder!r}", repr(str(folder))))
    monkeypatch.syspath_prepend(folder)
    only_ncnn(monkeypatch)


def only_ncnn(monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorFlow takes seconds to be tested."""
    monkeypatch.setattr(engines, "installed", lambda: ["ncnn"])
