"""What is said where nothing can be drawn over, and when."""

from __future__ import annotations

import io
import itertools
import sys
import time

import pytest

from vggfeat.cli import console
from vggfeat.cli.console import Console, duration


class Clock:
    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(console, "time", clock)
    return clock


def test_lines_are_rare_and_get_rarer(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    watcher = Console(quiet=False)
    watcher.start(100_000)
    said = []
    for second in range(1, 7200):
        clock.now = second
        watcher.advance(10)
        if capsys.readouterr().err:
            said.append(second)
    assert said[:5] == [10, 30, 70, 150, 310]
    assert {late - early for early, late in itertools.pairwise(said[7:])} == {600}


def test_a_line_says_how_far_how_fast_and_how_long(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    watcher = Console(quiet=False)
    watcher.start(10_000)
    clock.now = 20
    watcher.advance(1_000)
    expected = "vggfeat: 1,000 of 10,000 images, 50.0 images/s, 3 min 0 s left\n"
    assert capsys.readouterr().err == expected


def test_without_a_total_nothing_is_promised(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    watcher = Console(quiet=False)
    watcher.start(None)
    clock.now = 20
    watcher.advance(1_000)
    assert capsys.readouterr().err == "vggfeat: 1,000 images, 50.0 images/s\n"


@pytest.mark.parametrize(
    ("stage", "said"),
    [
        ("network", ", the network limits"),
        ("decoding", ", decoding limits"),
        ("reading", ", reading limits"),
        ("writing", ", writing limits"),
        (None, ""),
    ],
)
@pytest.mark.parametrize(
    ("total", "told"),
    [(10_000, "1,000 of 10,000 images, 50.0 images/s, 3 min 0 s left"),
     (None, "1,000 images, 50.0 images/s")],
)  # fmt: skip
def test_a_line_ends_in_what_limits_the_rate(
    total: int | None,
    told: str,
    stage: str | None,
    said: str,
    clock: Clock,
    capsys: pytest.CaptureFixture[str],
) -> None:
    watcher = Console(quiet=False)
    watcher.start(total)
    clock.now = 20
    watcher.limited(stage)
    watcher.advance(1_000)
    assert capsys.readouterr().err == f"vggfeat: {told}{said}\n"


def test_the_bar_shows_what_limits_the_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stderr", terminal)
    watcher = Console(quiet=False)
    watcher.start(10_000)
    watcher.limited(None)
    watcher.limited("network")
    time.sleep(0.2)  # the bar is drawn no more often
    watcher.advance(5_000)
    watcher.stop()
    assert "images/s, the network limits]" in terminal.getvalue()


def test_quiet_says_nothing(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    watcher = Console(quiet=True)
    watcher.start(10)
    clock.now = 100
    watcher.advance(5)
    watcher.note("hello")
    watcher.fetching(5, 10)
    watcher.stop()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.04, "0.0 s"),
        (59.94, "59.9 s"),
        (60, "1 min 0 s"),
        (3599, "59 min 59 s"),
        (7500, "2 h 5 min"),
    ],
)
def test_durations_read_well(seconds: float, said: str) -> None:
    assert duration(seconds) == said
