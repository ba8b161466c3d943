"""One trial: a run is cut off, once or several times, and the next must make good."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from tests.crash import check, scene
from tests.crash.journal import cut_power
from tests.crash.layer import HALVED
from tests.crash.scene import Scene
from tests.crash.server import ROOT, Ended, Server
from tests.crash.spec import MOMENTS, Fault

ERRORS = ("ENOSPC", "EIO", "EDQUOT", "EROFS")

_BATCHES_IN_FLIGHT = 4
_IMAGES_IN_FLIGHT = 2 * (_BATCHES_IN_FLIGHT + 1)  # batches of 2, and as many being prepared


class Cut(NamedTuple):
    """How a run is cut off: at a call, or after a time; by a kill alone, or by a power cut.

    `real`: it is `python -m vggfeat`, killed from outside after a time.
    """

    fault: Fault | None
    seconds: float
    power: bool = False
    real: bool = False

    def __str__(self) -> str:
        if self.real:
            return f"python -m vggfeat, kill after {self.seconds:.3f} s"
        when = str(self.fault) if self.fault else f"kill after {self.seconds:.3f} s"
        return f"{when}, power cut" if self.power else when


class Bench:
    """Scenes and a server for trials, in a folder."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._scenes: dict[tuple[str, str], Scene] = {}
        self.environment = scene.environment(place)
        self.server = Server(self.environment)

    def scene(self, name: str, output: str) -> Scene:
        """A change with a form of output; played through in calm when it is first asked for."""
        if (name, output) not in self._scenes:
            place = self.place / f"{name}-{output}"
            self._scenes[name, output] = scene.make(self.server, place, name, output)
        return self._scenes[name, output]

    def start(self, shown: Scene) -> Path:
        """A folder with the old output."""
        scene.copy(shown.old, self.place / "out")
        return self.place / "out"

    def close(self) -> None:
        self.server.close()

    def cut(self, shown: Scene, output: Path, cut: Cut, chance: random.Random) -> int:
        """Run into a cut, and check what it leaves; the exit code.

        A run may also end before the cut.
        """
        if cut.real:
            code = self._kill_real(shown, output, cut.seconds)
        else:
            code = self._kill(shown, output, cut, chance)
        check.whole(shown, output)
        return code

    def _kill_real(self, shown: Scene, output: Path, seconds: float) -> int:
        command = [sys.executable, "-m", "vggfeat", *shown.args(output)]
        process = subprocess.Popen(
            command,
            cwd=shown.place / "after",
            env={**os.environ, **self.environment, "PYTHONPATH": str(ROOT)},
            stderr=subprocess.DEVNULL,
        )
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(seconds)
        process.kill()
        code = process.wait()
        assert code in (-9, shown.code), f"the run ended with {code}"
        return code

    def _kill(self, shown: Scene, output: Path, cut: Cut, chance: random.Random) -> int:
        journal, computed = self.place / "journal", self.place / "computed"
        computed.unlink(missing_ok=True)
        spec = f"computed={computed},{cut.fault or '-'}"
        if cut.power:
            shutil.rmtree(journal, ignore_errors=True)
            journal.mkdir()
            spec += f",journal={journal}"
        known = check.rows_there(shown, output)
        kill_after = None if cut.fault else cut.seconds
        ended = self.server.run(shown.place / "after", shown.args(output), spec, kill_after)
        if cut.fault and cut.fault.action not in MOMENTS:
            check_error(shown, output, ended)
        else:
            assert ended.code in (-9, shown.code), ended
        if cut.power:
            cut_power(journal, output, chance)
        elif ended.code == -9 and computed.exists():
            gained = check.rows_there(shown, output) - known
            lost = computed.stat().st_size - len(gained)
            assert lost <= _IMAGES_IN_FLIGHT, f"the work on {lost} images is lost"
        return ended.code

    def rerun(
        self, shown: Scene, output: Path, state: str = "after", *, all_kept: bool = True
    ) -> None:
        """Run in peace, and check that the result is that of a run that was never disturbed.

        `all_kept`: check as well that nothing is computed that was there. A power cut may tear it.
        """
        there = check.rows_there(shown, output)
        code = scene.calm(self.server, shown, output, state)
        calm = shown.code if state == "after" else _code_of(shown.old)
        assert code == calm, f"the run ended with {code}"
        check.same(shown, output, state)
        if state == "after" and all_kept:
            missing = check.rows_missing(shown, there)
            computed = check.computed(shown, output)
            assert computed <= missing, f"{computed} images are computed, {missing} were missing"


