"""The stages of a run, and which of them holds it up.

The main loop waits for what is slowest. Where that is an image, it is what the workers spend most
of their time with; a file that they wait for counts before what they do, because workers that wait
could do more. So the answer is right for an engine that computes in the workers as for one that
computes whole batches elsewhere.
"""

from __future__ import annotations

from typing import NamedTuple

# Where nothing is waited for, the first one is told.
NETWORK, DECODING, READING, WRITING = STAGES = ("network", "decoding", "reading", "writing")

_WAIT_THAT_COUNTS = 0.25  # of the workers' time
_FULL = 0.6  # of the processors' time, which Python's lock keeps threads from using up
_STEADY = 1.3  # times as much must another stage hold up the run to be told instead


class Spent(NamedTuple):
    """What a time went into. Seconds, of all threads together.

    Attributes:
        elapsed: as such.
        listing: of the main loop, waiting for the next image to be named.
        for_images: likewise, for an image to be prepared.
        for_batches: likewise, for a batch to be computed.
        writing: likewise, with what was computed.
        reading: of the workers, waiting for a file.
        decoding: likewise, with preprocessing.
        image_stage: likewise, in the engine's.
        batch_stage: in the engine's, of all batches that are computed side by side.
        busy: with at least one batch in it.
        decoded: images.
        computed: images.
        processed: of processors, by the whole process.
        available: of processors, to it.
    """

    elapsed: float = 0.0
    listing: float = 0.0
    for_images: float = 0.0
    for_batches: float = 0.0
    writing: float = 0.0
    reading: float = 0.0
    decoding: float = 0.0
    image_stage: float = 0.0
    batch_stage: float = 0.0
    busy: float = 0.0
    decoded: int = 0
    computed: int = 0
    processed: float = 0.0
    available: float = 0.0

    def since(self, before: Spent) -> Spent:
        return Spent._make(now - then for now, then in zip(self, before, strict=True))

    def limit(self, told: str | None = None) -> str | None:
        """The stage that holds up the run; None where nothing was computed.

        Args:
            told: the stage that was told last, and is told on as long as it may be as well.
        """
        if not self.computed:
            return None
        written_idle = min(self.writing, self.elapsed - self.busy)  # else the network goes on
        holds = dict.fromkeys(STAGES, 0.0)
        holds[READING] = self.listing
        holds[NETWORK] = self.for_batches + self.writing - written_idle
        holds[WRITING] = written_idle
        holds[self._workers_stage(told)] += self.for_images
        if told is not None:
            holds[told] *= _STEADY
        return max(holds, key=holds.__getitem__)

    def _workers_stage(self, told: str | None) -> str:
        much = _WAIT_THAT_COUNTS * (self.reading + self.decoding + self.image_stage)
        waits = self.reading > (much / _STEADY if told == READING else much)
        # Where all processors are at work, a thread that reads waits for one of them.
        if waits and self.processed <= _FULL * self.available:
            return READING
        favour = {DECODING: _STEADY, NETWORK: 1 / _STEADY}.get(told or "", 1.0)
        return DECODING if self.decoding * favour > self.image_stage else NETWORK
