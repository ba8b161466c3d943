"""The programs of peers, and the Python that runs them.

PyTorch has an environment of its own where `make bench` has made one: in the same, its CUDA
libraries and TensorFlow's, of another version, would be files of the same names.
"""

from __future__ import annotations

import sys

from tests.benchmarks.process import ROOT

TORCH_HOME = ROOT / ".bench" / "torch"


def of_peer(script: str) -> list[str]:
    """The command that runs `peers/SCRIPT.py`, without its arguments."""
    return [python(script), "-m", f"tests.benchmarks.peers.{script}"]


def python(name: str) -> str:
    """The interpreter for a script, by its name."""
    own = TORCH_HOME / "bin" / "python"
    return str(own) if "torch" in name and own.exists() else sys.executable
