"""What an actor of the pool does: it computes whole parts, and answers with their records."""

from __future__ import annotations

import pickle
import threading
import zlib
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from vggfeat.dataset.compute import Contents, compute_parts
from vggfeat.errors import VggfeatError
from vggfeat.pace import Pace
from vggfeat.ray import attempts, local
from vggfeat.ray.decoding import PATIENCE, Decoders
from vggfeat.ray.line import Line
from vggfeat.ray.nodes import Needs
from vggfeat.ray.progress import Answered, Telling
from vggfeat.ray.quiet import package
from vggfeat.ray.suspected import suspects

if TYPE_CHECKING:
    from vggfeat.computation import Computation
    from vggfeat.dataset.job import Job
    from vggfeat.dataset.part import Part, Record
    from vggfeat.outcome import Outcome
    from vggfeat.sources import ImageRef
    from vggfeat.suspects import Suspects

PART, ANSWER = "part", "answer"  # columns
Block = dict[str, Any]

_MEMORY = "perhaps the memory of the node does not suffice (--batch-size, --workers)"
_OVER_START = f"of an actor died while the engine was loaded; {_MEMORY}"


class Answer(NamedTuple):
    """What came of a part.

    Attributes:
        found: its record, or what ends the run.
        notes: what a user should hear besides.
        answered: with this part; None where there is no record.
    """

    found: Record | VggfeatError
    notes: list[str]
    answered: Answered | None = None


@dataclass(frozen=True)
class Task:
    """What all actors do. It can be pickled.

    Attributes:
        job: the output.
        needs: of each node.
        computation: the reference to it in the object store, with the weights.
        workers: threads of an actor.
        decoders: tasks that decode for an actor; 0 where it does itself.
        patience: see `Decoders`.
        tries: see `attempts`.
        tally: the handle of a `Tally` that is told how it goes; None for nobody.
    """

    job: Job
    needs: Needs
    computation: Any
    workers: int | None
    decoders: int
    patience: float = PATIENCE
    tries: int = attempts.MOST
    tally: Any = None


class Actor:
    """The class that Ray Data makes actors of. Several threads call it.

    What a user can be told is an answer, not an exception: Ray would wrap it, and try again.
    """

    def __init__(self, task: Task) -> None:
        self._notes: list[str] = []
        self._lock = threading.Lock()
        self._folder = local.folder(task.job.output)
        self._job, self._tries = task.job, task.tries
        self._hindered: VggfeatError | None = None
        try:
            with attempts.attempt(self._folder, f"{self._job.run}.{_own_id()}", _OVER_START):
                self._line = self._started(task)
        except VggfeatError as error:
            self._hindered = error
        except Exception as error:  # of libraries, which this node may have otherwise
            told = f"{type(error).__name__}: {error}"
            self._hindered = VggfeatError(f"a node of the cluster cannot compute: {told}")

    def __call__(self, block: Block) -> Block:
        return answered(block, self._answer)

    def _answer(self, part: Part) -> Answer:
        try:
            if self._hindered:
                raise self._hindered
            name = f"{self._job.run}.{part.number}"
            died = f"died over {part.name}, or a part beside it; {_MEMORY}"
            with attempts.attempt(self._folder, name, died, self._tries):
                found: Record | VggfeatError = self._line(part)
        except VggfeatError as error:
            found = error
        answered = None if isinstance(found, VggfeatError) else self._told.part_done(found.images)
        with self._lock:
            notes, self._notes = self._notes, []
        return Answer(found, notes, answered)

    def _started(self, task: Task) -> Line:
        if lacking := task.needs.lacking():
            raise VggfeatError(f"a node of the cluster {lacking}")
        task.needs.enter()
        job, folder = task.job, self._folder
        kept: Computation = package().get(task.computation)
        computation = replace(kept, workers=task.workers)
        engine = computation.create(self._notes.append)
        elsewhere = None
        if task.decoders:
            elsewhere = Decoders(
                computation.preprocessing, task.decoders, task.needs.folder, task.patience
            )

        def compute(
            images: Iterable[ImageRef],
            contents: Contents,
            _: Suspects,
        ) -> Generator[list[Outcome], None, None]:
            with suspects(folder) as noted:
                yield from computation.run_on(engine, images, contents, noted, Pace(), elsewhere)

        self._told = told = Telling(task.tally, _own_id())
        return Line(lambda parts: compute_parts(parts, job, compute, told))


def _own_id() -> str:
    """That of the actor, which the process that takes the place of a dead one has as well."""
    found: str | None = package().get_runtime_context().get_actor_id()
    return found or "none"


def packed(part: Part) -> bytes:
    """Paths are much alike: a tenth of the size, and more."""
    return zlib.compress(pickle.dumps(part), 1)


def answered(block: Block, answer: Callable[[Part], Answer]) -> Block:
    """A block of parts -> one of answers."""
    answers = [pickle.dumps(answer(pickle.loads(zlib.decompress(part)))) for part in block[PART]]
    column = np.empty(len(answers), object)
    column[:] = answers
    return {ANSWER: column}
