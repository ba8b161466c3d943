"""Errors of the file system, short writes and clocks: one line, and nothing is lost."""

from __future__ import annotations

import random

import pytest

from tests.crash import check, scene
from tests.crash.spec import Fault
from tests.crash.trial import ERRORS, Bench, Cut, check_error

KINDS = [("first", "feats.npy"), ("appended", "feats.npy"), ("middle", "feats.csv")]


@pytest.mark.parametrize(("name", "output"), KINDS)
@pytest.mark.parametrize("lasting", [False, True])
def test_an_error_at_any_call_costs_nothing_but_the_run(
    bench: Bench, name: str, output: str, lasting: bool
) -> None:
    shown = bench.scene(name, output)
    parts = 2 * len(ERRORS)
    step = len(shown.calls) / parts
    for part in range(parts):
        error = ERRORS[part % len(ERRORS)]
        at = min(int(part * step + random.uniform(0, step)) + 1, len(shown.calls))
        folder = bench.start(shown)
        cut = Cut(Fault(error, at, lasting), 0.0)
        print(cut, *shown.calls[at - 1])
        bench.cut(shown, folder, cut, random.Random())
        bench.rerun(shown, folder)


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("function", ["write", "fsync", "replace"])
def test_an_error_that_matters_is_never_success(bench: Bench, error: str, function: str) -> None:
    shown = bench.scene("middle", "feats.npy")
    about_rows = (function, "feats.npy.part" if function == "write" else "feats.npy.new")
    at = shown.calls.index(about_rows) + 1
    folder = bench.start(shown)
    ended = bench.server.run(shown.place / "after", shown.args(folder), f"{error}@{at}")
    assert ended.code == 1
    check_error(shown, folder, ended)
    assert "cannot be written" in ended.stderr
    check.whole(shown, folder)
    bench.rerun(shown, folder)


@pytest.mark.parametrize("file", ["feats.npy", "feats.npy.part", "feats.index.csv.new"])
def test_what_could_not_be_synced_is_not_taken_for_durable(bench: Bench, file: str) -> None:
    # The system tells it once: the next fsync of the same file succeeds, and nothing is written.
    shown = bench.scene("appended", "feats.npy")
    for at, call in enumerate(shown.calls, start=1):
        if call != ("fsync", file):
            continue
        for seed in range(2):
            folder = bench.start(shown)
            bench.cut(shown, folder, Cut(Fault("EIO", at), 0.0, power=True), random.Random(seed))
            bench.rerun(shown, folder, all_kept=False)


@pytest.mark.parametrize(("name", "output"), scene.names(["first", "appended", "middle"]))
def test_short_writes_are_gone_on_with(bench: Bench, name: str, output: str) -> None:
    shown = bench.scene(name, output)
    folder = bench.start(shown)
    ended = bench.server.run(shown.place / "after", shown.args(folder), "short@1+")
    assert ended.code == shown.code, ended
    check.same(shown, folder)


@pytest.mark.parametrize("seconds", [-10 * 365 * 86400, 100 * 365 * 86400])
def test_a_wrong_clock_changes_nothing(bench: Bench, seconds: int) -> None:
    shown = bench.scene("appended", "feats.npy")
    folder = bench.start(shown)
    at = len(shown.calls) // 2
    for spec in (f"clock={seconds},kill-after@{at}", f"clock={seconds}"):
        ended = bench.server.run(shown.place / "after", shown.args(folder), spec)
        assert ended.code in (-9, shown.code), ended
    check.same(shown, folder)
    bench.rerun(shown, folder)
    assert check.computed(shown, folder) == 0
