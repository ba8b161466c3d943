"""What is to go wrong, as a word on the command line.

    kill-before@17   dies by SIGKILL in place of the 17th call that changes the output's folder
    kill-amid@17     the same with half of a write done
    kill-after@17    the same with all of it done
    ENOSPC@17        the 17th call raises OSError(ENOSPC), or another error by its name
    EROFS@17+        so do all calls from the 17th on
    short@1+         writes half of what it is given, from the 1st call on
    clock=-86400     the clock is set back by a day
    count            lists the calls on stderr at the end
    journal=FOLDER   keeps there what a power cut would have left (see journal.py)
    computed=FILE    grows by a byte for each image that the engine computes

Several are joined by commas; none is the empty word or `-`.
"""

from __future__ import annotations

import errno
from pathlib import Path
from typing import NamedTuple

MOMENTS = ("kill-before", "kill-amid", "kill-after")


class Fault(NamedTuple):
    """One thing that happens at a call, or from a call on."""

    action: str
    at: int
    lasting: bool = False

    def hits(self, number: int) -> bool:
        return number >= self.at if self.lasting else number == self.at

    def __str__(self) -> str:
        return f"{self.action}@{self.at}{'+' if self.lasting else ''}"


class Spec(NamedTuple):
    """All that is to happen in a run."""

    faults: tuple[Fault, ...] = ()
    clock: int = 0  # seconds
    listing: bool = False
    journal: Path | None = None
    computed: Path | None = None

    def actions(self, number: int) -> set[str]:
        """What happens at the call of this number."""
        return {fault.action for fault in self.faults if fault.hits(number)}


def parse(text: str) -> Spec:
    """Read a specification. Raises ValueError."""
    spec = Spec()
    for word in filter(None, text.split(",")):
        key, _, value = word.partition("=")
        if word == "count":
            spec = spec._replace(listing=True)
        elif key == "clock":
            spec = spec._replace(clock=int(value))
        elif key == "journal":
            spec = spec._replace(journal=Path(value))
        elif key == "computed":
            spec = spec._replace(computed=Path(value))
        elif word != "-":
            spec = spec._replace(faults=(*spec.faults, _fault(word)))
    return spec


def _fault(word: str) -> Fault:
    action, _, at = word.partition("@")
    if action not in (*MOMENTS, "short") and not hasattr(errno, action):
        raise ValueError(f"{word}: no such fault")
    return Fault(action, int(at.rstrip("+")), at.endswith("+"))
