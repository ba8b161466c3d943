"""The section of RESULTS.md on GPUs."""

from __future__ import annotations

from tests.benchmarks.gpu import flop, tables
from tests.benchmarks.gpu.files import DECODING
from tests.benchmarks.measured import sentence
from tests.benchmarks.results import Results, Row

TITLE = "## GPUs\n"
NAMES = ("gpu_ceiling", "gpu_network", "gpu_peers", "gpu_files")

NOT_MEASURED = """\
No machine with a GPU has been measured yet, so there are no figures here. `make bench` makes them
where TensorFlow finds one; [NOTES.md](NOTES.md) says how in ten minutes, and what hangs on them.
"""

MEASURED = """\
One card, and one full-size random network. Figures are medians of the rounds, with the range in
brackets.
"""

CEILING = f"""\
Products of large square matrices of random numbers, the best of all rounds and sizes. Up to fc7 an
image is {flop.an_image() / 1e9:.2f} GFLOP, a multiplication and an addition being two. That gives
the most images that the card could compute, unless by convolutions with fewer multiplications
(Winograd's).
"""

NETWORK = """\
Crops in memory, in batches that go to the card as uint8 and come back as float32 vectors, after all
has been compiled. A way has the card for itself; its variants take turns. Shares are of the ceiling
in the same precision. The error is that of fc7 against float64, relative to the vector's norm.
"""

BY_BATCH = "vggfeat's engine as it is, images/s by the size of the batch:\n"
BY_COMPILATION = "The same compiled in each way, images/s with batches of {batch}:\n"
BESIDE = "Beside others, batches of {batch}:\n"

FILES = """\
{images} photographs of 500x375 through `vggfeat extract`, the whole process. Decoding alone made
{decoding}: the same pipeline with nothing to compute. The possible is the smaller of that and
the rate of the network alone; beside it stands the second half of the run, as at the first vectors
many photographs have been decoded already. The card waits for as long as the run is slower than
the network.
"""


def write(results: Results) -> str:
    """The section, with its title."""
    measured = {name: results.tables[name] for name in NAMES if name in results.tables}
    if not measured:
        return f"{TITLE}\n{NOT_MEASURED}"
    rows = {name: measured[name].rows if name in measured else [] for name in NAMES}
    parts = [TITLE, MEASURED, sentence(results.machine, measured.values(), card=True)]
    if rows["gpu_ceiling"]:
        parts += ["### The ceiling\n", CEILING, tables.ceiling(rows["gpu_ceiling"])]
    if rows["gpu_network"] or rows["gpu_peers"]:
        parts += ["### The network alone\n", NETWORK, *_network(rows)]
    if rows["gpu_files"]:
        parts += ["### Photographs\n", *_files(rows["gpu_files"], rows["gpu_network"])]
    return "\n".join(parts)


def _network(rows: dict[str, list[Row]]) -> list[str]:
    engine, peers = rows["gpu_network"], rows["gpu_peers"]
    most = tables.ceilings(rows["gpu_ceiling"])
    batch = (engine or peers)[0].batch
    compared = _of_batch(engine, batch)
    parts = []
    if engine:
        parts += [BY_BATCH, tables.by_batch(engine, most)]
        parts += [BY_COMPILATION.format(batch=batch), tables.by_compilation(compared)]
    if peers:
        beside = [*tables.own(compared), *_of_batch(peers, batch)]
        parts += [BESIDE.format(batch=batch), tables.beside(beside, most)]
    if reasons := tables.reasons([*engine, *peers]):
        parts.append(reasons.lstrip())
    return parts


def _files(files: list[Row], engine: list[Row]) -> list[str]:
    decoding = next(row for row in files if row.name == DECODING)
    told = f"{decoding.rate:,.1f} images/s" if decoding.rates else "no figure"
    text = FILES.format(images=f"{decoding.images:,}", decoding=told)
    return [text, tables.files(files, _of_batch(engine, files[-1].batch))]


def _of_batch(rows: list[Row], batch: int) -> list[Row]:
    return [row for row in rows if row.batch == batch]
