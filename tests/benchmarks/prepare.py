"""Make what the tables are measured with: weights, photographs and references.

In processes of their own: a child's peak memory is never told as less than what its parent had
when it started it.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Collection

from tests.benchmarks import programs, weights
from tests.benchmarks.data import pixels_file
from tests.benchmarks.folder import Folder
from tests.benchmarks.plan import Plan
from tests.benchmarks.process import ROOT

_OF_PROCESSORS = [form for form in weights.WRITERS if form != weights.TORCH]
_OF_GPUS = (weights.CANONICAL, weights.KERAS)


def prepare(folder: Folder, plan: Plan, tables: Collection[str]) -> None:
    """Make what these tables take, as far as it is not there yet."""
    print("making the weights, the photographs and the float64 references", flush=True)
    on_processors = [name for name in tables if not name.startswith("gpu")]
    forms = [form for form in _OF_PROCESSORS if on_processors or form in _OF_GPUS]
    wanted = _photographs(plan, on_processors=bool(on_processors), on_gpus="gpu_files" in tables)
    _step("weights", str(folder.weights), *forms)
    _step("weights", str(folder.weights), weights.TORCH, python=programs.python("torch"))
    _step("data", str(folder.root), *wanted)
    kinds = sorted({item.partition(":")[0] for item in wanted})
    seen = [pixels_file(folder, kind, who) for kind in kinds for who in ("plain", "vggfeat")]
    _step("reference", str(folder.weights / weights.CANONICAL), *map(str, [folder.crops, *seen]))


def _photographs(plan: Plan, *, on_processors: bool, on_gpus: bool) -> list[str]:
    small = {1, plan.few, plan.many, *plan.cost_all, *plan.cost_one} if on_processors else set()
    small |= {plan.gpu_many} if on_gpus else set()
    large = [f"12MP:{plan.large}"] if on_processors else []
    return [*(f"500x375:{count}" for count in sorted(small)), *large]


def _step(module: str, *arguments: str, python: str = sys.executable) -> None:
    command = [python, "-m", f"tests.benchmarks.{module}", *arguments]
    # What the libraries log is of interest only where they fail.
    done = subprocess.run(command, cwd=ROOT, stderr=subprocess.PIPE, check=False)
    if done.returncode:
        sys.stderr.buffer.write(done.stderr)
        sys.exit(f"the {module} could not be made")
