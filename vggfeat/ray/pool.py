"""Ray Data distributes parts over a pool of actors."""

from __future__ import annotations

import contextlib
import inspect
import pickle
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from vggfeat.errors import VggfeatError
from vggfeat.ray.actor import ANSWER, PART, Actor, Answer, Task, packed

if TYPE_CHECKING:
    from vggfeat.dataset.part import Part
    from vggfeat.ray.layout import Layout

AT_ONCE = 10_000  # parts that are known to Ray
_TRIES = 3  # of Ray Data as a whole
_MANY = 4  # parts an actor, from which on each has two, so that no pause is between them


def answers(ray: Any, parts: Iterable[Part], task: Task, room: Layout) -> Iterator[Answer]:
    """What comes of parts, as they are done.

    Raises:
        VggfeatError: the cluster is lost.
    """
    rest = iter(parts)
    while some := list(islice(rest, AT_ONCE)):
        yield from _answers_to_all(ray, some, task, room)


def _answers_to_all(ray: Any, parts: list[Part], task: Task, room: Layout) -> Iterator[Answer]:
    """Begins again with the parts that have no answer where Ray Data gives up.

    It has actors of its own on any node, without which it does not go on.
    """
    left = {part.number: part for part in parts}
    errors = ray.exceptions
    for tries_left in reversed(range(_TRIES)):
        try:
            for answer in _answers(ray, list(left.values()), task, room):
                if not isinstance(answer.found, VggfeatError):
                    del left[answer.found.number]
                yield answer
            return
        except errors.RayTaskError:
            raise
        except errors.RayError as error:
            if not tries_left:
                first = str(error).strip().partition("\n")[0]
                raise VggfeatError(f"the Ray cluster failed: {first}") from error


def _answers(ray: Any, parts: list[Part], task: Task, room: Layout) -> Iterator[Answer]:
    calls = 2 if len(parts) > _MANY * room.actors else 1
    concurrency, remote = {"max_concurrent_calls_per_actor": calls}, {}
    if concurrency.keys() - inspect.signature(ray.data.ActorPoolStrategy).parameters.keys():
        concurrency, remote = {}, {"max_concurrency": calls}  # before 2.59
    pool = ray.data.ActorPoolStrategy(
        min_size=1,
        max_size=len(parts),
        initial_size=min(room.actors, len(parts)),
        max_tasks_in_flight_per_actor=calls,
        enable_true_multi_threading=True,
        **concurrency,
    )
    _configure(ray)
    # A block is a task: what is tried again when an actor dies.
    blocks = [{PART: packed(part)} for part in parts]
    items = ray.data.from_items(blocks, override_num_blocks=len(parts))
    # Actors, and their tasks, are tried again without end: an actor whose node has died is out of
    # reach for as long as that is not known, and each try would count. See `attempts`.
    done = items.map_batches(
        Actor,
        fn_constructor_args=(task,),
        batch_size=1,
        batch_format="numpy",
        compute=pool,
        num_cpus=room.cpus,
        num_gpus=room.gpus or None,
        **remote,
    )
    found = iter(done.iter_batches(batch_size=None, batch_format="numpy", prefetch_batches=0))
    with contextlib.ExitStack() as opened:
        opened.callback(getattr(found, "close", lambda: None))
        for block in found:
            for answer in block[ANSWER]:
                yield pickle.loads(answer)


def _configure(ray: Any) -> None:
    """What Ray Data takes as it is when a dataset is made."""
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.execution_no_progress_timeout_s = -1.0  # a part may take hours: an archive is one
    context.memory_usage_poll_interval_s = None  # of large processes that takes time
    if detectors := getattr(context, "issue_detectors_config", None):
        detectors.detectors = []
    # An actor is busy with as many as it may have; else none would be started on new nodes.
    context.autoscaling_config.actor_pool_util_upscaling_threshold = 1.0
