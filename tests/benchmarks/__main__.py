"""What `make bench` runs: measure, keep the results, write RESULTS.md and the figures."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks import cost, machine, network, photographs, plan, results
from tests.benchmarks.data import pixels_file
from tests.benchmarks.folder import Folder
from tests.benchmarks.plan import Plan
from tests.benchmarks.process import ROOT
from tests.benchmarks.results import Table
from tests.benchmarks.ways import FAST_DECODE, WAYS
from tests.benchmarks.weights import CANONICAL

# As `--tables` names them: one number may stand for several tables.
TABLES = {"1": ("network",), "2": ("few",), "3": ("many", "large"), "4": ("cost",), "5": ("csv",)}


def main() -> int:
    asked = _arguments()
    folder = Folder(asked.folder.resolve())
    names = [name for number in asked.tables for name in TABLES[number]]
    if not asked.report:
        _prepare(folder, asked.plan)
        for name in names:
            _keep(folder, asked.plan, name, _measures(folder, asked.plan, asked.ways)[name]())
    return _report(folder, asked.plan)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument(
        "--quick",
        dest="plan",
        action="store_const",
        const=plan.QUICK,
        default=plan.FULL,
        help="tiny sizes, to see that everything runs; its report stays in .bench/quick",
    )
    parser.add_argument(
        "--tables",
        type=_choice(TABLES),
        default=list(TABLES),
        metavar="1,2",
        help="1 network alone, 2 a few photographs, 3 many and large ones, 4 cost, 5 CSV",
    )
    known = [way.name for way in WAYS]
    parser.add_argument(
        "--ways",
        type=_choice(known),
        default=known,
        metavar="NAME,NAME",
        help=f"those that the tables are to hold: {', '.join(known)}",
    )
    parser.add_argument(
        "--report", action="store_true", help="measure nothing: write the report of what was"
    )
    parser.add_argument("--folder", type=Path, default=ROOT / ".bench", help="default: .bench")
    return parser.parse_args()


def _choice(known: dict[str, tuple[str, ...]] | list[str]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        names = text.split(",")
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"no {name!r}; there are {', '.join(known)}")
        return names

    return parse


def _prepare(folder: Folder, sizes: Plan) -> None:
    """Make weights, photographs and references.

    In processes of their own: a child's peak memory is never told as less than what its parent
    had when it started it.
    """
    print("making the weights, the photographs and the float64 references", flush=True)
    small = {1, sizes.few, sizes.many, *sizes.cost_all, *sizes.cost_one}
    wanted = [f"500x375:{count}" for count in sorted(small)] + [f"12MP:{sizes.large}"]
    _step("weights", str(folder.weights))
    _step("data", str(folder.root), *wanted)
    seen = [pixels_file(folder, kind, who) for kind in ("500x375", "12MP") for who in PIXELS]
    _step("reference", str(folder.weights / CANONICAL), *map(str, [folder.crops, *seen]))


PIXELS = ("plain", "vggfeat")


def _step(module: str, *arguments: str) -> None:
    command = [sys.executable, "-m", f"tests.benchmarks.{module}", *arguments]
    # What the libraries log is of interest only where they fail.
    done = subprocess.run(command, cwd=ROOT, stderr=subprocess.PIPE, check=False)
    if done.returncode:
        sys.stderr.buffer.write(done.stderr)
        sys.exit(f"the {module} could not be made")


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
    (target / "RESULTS.md").write_text(report.write(kept, sizes), encoding="utf-8")
    figures.write(kept, target)
    print(f"written: {target / 'RESULTS.md'} and its figures", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
