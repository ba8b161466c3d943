"""vggfeat's TensorFlow engine, with the compilations among which it has to choose."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.peers.on_tensorflow import check
from tests.benchmarks.peers.variants import Asked, Compute, Make, main
from tests.benchmarks.weights import CANONICAL


def load(asked: Asked) -> Make:
    check(asked.on_gpu)
    from vggfeat.activations import Activation
    from vggfeat.engines.replica import Compilation
    from vggfeat.engines.tensorflow import TensorFlowEngine
    from vggfeat.weights.formats import canonical

    weights = canonical.read(asked.weights / CANONICAL)

    def make(variant: str, batch: int) -> Compute:
        notes: list[str] = []
        asked_for = Compilation(xla="XLA" in variant, channels_first="NCHW" in variant)
        engine = TensorFlowEngine(
            weights,
            [Activation("fc7")],
            precision=asked.precision,
            batch_size=batch,
            compilation=asked_for if variant else None,
            note=notes.append,
        )

        def compute(images: NDArray[np.uint8], times: int) -> list[NDArray[np.float32]]:
            with ThreadPoolExecutor(engine.batches_in_flight) as pool:
                found = list(pool.map(engine.batch_stage, [[images]] * times))
            if notes:  # it goes on in another way, which is not what is to be measured
                raise RuntimeError(notes[0])
            return [vectors for (vectors,) in found]

        return compute

    return make


if __name__ == "__main__":
    main(load)