def check_error(shown: Scene, output: Path, ended: Ended) -> None:
    """A run that met an error ends with one line; or with success where it can do without."""
    if ended.code != 1:
        assert ended.code == shown.code, ended
        check.published(shown, output)
        return
    assert len(ended.stderr.splitlines()) == 1, ended
    assert ended.stderr.startswith("vggfeat: "), ended
    assert "a fault in vggfeat itself" not in ended.stderr, ended


def _code_of(output: Path) -> int:
    return 3 if any(output.glob("*.failed.csv")) else 0


class Trial:
    """What a seed and a number stand for: a change, cuts, and a last run.

    The first cut of the trials of a change walks through all its calls, in an order of the seed;
    others, and those of the numbers beyond, are drawn.

    Attributes:
        story: what has happened.
        kills: how many runs were cut off.
    """

    def __init__(self, seed: int, number: int) -> None:
        kinds = scene.names()
        self._seed = seed
        self._chance = random.Random(f"{seed}/{number}")
        self._step, kind = divmod(number, len(kinds))
        self._kind = kinds[kind]
        self.story = [" ".join(self._kind)]
        self.kills = 0

    def run(self, bench: Bench) -> None:
        """Raises AssertionError where something does not hold."""
        chance = self._chance
        shown = bench.scene(*self._kind)
        output = bench.start(shown)
        power = False
        for number in range(chance.choice((1, 1, 1, 1, 2, 3))):
            cut = draw(shown, chance)
            if number == 0 and self._step < len(steps := walk(shown, self._seed)):
                step = steps[self._step]
                cut = Cut(step, 0.0, chance.random() < (0.7 if step.at >= shown.decided else 0.3))
            call = " ".join(shown.calls[cut.fault.at - 1]) if cut.fault and number == 0 else ""
            self.story.append(f"{cut} {call}")
            power |= cut.power
            self.kills += bench.cut(shown, output, cut, chance) == -9
        state = "before" if any(shown.old.iterdir()) and chance.random() < 0.15 else "after"
        self.story.append(f"rerun in the folder as it is {state}")
        bench.rerun(shown, output, state, all_kept=not power)


def walk(shown: Scene, seed: int) -> list[Fault]:
    """A kill after each call, and amid each write, in an order of the seed."""
    faults = [Fault("kill-before", 1)]
    for at, (function, _) in enumerate(shown.calls, start=1):
        faults.append(Fault("kill-after", at))
        if function in HALVED:
            faults.append(Fault("kill-amid", at))
    random.Random(seed).shuffle(faults)
    return faults


def draw(shown: Scene, chance: random.Random) -> Cut:
    """A cut of any kind."""
    if chance.random() < 0.06:
        return Cut(None, chance.uniform(0.3, 1.5), real=True)
    at = chance.randint(1, len(shown.calls))
    if chance.random() < 0.4:  # the moments in which the output is replaced
        at = chance.randint(shown.decided, len(shown.calls))
    power = chance.random() < 0.4
    kind = chance.random()
    if kind < 0.5:
        return Cut(Fault(chance.choice(MOMENTS), at), 0.0, power)
    if kind < 0.7:
        return Cut(Fault(chance.choice(ERRORS), at, chance.random() < 0.3), 0.0, power)
    # No power cut: the kill may come between a call and its record.
    return Cut(None, chance.uniform(0, 1.1 * shown.seconds))
