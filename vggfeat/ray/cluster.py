"""The cluster: looked over, and given parts to compute."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any

import numpy as np

from vggfeat import engines
from vggfeat.address import is_address
from vggfeat.engines.precision import FLOAT32
from vggfeat.errors import VggfeatError
from vggfeat.ray.actor import Task
from vggfeat.ray.layout import Layout, layout
from vggfeat.ray.nodes import Needs, lacking, needs
from vggfeat.ray.pool import answers
from vggfeat.ray.progress import Progress
from vggfeat.weights import Weights

if TYPE_CHECKING:
    from vggfeat.computation import Computation
    from vggfeat.dataset.job import Job
    from vggfeat.dataset.part import Part, Record
    from vggfeat.watcher import Watcher

_PATIENCE = 120.0  # seconds, for all nodes to start a process


class Cluster:
    """A Ray cluster, which this process is connected to as soon as something is asked of it.

    Args:
        connect: gives the module ray, connected. Raises VggfeatError.
    """

    def __init__(self, connect: Callable[[], Any]) -> None:
        self._connect = connect

    @cached_property
    def _ray(self) -> Any:
        return self._connect()

    def connect(self) -> None:
        """Raises VggfeatError where there is none."""
        _ = self._ray

    @property
    def has_gpus(self) -> bool:
        return bool(self._ray.cluster_resources().get("GPU", 0) >= 1)

    def engine(self, asked: str, precision: str = FLOAT32, before: str | None = None) -> str:
        """The name of the engine that is meant, where `auto` is the best on the cluster.

        Args:
            before: what computed the rows that are there, which goes on.
        """
        if asked != "auto":
            return asked
        if precision != FLOAT32:
            return "tensorflow"
        if before in engines.installed():
            return str(before)
        return "tensorflow" if self.has_gpus or "ncnn" not in engines.installed() else "ncnn"

    def extract_parts(
        self,
        parts: Iterable[Part],
        job: Job,
        computation: Computation,
        watcher: Watcher,
        names: Sequence[str] = (),
    ) -> Iterator[Record]:
        """Have parts computed; a record of each, as they are done.

        Args:
            parts: that are not done. They are taken as they are needed, thousands at once.
            job: the output, whose folder is there.
            computation: what to compute, by a certain engine.
            watcher: told of images as they are done, by one thread at a time.
            names: the inputs as the user gave them.

        Raises:
            VggfeatError: it could not go on; parts that have a record are whole and stay.
        """
        rest = iter(parts)
        if (first := next(rest, None)) is None:
            return
        room = self._room(computation)
        with contextlib.ExitStack() as opened:
            sign = opened.enter_context(_signed(job.output))
            needed = needs(tuple(names), sign, job.settings)
            self._check(needed)
            kept = self._ray.put(reduced(computation))
            workers = computation.workers or room.cpus or None
            progress = opened.enter_context(Progress(self._ray, watcher))
            task = Task(job, needed, kept, workers, room.decoders, tally=progress.tally)
            for found, notes, answered in answers(self._ray, chain([first], rest), task, room):
                progress.note(notes)
                if isinstance(found, VggfeatError):
                    raise found
                progress.part_done(found, answered)
                yield found

    def _room(self, computation: Computation) -> Layout:
        gpus = computation.engine == "tensorflow" and self.has_gpus
        nodes = [node["Resources"] for node in self._nodes()]
        return layout(nodes, gpus=gpus, workers=computation.workers)

    def _nodes(self) -> list[dict[str, Any]]:
        """Those that work is given to."""
        return [
            node
            for node in self._ray.nodes()
            if node["Alive"] and (node["Resources"].get("CPU") or node["Resources"].get("GPU"))
        ]

    def _check(self, needed: Needs) -> None:
        """See that no node lacks anything. Those that come later look for themselves."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        look = self._ray.remote(num_cpus=0)(lacking)
        errors = self._ray.exceptions
        asked = {}
        for node in self._nodes():
            here = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            asked[look.options(scheduling_strategy=here).remote(needed)] = node[
                "NodeManagerAddress"
            ]
        done, late = self._ray.wait(list(asked), num_returns=len(asked), timeout=_PATIENCE)
        if late:
            raise VggfeatError(
                f"the node {asked[late[0]]} of the Ray cluster starts no process within "
                f"{_PATIENCE:.0f} s: `ray status` tells more"
            )
        for answer in done:
            try:
                lacks = self._ray.get(answer)
            except errors.NodeDiedError:
                continue
            except errors.RayError as error:
                lacks = f"cannot run vggfeat: install the same version there ({reason(error)})"
            if lacks:
                raise VggfeatError(f"the node {asked[answer]} of the Ray cluster {lacks}")


def reduced(computation: Computation) -> Computation:
    """With no more weights than take part, under the fingerprint of all.

    They are plain arrays: those of a mapped file would be copied by each process that takes them.
    """
    weights = computation.weights
    tensors = weights.up_to(computation.activations)
    plain = {name: np.asarray(tensor).view(np.ndarray) for name, tensor in tensors.items()}
    return replace(computation, weights=Weights(plain, weights.origin, weights.fingerprint))


@contextlib.contextmanager
def _signed(output: str) -> Iterator[Path | None]:
    """A file in the output's folder for the time of the block, where that is no address."""
    if is_address(output):
        yield None
        return
    with NamedTemporaryFile(dir=output, prefix=".ray-", suffix=".0-of-1.tmp") as file:
        yield Path(file.name)


def reason(error: Exception) -> str:
    """The last line, which says what went wrong."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
