"""Whether an output is whole, whether it is up to date, and whether its rows are right."""

from __future__ import annotations

import hashlib
import os
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from vggfeat.errors import VggfeatError, describe_os_error
from vggfeat.extractor import Extractor
from vggfeat.plan import MOVED, Plan
from vggfeat.preprocess import Preprocessing
from vggfeat.settings import difference, settings
from vggfeat.sinks import form
from vggfeat.sinks.index import Entry, beside
from vggfeat.sinks.known import CHANGED, NEW, Known
from vggfeat.sinks.published import Published, TornError, header_of, open_generation
from vggfeat.sinks.rows import RowFile, checksum
from vggfeat.sources import open_inputs
from vggfeat.weights import Weights, choose

_EXACT = 1e-4  # of a row's norm: two engines in float32 differ by 1e-6
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
        output: `feats.npy` or `feats.csv`, with its companions beside it.
        against: the inputs that it was made from, to see whether they have changed since.
        recompute: how many rows, chosen at random, are to be computed again.
        weights: with which; as for `extract`.

    Raises:
        VggfeatError: it was not written by vggfeat or cannot be read; or the weights are others.
    """
    file = Path(os.path.realpath(output))
    findings = Findings(os.fspath(output))
    try:
        published, rows = _opened(file)
    except TornError as error:
        findings.damages.append(str(error))
        return findings
    findings.generation = published.about["generation"]
    findings.rows, findings.failed = len(published.entries), len(published.failures)
    with closing(rows):
        findings.damages += _damages(published, rows)
        if recompute and not findings.damages:
            _recompute(published, rows, recompute, choose(weights), findings)
    if against:
        findings.outdated = _outdated(published, [os.fspath(name) for name in against])
    return findings


def _opened(file: Path) -> tuple[Published, RowFile]:
    """An output of which all files are of one generation, while a run replaces them too.

    Raises:
        TornError: they do not belong together.
        VggfeatError: it was not written by vggfeat, or cannot be read.
    """

    def open_rows(published: Published) -> RowFile:
        about = published.about
        names = [entry.name for entry in published.entries]
        try:
            rows = RowFile(file, form(about["format"]), tuple(about["shape"]), names)
        except OSError as error:
            raise VggfeatError(f"{file}: cannot be read: {describe_os_error(error)}") from error
        except ValueError as error:
            raise VggfeatError(f"{file}: cannot be read: it is no file") from error
        if rows.begins_with(header_of(about)):
            return rows
        rows.close()
        raise TornError(f"{file} does not begin as {beside(file).about.name} tells")

    return open_generation(file, open_rows)


def _damages(published: Published, rows: RowFile) -> Iterator[str]:
    """What is wrong with the number of rows and with each row."""
    about, entries, failures = published
    told = {"rows": len(entries), "failed": len(failures)}
    for what, count in told.items():
        if about[what] != count:
            yield f"{about[what]:,} {what} are told, but {count:,} are listed"
    # More than that may be what a run is about to add, where the header tells the rows.
    too_long = rows.size > about["bytes"] and not form(about["format"]).HEADER_TELLS_ROWS
    if len(rows) != len(entries):
        yield f"{len(rows):,} whole rows, but {len(entries):,} are listed"
    elif rows.size < about["bytes"] or too_long:
        yield f"{rows.size:,} bytes, but {about['bytes']:,} were written"
    wrong = (
        f"row {row} ({entry.name}) {why}"
        for row, entry in enumerate(entries[: len(rows)])
        if (why := _wrong(rows, row, entry))
    )
    yield from islice(wrong, _TOLD)
    if more := sum(1 for _ in wrong):
        yield f"{more:,} more rows are wrong"


def _wrong(rows: RowFile, row: int, entry: Entry) -> str | None:
    if rows.checksum(row) != entry.crc32:
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


def _recompute(
    published: Published, rows: RowFile, count: int, weights: Weights, findings: Findings
) -> None:
    """Compute some rows again, of images that are still the same."""
    about, entries, _ = published
    preprocessing = Preprocessing(
        about["preprocessing"]["resize"], about["preprocessing"]["decode"] == "fast"
    )
    asked = settings(about["format"], about["layer"], preprocessing, about["engine"], weights)
    if why := difference(about, asked):
        raise VggfeatError(f"rows cannot be computed again: {why}; give --weights")
    extractor = Extractor(
        weights,
        about["layer"],
        engine=about["engine"],
        resize=preprocessing.resize,
        fast_decode=preprocessing.fast_decode,
    )
    some = sorted(random.sample(range(len(entries)), min(count, len(entries))))
    same = {row: data for row in some if (data := _unchanged(entries[row])) is not None}
    for row, vector in zip(same, extractor(list(same.values())), strict=True):
        before = rows.numbers(row)
        error = np.linalg.norm(vector.ravel() - before) / max(float(np.linalg.norm(before)), 1e-30)
        if error > _EXACT:
            findings.damages.append(
                f"row {row} ({entries[row].name}) is off by {error:.1e} of its norm when it is "
                "computed again"
            )
            continue
        findings.recomputed += 1
        findings.bit_equal += checksum(vector) == entries[row].crc32


def _unchanged(entry: Entry) -> bytes | None:
    """The content of an image's file, if it is the one that the row was made from."""
    try:
        data = Path(entry.name).read_bytes()
    except OSError:
        return None
    return data if hashlib.sha256(data).hexdigest() == entry.sha256 else None
