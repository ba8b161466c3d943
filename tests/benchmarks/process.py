"""Programs run as processes of their own, with their time and their peak memory."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tests.benchmarks.growth import Watch, in_second_half

ROOT = Path(__file__).parents[2]
LIMIT = 30 * 60.0
NO_CARD = "-1"  # for CUDA_VISIBLE_DEVICES
# Settings of whoever starts the benchmark, which would reach some ways and not the others.
_UNSET = (
    "OPENBLAS_CORETYPE",
    "OPENBLAS_L2_SIZE",
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VGGFEAT_WEIGHTS",
    "PYTHONPATH",
)


class FailedError(Exception):
    """A program could not do its work; the text says why."""


@dataclass(frozen=True)
class Run:
    """A program that has ended.

    Attributes:
        seconds: from its start to its end.
        first: from its start to the first vectors.
        peak: the most memory that it held, mapped files included, in bytes.
        growth: bytes/s of its file in the second half; None where that was not seen.
    """

    seconds: float
    first: float
    peak: int
    growth: float | None = None


def run(
    command: list[str],
    vectors: Path | None = None,
    cpus: list[int] | None = None,
    card: str = NO_CARD,
) -> Run:
    """Run a program to its end.

    Args:
        vectors: the file whose first growth past a header tells of the first vectors; without
            it the program tells it on stdout.
        cpus: the processors that it may use.
        card: the GPU that it may use; none but for the tables of GPUs.

    Raises:
        FailedError: it failed, or took too long.
    """
    program = Program(command, cpus, card)
    watch = Watch(vectors) if vectors else None
    try:
        peak, seconds = program.wait()
    finally:
        seen = watch.stop() if watch else []
    first = seen[0][0] if seen else 0.0 if watch else _told(program.said())
    return Run(seconds, first - program.started if first else seconds, peak, in_second_half(seen))


class Program:
    """A program that is running, or waits for a line on its stdin."""

    def __init__(
        self, command: list[str], cpus: list[int] | None = None, card: str = NO_CARD
    ) -> None:
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # read at the end
        self.started = time.monotonic()
        with _bound_to(cpus):
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=_environment(card),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
            )
        self._limit = threading.Timer(LIMIT, self._process.kill)
        self._limit.daemon = True
        self._limit.start()

    def answer(self, line: str | None = None) -> dict[str, Any]:
        """What it says next, after a line if one is given. Raises FailedError."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            if line is not None:
                self._process.stdin.write(f"{line}\n".encode())
                self._process.stdin.flush()
            said = self._process.stdout.readline()
        except OSError:
            said = b""
        if not said:
            self.wait()
            raise FailedError("it ended too early")
        answer: dict[str, Any] = json.loads(said)
        return answer

    def said(self) -> list[str]:
        assert self._process.stdout is not None
        return self._process.stdout.read().decode().splitlines()

    def wait(self) -> tuple[int, float]:
        """Its peak memory in bytes and its seconds, when it has ended. Raises FailedError."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        # wait4, because it alone tells the peak of this child and of no other.
        _, status, usage = os.wait4(self._process.pid, 0)
        seconds = time.monotonic() - self.started
        self._limit.cancel()
        code = self._process.returncode = os.waitstatus_to_exitcode(status)
        if code:
            raise FailedError(self._reason(code, seconds))
        return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024), seconds

    def _reason(self, code: int, seconds: float) -> str:
        if code == -9:
            late = seconds >= LIMIT
            return f"it took more than {LIMIT / 60:.0f} minutes" if late else "it was killed"
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        last = lines[-1].strip().rstrip(".") if lines else f"exit code {code}"
        return textwrap.shorten(last, 200)


def _told(lines: list[str]) -> float:
    """CLOCK_MONOTONIC is one for all processes, so what a child reads on it counts here."""
    told = [json.loads(line) for line in lines if line.startswith("{")]
    return next((float(line["first"]) for line in told if "first" in line), 0.0)


def _environment(card: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in _UNSET}
    return kept | {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": card}


@contextlib.contextmanager
def _bound_to(cpus: list[int] | None) -> Iterator[None]:
    """Have a child born on these processors: it inherits those of the thread that starts it."""
    if not cpus:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
