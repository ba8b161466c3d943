"""What whoever computes parts of a dataset folder has to know, beside weights and engine."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from vggfeat.dataset.part import Made
from vggfeat.dataset.shard import ALL, Shard
from vggfeat.settings import decodes_alike, difference
from vggfeat.sinks import RowType

MOST_IMAGES = 4096  # in a part
MOST_BYTES = 1 << 28  # of its rows


@dataclass(frozen=True)
class Job:
    """One run over a dataset folder. It can be pickled.

    Attributes:
        output: the folder, a path or an address, with `/` at its end.
        form: `parquet` or `npy`.
        settings: what a row depends on, as `settings.settings` gives it.
        run: a name that no other run has.
        shard: the parts that are this process's own; all for the workers of a cluster.
        fresh: let nothing count that other runs have made.
        strict: end at the first image that fails.
    """

    output: str
    form: str
    settings: dict[str, Any]
    run: str
    shard: Shard = ALL
    fresh: bool = False
    strict: bool = False

    @property
    def layers(self) -> list[tuple[str, RowType]]:
        """Each layer, with what its rows are."""
        dtype = self.settings["dtype"]
        return [
            (told["layer"], RowType(tuple(told["shape"]), dtype))
            for told in self.settings["layers"]
        ]

    def counts(self, made: Made) -> bool:
        """Whether rows that are there already may be kept."""
        if self.fresh and made.run != self.run:
            return False
        return difference(made.settings, self.settings) is None

    def failures_count(self, made: Made) -> bool:
        """Whether images that failed then would fail again."""
        return decodes_alike(made.settings, self.settings)


def most_images(kinds: Iterable[RowType]) -> int:
    """How many images a part may have, that its rows stay below `MOST_BYTES`.

    Args:
        kinds: of the rows of each layer.
    """
    return max(1, min(MOST_IMAGES, MOST_BYTES // sum(kind.nbytes for kind in kinds)))
