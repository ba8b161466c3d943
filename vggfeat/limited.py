"""Programs of our own in a process of their own, for libraries that trust what they read.

A file with a few changed bytes makes such a library crash, run for ever or fill the memory. In a
process with limits it does so alone.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, NamedTuple

import vggfeat

# Isolated, Python looks neither at its environment nor at the folder that it is started in.
_PYTHON = (sys.executable, "-I", "-c")
_START = (
    "import json, runpy, sys; sys.path[:] = json.loads(sys.argv.pop(1)); "
    "runpy.run_path(sys.argv.pop(1), run_name='__main__')"
)
_ALONE = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
_STEP = 1.0  # seconds


class Ended(NamedTuple):
    """How a program ended.

    Attributes:
        code: what it exited with, or less than 0 the signal that ended it; None if it was killed
            because it took too long.
        answer: what it wrote to its standard output.
    """

    code: int | None
    answer: bytes


def run(
    program: Path, arguments: Sequence[str], given: bytes | IO[bytes], patience: float
) -> Ended:
    """Run a Python file as a program, which finds packages where this process does.

    Args:
        program: the file. It calls `limit` once it has imported what it needs.
        arguments: of its command line.
        given: its standard input: the bytes, or a real file.
        patience: seconds that it may take, the start of Python on a busy machine included.
            Seconds in which this process is stopped, or the machine suspended, do not count.

    Raises:
        OSError: it cannot be started.
    """
    command = [*_PYTHON, _START, json.dumps(_folders()), str(program.resolve()), *arguments]
    data = given if isinstance(given, bytes) else None
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE if isinstance(given, bytes) else given,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **_ALONE},
    ) as process:
        try:
            for _ in range(math.ceil(patience / _STEP)):
                with contextlib.suppress(subprocess.TimeoutExpired):
                    answer, _ = process.communicate(data, min(_STEP, patience))
                    return Ended(process.returncode, answer)
                data = None
            return Ended(None, b"")
        finally:
            process.kill()


def limit(seconds: int, memory: int, **others: int) -> None:
    """From here on this process may take so much more. For the program; where there are limits.

    Args:
        seconds: of CPU time, of all threads; then SIGXCPU ends it.
        memory: bytes.
        others: further limits by their names in the module `resource`.
    """
    try:
        import resource
    except ImportError:
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    limits = {"RLIMIT_CPU": math.ceil(used.ru_utime + used.ru_stime) + seconds, "RLIMIT_CORE": 0}
    with contextlib.suppress(OSError), open("/proc/self/statm", encoding="ascii") as file:
        limits["RLIMIT_AS"] = int(file.read().split()[0]) * resource.getpagesize() + memory
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")  # where the system has to kill a process, let it be this one
    for name, most in {**limits, **others}.items():
        with contextlib.suppress(AttributeError, ValueError, OSError):
            kind = getattr(resource, name)
            soft, hard = resource.getrlimit(kind)
            if soft == resource.RLIM_INFINITY or most < soft:
                resource.setrlimit(kind, (most, hard))


def _folders() -> list[str]:
    """Where modules are found: not relative to where the process happens to be."""
    home = str(Path(vggfeat.__file__).resolve().parent.parent)
    folders = [folder for folder in sys.path if os.path.isabs(folder)]
    return folders if home in folders else [home, *folders]
