"""The real command, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

COMMAND = [sys.executable, "-m", "vggfeat"]


def vggfeat(*args: str | Path, code: int = 0, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """Run it to its end and check the exit code; stdout and stderr are captured."""
    options = {"stdin": subprocess.DEVNULL} | options
    if "input" in options:
        del options["stdin"]
    done = subprocess.run(
        [*COMMAND, *args], capture_output=True, timeout=120, check=False, **options
    )
    assert done.returncode == code, done.stderr.decode()
    return done


def lines(data: bytes) -> list[str]:
    return data.decode("utf-8", "surrogateescape").splitlines()


def bare_environment(**extra: str) -> dict[str, str]:
    """What cron leaves of an environment, and where this Python finds its packages."""
    return {"PATH": "/usr/bin:/bin", **extra, "VGGFEAT_STORE": os.environ["VGGFEAT_STORE"]}
