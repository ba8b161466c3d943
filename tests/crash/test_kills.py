"""Killed at any moment, or cut off from power: the next run gives what an undisturbed one gives.

The moments are drawn anew each time; VGGFEAT_SEED repeats them. `make torture` has many more.
"""

from __future__ import annotations

import os
import random

import pytest

from tests.crash.spec import Fault
from tests.crash.trial import Bench, Cut, Trial

SEED = int(os.environ.get("VGGFEAT_SEED") or random.SystemRandom().randrange(10**6))


@pytest.mark.parametrize("number", range(24))
def test_after_a_kill_the_next_run_gives_what_an_undisturbed_one_gives(
    bench: Bench, number: int
) -> None:
    trial = Trial(SEED, number)
    print(f"to repeat: python -m tests.crash --seed {SEED} --trial {number}")
    try:
        trial.run(bench)
    finally:
        print("\n".join(trial.story))


@pytest.mark.parametrize(("name", "output"), [("appended", "feats.npy"), ("failures", "feats.csv")])
def test_after_a_power_cut_while_the_output_is_replaced_the_next_run_is_whole(
    bench: Bench, name: str, output: str
) -> None:
    shown = bench.scene(name, output)
    for at in range(shown.decided, len(shown.calls) + 1):
        for seed in (SEED, SEED + 1):
            print(f"kill-after@{at}, power cut of seed {seed}: {' '.join(shown.calls[at - 1])}")
            folder = bench.start(shown)
            cut = Cut(Fault("kill-after", at), 0.0, power=True)
            bench.cut(shown, folder, cut, random.Random(seed))
            bench.rerun(shown, folder, all_kept=False)
