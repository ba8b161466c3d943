"""The command within this process, for what needs no process of its own."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from click.testing import CliRunner

from vggfeat.cli import vggfeat


class Done(NamedTuple):
    stdout: bytes
    stderr: str


def run(*args: str | Path, code: int = 0, stdin: bytes = b"") -> Done:
    """Run it to its end and check the exit code. Errors of ours are raised."""
    done = CliRunner().invoke(vggfeat, [str(a) for a in args], input=stdin, standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    assert (done.return_value or 0) == code, done.stderr
    return Done(done.stdout_bytes, done.stderr)
