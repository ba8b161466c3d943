"""Which parts are done, and which are to be computed, as the units are listed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import cached_property
from itertools import islice
from typing import NamedTuple, TypeVar

from vggfeat.dataset.folder import Folder
from vggfeat.dataset.forms import FAILED, form
from vggfeat.dataset.job import Job
from vggfeat.dataset.manifest import Manifest
from vggfeat.dataset.ours import check_part
from vggfeat.dataset.part import Made, Part, Record, part_name, part_of, record_of
from vggfeat.outcome import Failure
from vggfeat.plan import refused
from vggfeat.settings import difference
from vggfeat.sinks.known import FRESH_NS
from vggfeat.sources.units import Unit

A = TypeVar("A")

_SIDE_BY_SIDE = 16  # looks at a store that is far away


class Looked(NamedTuple):
    """A part of ours, and what is there of it.

    Attributes:
        part: what it is to be made from.
        done: its record, if it is up to date.
    """

    part: Part
    done: Record | None


class Survey:
    """Looks at parts one after the other.

    Args:
        folder: where they are.
        job: what is to be made of them.
        told: what is told of the folder.
        note: told, in words, of parts that are damaged.

    Attributes:
        sizes: of what is in the folder, at its beginning.
        digests: of the inputs of all parts so far, those of other shards too.
        done: the records of parts that are done.
    """

    def __init__(
        self, folder: Folder, job: Job, told: Manifest | None, note: Callable[[str], None]
    ) -> None:
        self.sizes = {name: size for name, size in folder.sizes().items() if size >= 0}
        of_failures = folder.sizes(FAILED).items() if self.sizes else ()
        self.sizes |= {f"{FAILED}/{name}": size for name, size in of_failures}
        self.digests: list[str] = []
        self.done: list[Record] = []
        self._folder = folder
        self._job = job
        self._form = form(job.form)
        self._told = told
        self._note = note
        self._looked = told.looked() if told else {}
        self._layers = [layer for layer, _ in job.layers]

    @cached_property
    def numbers(self) -> set[int]:
        """Of the parts that are there."""
        found = map(self._form.number, self.sizes)
        return {number for number in found if number is not None}

    def to_do(self, units: Iterable[Unit]) -> Iterator[Part]:
        """The parts of this shard that are not done. The others are told in `done`.

        Raises:
            VggfeatError: a part is another program's, or an image is known to fail and that is
                to end the run.
        """
        numbered = enumerate(units)
        far = not self._folder.is_local and bool(self.numbers) and not self._is_sealed
        with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
            while some := list(islice(numbered, _SIDE_BY_SIDE if far else 1)):
                looked = pool.map(self._look, some) if far else map(self._look, some)
                for part, done in looked:
                    self.digests.append(part.digest)
                    if not self._job.shard.has(part.number):
                        continue
                    if done is None:
                        yield part
                    else:
                        self.done.append(done)

    def others(self) -> list[Record] | None:
        """The records of all parts that are not this shard's; None if one is not up to date."""
        numbers = [n for n in range(len(self.digests)) if not self._job.shard.has(n)]
        sizes = self._folder.sizes()
        with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
            records = list(pool.map(lambda number: self._other(number, sizes), numbers))
        found = [record for record in records if record is not None]
        return found if len(found) == len(records) else None

    def beyond(self) -> list[int]:
        """The numbers of parts of this shard that are there behind the last one."""
        last = len(self.digests)
        return sorted(n for n in self.numbers if n >= last and self._job.shard.has(n))

    @cached_property
    def _is_sealed(self) -> bool:
        """Whether what is told of the parts holds, so that they need not be asked."""
        if self._told is None or not self._told.is_whole or self._job.fresh:
            return False
        return difference(self._told.about, self._job.settings) is None

    def _look(self, numbered: tuple[int, Unit]) -> Looked:
        part = part_of(*numbered)
        if not self._job.shard.has(part.number) or part.number not in self.numbers:
            return Looked(part, None)
        found = self._made(part.name)
        if found is None:
            check_part(self._folder, self._job.form, part.number)
            self._note(f"{self._folder.shown}{part.name}: is not whole, and made anew")
            return Looked(part, None)
        made, made_ns = found
        if not self._is_done(part, made):
            return Looked(part, None)
        if made.failed and self._job.strict:
            raise refused(self._first_failure(part))
        nbytes = self._form.nbytes(part.name, self._layers, self.sizes.get)
        return Looked(part, record_of(part, made, nbytes)._replace(made_ns=made_ns, had=made.rows))

    def _made(self, name: str) -> tuple[Made, int] | None:
        """What is there, looked at when it was last, and when it was made."""
        looked = self._looked.get(name)
        if self._told and looked and self._is_sealed and not self._folder.is_local:
            if looked.nbytes != self._form.nbytes(name, self._layers, self.sizes.get):
                return None
            told = self._told.about, "", "", looked.digest, looked.looked_ns
            counts = looked.rows, looked.failed, looked.passing, 0
            return Made(*told, *counts), looked.made_ns
        made = self._form.made(self._folder, name, self.sizes.get)
        if made is None:
            return None
        if looked and looked.made_ns == made.began_ns:
            return made._replace(began_ns=looked.looked_ns), looked.made_ns
        return made, made.began_ns

    def _is_done(self, part: Part, made: Made) -> bool:
        return (
            self._job.counts(made)
            and made.digest == part.digest
            and part.newest_ns < made.began_ns - FRESH_NS
            and not made.passing
            and (not made.failed or self._job.failures_count(made))
        )

    def _first_failure(self, part: Part) -> Failure:
        old = self._form.open(self._folder, part.number, self._folder.size)
        if old is None or not old.failures:
            return Failure(part.name, "an image failed")
        with closing(old):
            return old.failures[0]

    def _other(self, number: int, sizes: Mapping[str, int]) -> Record | None:
        """The record of another shard's part; None if it is not up to date."""
        name = part_name(number)
        made = self._form.made(self._folder, name, sizes.get)
        if made is None or made.digest != self.digests[number]:
            return None
        if difference(made.settings, self._job.settings) is not None:
            return None
        nbytes = self._form.nbytes(name, self._layers, sizes.get)
        looked = self._looked.get(name)
        began_ns = made.began_ns
        if looked and looked.made_ns == made.began_ns:
            began_ns = looked.looked_ns
        return Record(
            number, made.rows, made.failed, made.passing, nbytes, made.digest, made.began_ns,
            began_ns,
        )  # fmt: skip
