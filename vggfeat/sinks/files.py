"""Output to a file and its companions: whole when it appears, and never over another's work."""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from vggfeat.errors import VggfeatError
from vggfeat.outcome import Failure, Outcome, Row
from vggfeat.settings import decodes_alike, difference
from vggfeat.sinks.known import Kept, Known
from vggfeat.sinks.part import writing
from vggfeat.sinks.publish import publish
from vggfeat.sinks.published import Published, TornError, read
from vggfeat.sinks.settle import settle
from vggfeat.sinks.unfit import unfit
from vggfeat.sinks.vectors import file_names, vectors_of
from vggfeat.sinks.work import Work


class FileSink:
    """`feats.npy`, `feats.index.csv`, `feats.json` and, if need be, `feats.failed.csv`.

    Of several layers `feats.fc7.npy`, `feats.pool5.avg.npy` and so on, over one index.

    Args:
        output: the file to make, locked; a symbolic link is to be followed before.
        settings: what a row depends on, as `settings.settings` gives it.
        fresh: let nothing count that earlier runs have made.
        on_note: told, in words, why earlier rows do not count.

    Attributes:
        known: what earlier runs have made, as far as it counts.
        resumed: how many rows are known from a run that was cut off.
        before: the generation that is there, whether its rows count or not.

    Raises:
        VggfeatError: it cannot be written, or was not written by vggfeat.
    """

    def __init__(
        self,
        output: Path,
        settings: dict[str, Any],
        *,
        fresh: bool = False,
        on_note: Callable[[str], None] = lambda message: None,
    ) -> None:
        self._output = output
        layers = _placed(output, settings["layers"])
        self._settings = {"began_ns": time.time_ns()} | settings | {"layers": layers}
        self._on_note = on_note
        self._working = False
        self._kept: Published | None = None
        self.before: Published | None = None
        self.known = Known()
        settle(output)
        self._work = Work(output, vectors_of(output, self._settings))
        self._take_up(fresh)
        self.resumed = len(self._work.entries)

    def _take_up(self, fresh: bool) -> None:
        """Find out what of the work in progress, and of the output that is there, counts."""
        why = None
        try:
            self.before = read(self._output)
        except TornError as error:
            why = str(error)
        if self.before:
            about = self.before.about
            why = unfit(self._output, self.before) or difference(about, self._settings)
        if fresh:
            return
        if why:
            self._on_note(f"all is computed anew: {why}")
        if self.before and not why:
            self._kept = self.before
            self._add(self.before.about, self.before, published=True)
        if not self._work.settings:
            return
        if other := difference(self._work.settings, self._settings):
            self._on_note(f"what a run that was cut off has computed is given up: {other}")
        else:
            self._work.resume()
            self._add(self._work.settings, self._work, published=False)

    def _add(self, made: dict[str, Any], of: Work | Published, *, published: bool) -> None:
        failures = of.failures if decodes_alike(made, self._settings) else []
        self.known.add(of.entries, failures, made["began_ns"], published=published)

    @property
    def contents(self) -> Container[str]:
        """sha256 of all files whose rows are there."""
        return self.known.contents

    def write(self, outcomes: Sequence[Outcome]) -> list[Kept | Failure]:
        """Take the outcomes of a batch, and have on the disk what was computed."""
        rows = [outcome for outcome in outcomes if isinstance(outcome, Row)]
        failures = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
        first = len(self._work.entries)
        if rows or failures:
            if not self._working:
                self._work.start(self._settings)
                self._working = True
            self._work.add(rows, failures)
        computed = enumerate(self._work.entries[first:], first)
        done: list[Kept | Failure] = []
        for outcome in outcomes:
            if isinstance(outcome, Row):
                row, entry = next(computed)
                done.append(Kept(entry, False, row))
            elif isinstance(outcome, Failure):
                done.append(outcome)
            else:
                done.append(self.known.recognised(outcome))
        return done

    def publish(self, done: Sequence[Kept | Failure], about: dict[str, Any]) -> None:
        """Let the whole output appear.

        Args:
            done: what has become of each image, in the order of the rows.
            about: what `feats.json` is to tell beside the settings.
        """
        rows = [item for item in done if isinstance(item, Kept)]
        failures = [item for item in done if isinstance(item, Failure)]
        began = self._settings["began_ns"]
        if self.resumed:
            began = min(began, self._work.settings["began_ns"])
        told = self._settings | about | {"output": self._output.name, "began_ns": began}
        if replaced := self._replaced():
            *earlier, run = told["runs"]
            told["runs"] = [*earlier, run | {"replaced": replaced}]
        self._work.close()
        publish(self._output, rows, failures, told, self._kept, self._work)
        with writing(self._output):
            self._work.remove()

    def _replaced(self) -> list[str]:
        """The names of files of layers that are not asked for any more."""
        there = [layer["file"] for layer in self.before.about["layers"]] if self.before else []
        asked = {layer["file"] for layer in self._settings["layers"]}
        return [name for name in there if name not in asked]

    def keep(self) -> str | None:
        """End early; say what is kept of the work, None where nothing is."""
        rows = len(self._work.entries)
        with suppress(OSError, VggfeatError):
            settle(self._output)
            self._work.close()
            if self._working and not rows and not self._work.failures:
                self._work.remove()
        return f"{rows:,} rows are kept for the next run" if rows else None


def _placed(output: Path, layers: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The layers of a run, each with the name of its file."""
    names = file_names(output, [layer["layer"] for layer in layers])
    return [layer | {"file": name} for layer, name in zip(layers, names, strict=True)]
