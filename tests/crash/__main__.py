"""`make torture`: kill the command a thousand times; each time the next run must make good."""

from __future__ import annotations

import argparse
import itertools
import os
import random
import sys
import tempfile
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.crash.trial import Bench, Trial

_LINE_EVERY = 15.0  # seconds
_FAILURES_AT_MOST = 20


class Torture:
    """Trials one after the other, in several threads, until there were kills enough."""

    def __init__(self, seed: int, kills: int) -> None:
        self._seed = seed
        self._wanted = kills
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._kills = 0
        self._trials = 0
        self.failures = 0
        self._started = self._said = time.monotonic()

    def run(self, processes: int) -> None:
        with ThreadPoolExecutor(processes) as pool:
            for done in [pool.submit(self._work) for _ in range(processes)]:
                done.result()
        self._say()

    def _work(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            bench = Bench(Path(folder))
            while self._kills < self._wanted and self.failures < _FAILURES_AT_MOST:
                self._try(bench, next(self._numbers))
            bench.close()

    def _try(self, bench: Bench, number: int) -> None:
        trial = Trial(self._seed, number)
        failed = fails(bench, trial)
        with self._lock:
            self._trials += 1
            self._kills += trial.kills
            self.failures += failed
            if failed:
                print(f"to repeat: python -m tests.crash --seed {self._seed} --trial {number}\n")
            if time.monotonic() > self._said + _LINE_EVERY:
                self._said = time.monotonic()
                self._say()

    def _say(self) -> None:
        print(
            f"{self._kills:,} kills in {self._trials:,} trials, {self.failures} failed, "
            f"{time.monotonic() - self._started:.0f} s",
            flush=True,
        )


def fails(bench: Bench, trial: Trial) -> bool:
    """Whether a trial fails; then it is told how."""
    try:
        trial.run(bench)
    except Exception:
        print("\n".join(["FAILED:", *trial.story, traceback.format_exc()]), flush=True)
        return True
    return False


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=1000, help="in all, at the least")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--trial", type=int, help="only this one, and leave its folder")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    if options.trial is None:
        torture = Torture(options.seed, options.kills)
        torture.run(options.processes)
        return int(torture.failures > 0)
    bench = Bench(Path(tempfile.mkdtemp(prefix="vggfeat-crash-")))
    trial = Trial(options.seed, options.trial)
    failed = fails(bench, trial)
    bench.close()
    print("\n".join(trial.story), f"\nin {bench.place}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
