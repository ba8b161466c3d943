"""Where the benchmark keeps what it makes: weights, photographs, outputs, results."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.plan import Plan

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Folder:
    """The paths below `.bench`."""

    root: Path

    @property
    def weights(self) -> Path:
        return self.root / "weights"

    @property
    def crops(self) -> Path:
        """One batch of what the network sees."""
        return self.root / "crops.npy"

    def photographs(self, kind: str, count: int) -> Path:
        return self.root / kind / str(count)

    def fresh_output(self, name: str) -> Path:
        """A file in an empty folder, so that no run finds the rows of another."""
        folder = self.root / "out" / name.replace(" ", "_")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder / "feats.npy"

    def results(self, plan: Plan) -> Path:
        return self.root / ("results.json" if plan.name == "full" else f"results-{plan.name}.json")

    def report(self, plan: Plan) -> Path:
        """Beside the code for a full run: only such figures are worth keeping."""
        folder = HERE if plan.name == "full" else self.root / plan.name
        folder.mkdir(exist_ok=True)
        return folder
