"""RESULTS.md: the tables as people read them."""

from __future__ import annotations

import statistics
from collections.abc import Callable

from tests.benchmarks.gpu import report as gpus
from tests.benchmarks.markdown import Column, error, gigabytes, paragraph, spread, table_of
from tests.benchmarks.measured import sentence
from tests.benchmarks.plan import Plan
from tests.benchmarks.results import Results, Row, Table
from tests.benchmarks.ways import KERAS, NCNN

HEAD = """\
# What vggfeat costs, beside other ways to the same vectors

Made by `make bench`, which measures it anew on your machine and writes this file. One full-size
random network in float32, up to fc7, the same numbers in the form that each way loads. Rounds go
in turn over all ways (A B C A B C); a figure is the median, what follows in brackets the range.
Files are in the page cache. All use processors alone, but for the section on GPUs at the end.
"""

ERRORS = """\
The error is that of fc7 against a float64 computation of the same pixels, the larger of two
photographs, relative to the vector's norm. vggfeat resizes the crop alone and the others the whole
image, which may differ by one level in a pixel; each is held against its own pixels.
"""

NETWORK = """\
Crops in memory, batches of 16, after one batch to warm up; a round is {images} images. vggfeat is
handed the round at once and makes batches of its own.
"""

FEW = """\
{images} photographs of 500x375: what one feels at a prompt. Each is a whole process that loads the
network, decodes with Pillow and writes one `.npy`; vggfeat's is the command `vggfeat extract`. The
others decode the next batch in threads while one is computed, but for the loop of one image a
call. The first vector counts from the start of the process to the end of the first batch; the
single photograph is a process of its own, run once.
"""

MANY = """\
{images} photographs of 500x375, as a nightly job has them.
"""

LARGE = """\
{images} photographs of 12 megapixels (4000x3000), where decoding costs as much as the network.
`--fast-decode` has the JPEG decoder shrink the image, which moves pixels: its error is that of the
vector against the exact pixels'.
"""

CSV = """\
The same {images} photographs written as `.npy` and as CSV by the ncnn engine, in turn.
"""

ROUNDS = {
    "network": "the network alone",
    "few": "a few photographs",
    "many": "many photographs",
    "large": "large ones",
    "csv": "CSV beside .npy",
    "cost": "cost against work",
}

COST = """\
Photographs of 500x375 through `vggfeat extract --engine ncnn`, whole process.

![Time and memory against the number of photographs](cost.svg)
"""


def write(results: Results, plan: Plan, before: str = "") -> str:
    """The whole file.

    Args:
        before: what it has been, of which that stays which was not measured: a machine with a GPU
            need not measure its processors, nor one without lose the figures of another's GPU.
    """
    processors, _, gpu = before.partition(gpus.TITLE)
    if ROUNDS.keys() & results.tables.keys():
        processors = _processors(results, plan) + "\n"
    if set(gpus.NAMES) & results.tables.keys() or not gpu:
        return (processors or f"{HEAD}\n") + gpus.write(results)
    return processors + gpus.TITLE + gpu


def _processors(results: Results, plan: Plan) -> str:
    tables = {name: table for name, table in results.tables.items() if name in ROUNDS}
    parts = [HEAD, _rounds(tables) + sentence(results.machine, tables.values())]
    if "network" in tables or "many" in tables:
        parts.append("![Images per second of each way](rates.svg)\n")
    for name, title, text, columns in _sections():
        if name in tables:
            rows = tables[name].rows
            images = plan.network_batches * 16 if name == "network" else rows[0].images
            said = text.format(images=f"{images:,}")
            parts += [f"## {title}\n", said, table_of(rows, columns(tables[name]))]
            said = _csv_ratio(tables[name]) if name == "csv" else _ratios(tables[name])
            if said:
                parts.append(said)
    return "\n".join(parts)


def _sections() -> list[tuple[str, str, str, Callable[[Table], list[Column]]]]:
    return [
        ("network", "The network alone", NETWORK, _network_columns),
        ("few", "A few photographs", FEW + "\n" + ERRORS, _single_columns),
        ("many", "Many photographs", MANY, _file_columns),
        ("large", "Large photographs", LARGE, _file_columns),
        ("csv", "CSV beside .npy", CSV, _csv_columns),
        ("cost", "Cost against work", COST, _cost_columns),
    ]


def _network_columns(table: Table) -> list[Column]:
    return [
        ("way", lambda row: row.label),
        ("images/s", lambda row: spread(row.rates, "{:.2f}")),
        ("times Keras", lambda row: _times(row, table)),
        ("error", error),
    ]


def _file_columns(table: Table) -> list[Column]:
    return [
        ("way", lambda row: row.label),
        ("seconds", lambda row: spread(row.seconds, "{:.1f}")),
        ("images/s", lambda row: f"{row.rate:.2f}"),
        ("times Keras", lambda row: _times(row, table)),
        ("first vector, s", lambda row: spread(row.first, "{:.2f}")),
        ("peak memory, GB", lambda row: gigabytes(row.peaks)),
        ("error", error),
    ]


def _single_columns(table: Table) -> list[Column]:
    columns = _file_columns(table)
    columns.insert(5, ("a single photograph, s", lambda row: spread(row.single, "{:.2f}")))
    return columns


def _csv_columns(table: Table) -> list[Column]:
    return [
        ("form", lambda row: row.label),
        ("seconds", lambda row: spread(row.seconds, "{:.2f}")),
        ("images/s", lambda row: f"{row.rate:.2f}"),
    ]


def _cost_columns(table: Table) -> list[Column]:
    return [
        ("photographs", lambda row: f"{row.images:,}"),
        ("cores", lambda row: str(row.cores)),
        ("seconds", lambda row: spread(row.seconds, "{:.1f}")),
        ("images/s", lambda row: f"{row.rate:.2f}"),
        ("peak memory, GB", lambda row: gigabytes(row.peaks)),
    ]


def _times(row: Row, table: Table) -> str:
    keras = table.row(KERAS.name)
    return f"{row.rate / keras.rate:.2f}" if keras else "-"


def _ratios(table: Table) -> str:
    """How many times as fast the ncnn engine is: the figure that people look for."""
    ours, keras = table.row(NCNN.name), table.row(KERAS.name)
    others = [row for row in table.rows if not row.failed and not row.name.startswith("vggfeat")]
    if not ours or not keras:
        return ""
    best = max(others, key=lambda row: row.rate)
    text = (
        f"The ncnn engine makes {ours.rate / keras.rate:.2f} times the images/s of Keras in "
        f"batches, and {ours.rate / best.rate:.2f} times those of the best of the others "
        f"({best.label})."
    )
    return paragraph(text)


def _csv_ratio(table: Table) -> str:
    npy, csv = table.row("npy"), table.row("csv")
    if not npy or not csv:
        return ""
    more = statistics.median(csv.seconds) / statistics.median(npy.seconds) - 1
    return f"CSV takes {abs(more):.1%} {'more' if more >= 0 else 'less'} time.\n"


def _rounds(tables: dict[str, Table]) -> str:
    counts = [
        f"{max((len(row.rates) for row in tables[name].rows), default=0)} of {text}"
        for name, text in ROUNDS.items()
        if name in tables
    ]
    return paragraph(f"Rounds: {', '.join(counts)}.") + "\n" if counts else ""
