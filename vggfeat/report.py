"""What a run did: for its caller, and for `feats.json`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple

_RUNS_TOLD = 20


class Written(NamedTuple):
    """What was written of a layer.

    Attributes:
        layer: as `--layer` takes it.
        file: the name of its file, in the output's folder.
        shape: of one image's features.
    """

    layer: str
    file: str
    shape: tuple[int, ...]


class Report(NamedTuple):
    """What a run did.

    Attributes:
        output: the file, `-` for stdout.
        rows: images that have a vector.
        failed: images that have none: `feats.failed.csv` has their names and reasons.
        computed: rows that this run has computed; the others were there already.
        resumed: rows that an earlier run, cut off, has computed.
        dropped: rows that were there before, of images that are gone.
        layers: what was written of each layer, in the network's order.
        dtype: of the features.
        seconds: from the first image to the last row, without loading weights and engine.
        skipped: what was passed over in folders, in words.
        pace: what `Pace.told` tells of it.
        parts: of a dataset folder, those of other shards too; 0 of files.
        own_parts: those that this process has to do.
        awaits_others: whether parts of other shards are not there yet, or not up to date.
    """

    output: str
    rows: int
    failed: int
    computed: int
    resumed: int
    dropped: int
    layers: tuple[Written, ...]
    dtype: str
    seconds: float
    skipped: str
    pace: Mapping[str, Any] = MappingProxyType({})
    parts: int = 0
    own_parts: int = 0
    awaits_others: bool = False

    @property
    def kept(self) -> int:
        """Rows that were in the output before."""
        return self.rows - self.computed - self.resumed

    def about(
        self, started: datetime, versions: dict[str, str], before: list[dict[str, Any]]
    ) -> dict[str, Any]:
        """What `feats.json` tells of a run that began then, and of the last ones before it."""
        run = {
            "started": started.isoformat(timespec="seconds"),
            "seconds": round(self.seconds, 3),
            "computed": self.computed,
            "kept": self.kept,
            "resumed": self.resumed,
            "dropped": self.dropped,
            "failed": self.failed,
            "images_per_second": round(self.computed / max(self.seconds, 1e-6), 2),
            "versions": versions,
            **self.pace,
        }
        return {
            "rows": self.rows,
            "failed": self.failed,
            "runs": [*before, run][-_RUNS_TOLD:],
        }
