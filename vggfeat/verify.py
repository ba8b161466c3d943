"""Whether an output is whole, whether it is up to date, and whether its rows are right."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from vggfeat.errors import VggfeatError, describe_os_error
from vggfeat.features import local_file
from vggfeat.plan import MOVED, Plan
from vggfeat.recompute import recompute as recomputed
from vggfeat.sinks.index import Entry, beside
from vggfeat.sinks.known import CHANGED, NEW, Known
from vggfeat.sinks.published import Published, TornError, open_generation, output_of
from vggfeat.sinks.rows import Rows
from vggfeat.sinks.vectors import Vectors, vectors_of
from vggfeat.sources import open_inputs
from vggfeat.weights import Weights, choose

_TOLD = 10  # rows that are named one by one


@dataclass
class Findings:
    """What was found of an output.

    Attributes:
        output: the file.
        generation: of which generation it is.
        rows: how many there are.
        failed: images that have none.
        damages: what is wrong with it, a sentence each.
        outdated: how many images are new, changed or gone; empty where that was not asked for.
        recomputed: rows that were computed again and found right.
        bit_equal: how many of those to the last bit.
    """

    output: str
    generation: str = ""
    rows: int = 0
    failed: int = 0
    damages: list[str] = field(default_factory=list)
    outdated: dict[str, int] = field(default_factory=dict)
    recomputed: int = 0
    bit_equal: int = 0

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def verify(
    output: str | os.PathLike[str],
    *,
    against: Sequence[str | os.PathLike[str]] = (),
    recompute: int = 0,
    weights: str | os.PathLike[str] | Weights | None = None,
) -> Findings:
    """Look through an output that `extract` has written.

    Args:
        output: `feats.npy`, `feats.csv` or of another form, with its companions beside it.
        against: the inputs that it was made from, to see whether they have changed since.
        recompute: how many rows, chosen at random, are to be computed again.
        weights: with which; as for `extract`.

    Raises:
        VggfeatError: it was not written by vggfeat or cannot be read; or the weights are others.
    """
    file = output_of(local_file(output))
    findings = Findings(os.fspath(output))
    with ExitStack() as opened:
        try:
            published, layers = open_generation(file, lambda told: _rows_of(file, told, opened))
        except TornError as error:
            findings.damages.append(str(error))
            return findings
        findings.generation = published.about["generation"]
        findings.rows, findings.failed = len(published.entries), len(published.failures)
        findings.damages += _miscounts(published)
        for vectors, rows in zip(vectors_of(file, published.about), layers, strict=True):
            findings.damages += _damages(published, vectors, rows)
        if recompute and not findings.damages:
            again = recomputed(published, layers, recompute, choose(weights))
            findings.recomputed, findings.bit_equal, findings.damages = again
    if against:
        findings.outdated = _outdated(published, [os.fspath(name) for name in against])
    return findings


def _rows_of(file: Path, published: Published, opened: ExitStack) -> list[Rows]:
    """The rows of each layer.

    Raises:
        TornError: they are not as `feats.json` tells.
        VggfeatError: they cannot be read.
    """
    layers = []
    for vectors in vectors_of(file, published.about):
        try:
            rows = opened.enter_context(closing(vectors.open(published.entries)))
            ours = vectors.holds(published.about["rows"])
        except OSError as error:
            reason = describe_os_error(error)
            raise VggfeatError(f"{vectors.path}: cannot be read: {reason}") from error
        except ValueError as error:
            raise TornError(
                f"{vectors.path}: is no whole .{published.about['format']} file ({error})"
            ) from error
        if not ours:
            raise TornError(f"{vectors.path} does not begin as {beside(file).about.name} tells")
        layers.append(rows)
    return layers


def _miscounts(published: Published) -> Iterator[str]:
    about, entries, failures = published
    told = {"rows": len(entries), "failed": len(failures)}
    for what, count in told.items():
        if about[what] != count:
            yield f"{about[what]:,} {what} are told, but {count:,} are listed"


def _damages(published: Published, file: Vectors, rows: Rows) -> Iterator[str]:
    """What is wrong with the number of rows of a layer, and with each row."""
    about, entries, _ = published
    told = about["layers"][file.column]
    of = f"{told['layer']}: " if len(about["layers"]) > 1 else ""
    # More than that may be what a run is about to add, where the header tells the rows.
    too_long = rows.size > told["bytes"] and not file.grows
    if len(rows) != len(entries):
        yield f"{of}{len(rows):,} whole rows, but {len(entries):,} are listed"
    elif rows.size < told["bytes"] or too_long:
        yield f"{of}{rows.size:,} bytes, but {told['bytes']:,} were written"
    wrong = (
        f"{of}row {row} ({entry.name}) {why}"
        for row, entry in enumerate(entries[: len(rows)])
        if (why := _wrong(rows, row, entry))
    )
    yield from islice(wrong, _TOLD)
    if more := sum(1 for _ in wrong):
        yield f"{of}{more:,} more rows are wrong"


def _wrong(rows: Rows, row: int, entry: Entry) -> str | None:
    if not rows.has(row, entry):
        return "has not the checksum that is listed"
    return None if np.isfinite(rows.numbers(row)).all() else "holds NaN or infinity"


def _outdated(published: Published, inputs: Sequence[str]) -> dict[str, int]:
    """How many images a run would look at or drop, by the reason."""
    known = Known()
    known.add(*published[1:], published.about["began_ns"], published=True)
    plan = Plan(known, strict=False)
    reasons = Counter(plan.why(image) for image in plan.unknown(open_inputs(inputs)))
    listed = chain(
        (entry.name for entry in published.entries),
        (failure.name for failure in published.failures),
    )
    counts = {
        "new": reasons[NEW],
        "changed": reasons[CHANGED],
        "moved": reasons[MOVED],
        "gone": len(plan.gone(listed)),
        "in another order": plan.moves(),
    }
    return {what: count for what, count in counts.items() if count}
