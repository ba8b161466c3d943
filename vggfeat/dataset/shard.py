"""Which parts are one process's own, where several share a run without knowing of each other."""

from __future__ import annotations

import re
from typing import NamedTuple

from vggfeat.errors import UsageError


class Shard(NamedTuple):
    """Takes each part whose number leaves `number` when divided by `among`.

    Attributes:
        number: from 0, as Slurm's arrays and Kubernetes' completion indexes may count.
        among: how many shards there are.
    """

    number: int = 0
    among: int = 1

    def has(self, part: int) -> bool:
        return part % self.among == self.number

    @property
    def is_all(self) -> bool:
        return self.among == 1

    def __str__(self) -> str:
        return f"{self.number}-of-{self.among}"


ALL = Shard()


def shard_of(text: str) -> Shard:
    """The shard that `3/16` is, the fourth of sixteen.

    Raises:
        UsageError: it is none.
    """
    found = re.fullmatch(r"(\d+)/(\d+)", text.strip(), re.ASCII)
    number, among = map(int, found.groups()) if found else (0, 0)
    if not number < among:
        raise UsageError(
            f"--shard {text}: give I/N, as 0/16 for the first of sixteen and 15/16 for the last"
        )
    return Shard(number, among)
