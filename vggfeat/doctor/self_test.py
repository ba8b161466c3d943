"""The self-test of an engine, seen from outside: what it computed, or how its process ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from vggfeat.engines.precision import TF32

PATIENCE = 120.0  # seconds

# The process finds packages where this one does, wherever it is started.
_PYTHON = (sys.executable, "-I", "-c")
_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from vggfeat.doctor import trial; trial.main(sys.argv[2], sys.argv[3:])"
)
_LOG_KEPT = 4000  # characters
_MEANINGS = {
    "SIGILL": ", for want of an instruction that this processor does not have",
    "SIGKILL": ", as systems do when memory runs out",
}


@dataclass(frozen=True)
class Computed:
    """What an engine gave in one precision.

    Attributes:
        error: of the worst row, against float64, relative to the row's norm.
        same_bits: whether a row is the same alone and in a batch.
        seconds: with loading the network.
        devices: labels of those that took part.
        notes: what the engine told its user, such as that a device fails.
        failed: why it could not compute, in the engine's words.
    """

    error: float | None = None
    same_bits: bool | None = None
    seconds: float | None = None
    devices: Sequence[str] = ()
    notes: Sequence[str] = ()
    failed: str | None = None


@dataclass(frozen=True)
class Trial:
    """The self-test of one engine.

    Attributes:
        engine: its name.
        ended: None where it came to its end, else how the process ended: `was killed by SIGILL`.
        doing: what it was doing then.
        seconds: that the process took.
        version: of the engine's library; None where it was not told any more.
        gpus: models of those that TensorFlow sees; None where it was not told.
        batch_size: that serves the engine best.
        precisions: what it gave in each.
        log: the end of what its libraries printed.
    """

    engine: str
    ended: str | None
    doing: str | None
    seconds: float
    version: str | None = None
    gpus: list[str] | None = None
    batch_size: int | None = None
    precisions: dict[str, Computed] = field(default_factory=dict)
    log: str = ""


def run(engine: str, precisions: Sequence[str], patience: float = PATIENCE) -> Trial:
    """Test an engine, in a process that may take so many seconds, and one more for tf32.

    On GPUs that cannot be computed where float32 has been.
    """
    trial = _run(engine, [name for name in precisions if name != TF32], patience)
    if TF32 not in precisions or trial.ended:
        return trial
    other = _run(engine, [TF32], patience)
    return replace(
        trial,
        ended=other.ended,
        doing=other.doing,
        seconds=round(trial.seconds + other.seconds, 1),
        precisions=trial.precisions | other.precisions,
        log=other.log if other.ended else trial.log,
    )


def _run(engine: str, precisions: Sequence[str], patience: float) -> Trial:
    folders = [folder for folder in sys.path if os.path.isabs(folder)]
    command = [*_PYTHON, _START, json.dumps(folders), engine, *precisions]
    # Warnings of TensorFlow say why it sees no GPU.
    environment = {"TF_CPP_MIN_LOG_LEVEL": "1", **os.environ}
    started = time.monotonic()
    told: bytes | None
    log: bytes | None
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, env=environment,
            timeout=patience, check=False,
        )  # fmt: skip
        ended, told, log = _ending(done.returncode), done.stdout, done.stderr
    except subprocess.TimeoutExpired as error:
        ended, told, log = f"was still running after {patience:.0f} s", error.stdout, error.stderr
    except OSError as error:
        ended, told, log = f"could not be started ({error})", b"", b""
    known = _known(told or b"", precisions)
    text = (log or b"").decode("utf-8", "replace").strip()[-_LOG_KEPT:]
    return Trial(engine, ended, seconds=round(time.monotonic() - started, 1), log=text, **known)


def _ending(code: int) -> str | None:
    if code == 0:
        return None
    if code > 0:
        return f"ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        return f"was killed by signal {-code}"
    return f"was killed by {name}{_MEANINGS.get(name, '')}"


def _known(told: bytes, precisions: Sequence[str]) -> dict[str, Any]:
    """All lines that came whole, as arguments of `Trial`."""
    known: dict[str, Any] = {"doing": "starting Python"}
    for line in told.split(b"\n")[:-1]:
        known |= json.loads(line)
    computed = {name: Computed(**known.pop(name)) for name in precisions if name in known}
    return {**known, "precisions": computed}
