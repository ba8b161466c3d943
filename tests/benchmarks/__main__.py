"""What `make bench` runs: measure, keep the results, write RESULTS.md and the figures."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial

from tests.benchmarks import arguments, cost, machine, network, photographs, results
from tests.benchmarks.folder import Folder
from tests.benchmarks.gpu import ceiling, files
from tests.benchmarks.gpu import network as gpu_network
from tests.benchmarks.gpu.place import PROCESSOR, Place, first_card
from tests.benchmarks.gpu.ways import ENGINE, PEERS
from tests.benchmarks.plan import Plan
from tests.benchmarks.prepare import prepare
from tests.benchmarks.results import Table
from tests.benchmarks.ways import FAST_DECODE, WAYS
from vggfeat.engines import gpu


def main() -> int:
    asked = arguments.parse(__doc__)
    folder = Folder(asked.folder.resolve())
    if not asked.report:
        names = tables(asked)
        prepare(folder, asked.plan, names)
        place = PROCESSOR if asked.on_cpu else first_card()
        measures = _measures(folder, asked.plan, asked.ways)
        measures |= _measures_of_gpus(folder, asked.plan, asked.ways, place)
        for name in names:
            _keep(folder, asked.plan, name, measures[name]())
    return _report(folder, asked.plan)


def tables(asked: argparse.Namespace) -> list[str]:
    """What to measure: of GPUs, unless it is asked for, only where TensorFlow has one."""
    numbers = asked.tables or list(arguments.TABLES)
    names = [name for number in numbers for name in arguments.TABLES[number]]
    if asked.on_cpu or not any(name.startswith("gpu") for name in names):
        return names
    if asked.tables and not gpu.cards():
        sys.exit("there is no GPU here; --quick --on-cpu tries its tables without one")
    if asked.tables or gpu.usable():
        return names
    print(f"the tables of GPUs are left out: {gpu.why_not() or 'there is none'}", flush=True)
    return [name for name in names if not name.startswith("gpu")]


def _measures(folder: Folder, sizes: Plan, names: list[str]) -> dict[str, Callable[[], Table]]:
    ways = [way for way in WAYS if way.name in names]
    rounds = sizes.many_rounds

    def few() -> Table:
        small = "500x375", sizes.few, sizes.few_rounds
        return photographs.measure(ways, folder, *small, single=True)

    return {
        "network": lambda: network.measure(ways, folder, sizes),
        "few": few,
        "many": lambda: photographs.measure(ways, folder, "500x375", sizes.many, rounds),
        "large": lambda: photographs.measure(
            [*ways, FAST_DECODE], folder, "12MP", sizes.large, rounds
        ),
        "cost": lambda: cost.measure(folder, sizes),
        "csv": lambda: photographs.measure_csv(folder, sizes.many, sizes.csv_rounds),
    }


def _measures_of_gpus(
    folder: Folder, sizes: Plan, names: list[str], place: Place
) -> dict[str, Callable[[], Table]]:
    def measure(name: str) -> Table:
        ways = [way for way in (ENGINE if name == "gpu_network" else PEERS) if way.name in names]
        keep = partial(_keep, folder, sizes, name)
        return gpu_network.measure(ways, folder, sizes, place, keep)

    return {
        "gpu_ceiling": lambda: ceiling.measure(sizes, place),
        "gpu_network": lambda: measure("gpu_network"),
        "gpu_peers": lambda: measure("gpu_peers"),
        "gpu_files": lambda: files.measure(folder, sizes, place),
    }


def _keep(folder: Folder, sizes: Plan, name: str, table: Table) -> None:
    """Add a table to those of earlier runs, at once: a later one may be cut off."""
    path = folder.results(sizes)
    kept = results.load(path)
    kept.machine = machine.describe()
    kept.tables[name] = table
    results.save(kept, path)


def _report(folder: Folder, sizes: Plan) -> int:
    from tests.benchmarks import figures, report

    kept = results.load(folder.results(sizes))
    if not kept.tables:
        print("nothing was measured yet", file=sys.stderr)
        return 1
    target = folder.report(sizes)
    written = target / "RESULTS.md"
    before = written.read_text(encoding="utf-8") if written.exists() else ""
    written.write_text(report.write(kept, sizes, before), encoding="utf-8")
    figures.write(kept, target)
    print(f"written: {written} and its figures", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
