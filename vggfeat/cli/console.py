"""What the user sees of a run: on stderr, but for what is only foreseen, which is asked for."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any

import click

from vggfeat.stages import NETWORK
from vggfeat.watcher import Watcher

if TYPE_CHECKING:
    from vggfeat.outcome import Failure

_FAILURES_SHOWN = 10
_FIRST_LINE_AFTER = 10.0  # seconds; then twice as long each time, up to:
_LINES_APART = 600.0


class Console(Watcher):
    """A progress bar on a terminal, a plain line now and then elsewhere, nothing if quiet.

    Args:
        quiet: say nothing.
        label: which of several processes it is, where they may write to one terminal or log.
    """

    def __init__(self, *, quiet: bool, label: str = "") -> None:
        self._quiet = quiet
        self._label = label
        self._bar: Any = None
        self._failures = 0
        self._lines = _Lines(self.note, f"{label}: " if label else "")

    def note(self, message: str) -> None:
        if self._quiet:
            return
        line = f"vggfeat: {message}"
        if self._bar is not None:
            self._bar.clear()
            click.echo(line, err=True)
            self._bar.refresh()
        else:
            click.echo(line, err=True)

    def fetching(self, done: int, total: int | None) -> None:
        if self._bar is None:
            self._open_bar(total, desc="weights", unit="B", unit_scale=True, initial=done)
        elif not self._quiet:
            self._bar.update(done - self._bar.n)
        if total is not None and done >= total:
            self.stop()

    def foreseen(self, name: str, why: str) -> None:
        click.echo(b"%-14b %b" % (why.encode(), os.fsencode(name)))

    def start(self, total: int | None) -> None:
        self._open_bar(total, unit=" images", desc=self._label or None)
        self._lines.start(total)

    def advance(self, images: int) -> None:
        if self._bar is not None:
            self._bar.update(images)
        else:
            self._lines.advance(images)

    def limited(self, by: str | None) -> None:
        said = "" if by is None else f"{'the network' if by == NETWORK else by} limits"
        self._lines.limit = said
        if self._bar is not None and said:
            self._bar.set_postfix_str(said, refresh=False)

    def failed(self, failure: Failure) -> None:
        self._failures += 1
        if self._failures <= _FAILURES_SHOWN:
            self.note(f"{failure.name}: {failure.reason}")
        elif self._failures == _FAILURES_SHOWN + 1:
            self.note("more images fail; not all are shown here")

    def stop(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _open_bar(self, total: int | None, **options: Any) -> None:
        if self._quiet or not sys.stderr.isatty():
            return
        from tqdm import tqdm

        self._bar = tqdm(total=total, leave=False, dynamic_ncols=True, smoothing=0.1, **options)


class _Lines:
    """Progress where nothing can be drawn over: rare lines, rarer as the run gets longer."""

    def __init__(self, say: Any, label: str) -> None:
        self._say = say
        self._label = label
        self.limit = ""  # what limits the rate, in words

    def start(self, total: int | None) -> None:
        self._total = total
        self._done = 0
        self._started = time.monotonic()
        self._wait = _FIRST_LINE_AFTER
        self._next = self._started + self._wait

    def advance(self, images: int) -> None:
        self._done += images
        now = time.monotonic()
        if now < self._next or self._done == self._total:
            return
        self._wait = min(2 * self._wait, _LINES_APART)
        self._next = now + self._wait
        rate = self._done / (now - self._started)
        line = f"{self._done:,} images, {rate:.1f} images/s"
        if self._total is not None:
            left = duration((self._total - self._done) / rate)
            line = f"{self._done:,} of {self._total:,} images, {rate:.1f} images/s, {left} left"
        self._say(f"{self._label}{line}, {self.limit}" if self.limit else f"{self._label}{line}")


def duration(seconds: float) -> str:
    """`9.5 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
