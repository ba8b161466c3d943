"""A cluster of two nodes on this machine, and a run over it as over one machine."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# Ray has no packages for some versions of Python.
pytest.importorskip("ray", reason="Ray is not installed")

CPUS = 2  # of each node

# A node that is gone is missed after some seconds, not after half a minute.
IMPATIENT = {
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 1000,
    "health_check_timeout_ms": 2000,
    "health_check_failure_threshold": 3,
}


class TwoNodes:
    """Attributes:
    address: of the head.
    """

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        head = {
            "num_cpus": CPUS,
            "num_gpus": 1,  # as Ray believes
            "include_dashboard": False,
            "_system_config": IMPATIENT,
        }
        self._cluster = Cluster(initialize_head=True, head_node_args=head)
        self.head = self._cluster.head_node
        self.address: str = self._cluster.address
        self.second: Any = self._cluster.add_node(num_cpus=CPUS)

    def kill_an_actor(self, node: Any) -> None:
        """One of the pool, on a node."""
        (raylet,) = node.all_processes["raylet"]
        actors = [pid for pid in children(raylet.process.pid) if "MapWorker" in command(pid)]
        os.kill(min(actors), signal.SIGKILL)

    def kill_second(self) -> None:
        """The node without the driver, at once, with all that runs on it."""
        self._cluster.remove_node(self.second, allow_graceful=False)
        self.second = None

    def whole_again(self) -> None:
        if self.second is None:
            self.second = self._cluster.add_node(num_cpus=CPUS)

    def shutdown(self) -> None:
        self._cluster.shutdown()


def children(parent: int) -> Iterator[int]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                stat = (folder / "stat").read_text()
            except OSError:  # it has ended
                continue
            if int(stat.rpartition(")")[2].split()[1]) == parent:
                yield int(folder.name)


def command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    except OSError:
        return ""


@pytest.fixture(scope="session")
def two_nodes() -> Iterator[TwoNodes]:
    from vggfeat.ray.quiet import package

    package()
    nodes = TwoNodes()
    yield nodes
    nodes.shutdown()
