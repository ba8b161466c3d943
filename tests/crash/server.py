"""Runs of the real command in a fraction of a second: forks of a process that has all imported.

Requests and answers are lines of JSON on stdin and stdout.
"""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

ROOT = Path(__file__).parents[2]
HANGS_AFTER = 60.0  # seconds


class Ended(NamedTuple):
    """How a run ended: its code (minus the signal that killed it), and what it said."""

    code: int
    stderr: str
    seconds: float


class Server:
    """A process to fork runs from. One run at a time."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, **environment},
            text=True,
        )

    def run(
        self, folder: Path, args: Sequence[str], spec: str = "", kill_after: float | None = None
    ) -> Ended:
        """Run `vggfeat ARGS` in a folder, with faults, or killed after some seconds.

        Raises AssertionError where it hangs.
        """
        request = {"folder": str(folder), "args": list(args), "spec": spec, "kill": kill_after}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(request), file=self._process.stdin, flush=True)
        ended = Ended(*json.loads(self._process.stdout.readline()))
        assert ended.seconds < HANGS_AFTER, f"hangs:\n{ended.stderr}"
        return ended

    def close(self) -> None:
        self._process.communicate()


def serve() -> None:
    _import_all()
    for line in sys.stdin:
        request = json.loads(line)
        with tempfile.TemporaryFile() as said:
            started = time.monotonic()
            if not (child := os.fork()):
                _run(said.fileno(), request)
            code = os.waitstatus_to_exitcode(_wait(child, request["kill"]))
            seconds = time.monotonic() - started
            said.seek(0)
            stderr = said.read().decode("utf-8", "replace")
        print(json.dumps(Ended(code, stderr, seconds)), flush=True)


def _import_all() -> None:
    """What a run imports by and by."""
    import email.parser  # noqa: F401  # of importlib.metadata, to tell versions

    import ncnn  # noqa: F401
    import threadpoolctl  # noqa: F401
    from PIL import Image

    from tests.crash import faulty  # noqa: F401
    from vggfeat import run  # noqa: F401
    from vggfeat.cli import console  # noqa: F401
    from vggfeat.sinks import csv, npy  # noqa: F401
    from vggfeat.weights.formats import canonical  # noqa: F401

    Image.init()


def _run(said: int, request: dict[str, Any]) -> NoReturn:
    code = 1
    try:
        os.dup2(os.open(os.devnull, os.O_RDWR), 0)
        os.dup2(said, 1)
        os.dup2(said, 2)
        faulthandler.enable()
        os.chdir(request["folder"])
        from tests.crash import faulty, spec

        faulty.run(spec.parse(request["spec"]), request["args"])
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _wait(child: int, kill_after: float | None) -> int:
    """The child's status; it is killed when its time is over, shown where it is when it hangs."""
    limit, signum = (HANGS_AFTER, signal.SIGABRT)
    if kill_after is not None:
        limit, signum = kill_after, signal.SIGKILL
    end = time.monotonic() + limit
    while time.monotonic() < end:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return status
        time.sleep(0.001)
    os.kill(child, signum)
    return os.waitpid(child, 0)[1]


if __name__ == "__main__":
    serve()
