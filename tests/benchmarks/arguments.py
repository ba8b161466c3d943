"""What can be asked of `make bench`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection
from pathlib import Path

from tests.benchmarks import plan
from tests.benchmarks.gpu import ways as gpu_ways
from tests.benchmarks.process import ROOT
from tests.benchmarks.ways import WAYS

# As `--tables` names them: one number may stand for several tables.
TABLES = {
    "1": ("network",),
    "2": ("few",),
    "3": ("many", "large"),
    "4": ("cost",),
    "5": ("csv",),
    "6": ("gpu_ceiling", "gpu_network", "gpu_files"),
    "7": ("gpu_peers",),
}


def parse(about: str | None, asked: list[str] | None = None) -> argparse.Namespace:
    """Read the command line; `tables` is None where none are asked for."""
    parser = argparse.ArgumentParser(prog="make bench", description=about)
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
        metavar="1,2",
        help="1 network alone, 2 a few photographs, 3 many and large ones, 4 cost, 5 CSV; "
        "6 vggfeat on a GPU, 7 its peers there; default: all, those of GPUs where there is one",
    )
    known = [way.name for way in WAYS]
    known += [way.name for way in (*gpu_ways.ENGINE, *gpu_ways.PEERS)]
    parser.add_argument(
        "--ways",
        type=_choice(known),
        default=known,
        metavar="NAME,NAME",
        help=f"those that the tables are to hold: {', '.join(known)}",
    )
    parser.add_argument(
        "--on-cpu", action="store_true", help="with --quick: try the tables of GPUs without one"
    )
    parser.add_argument(
        "--report", action="store_true", help="measure nothing: write the report of what was"
    )
    parser.add_argument("--folder", type=Path, default=ROOT / ".bench", help="default: .bench")
    found = parser.parse_args(asked)
    if found.on_cpu and found.plan is not plan.QUICK:
        parser.error("--on-cpu is there to see that everything runs: it takes --quick")
    return found


def _choice(known: Collection[str]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        names = text.split(",")
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"no {name!r}; there are {', '.join(known)}")
        return names

    return parse
