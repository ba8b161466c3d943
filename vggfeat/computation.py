"""What is computed of an image, and by what: shared by all kinds of outputs."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from vggfeat import engines, pipeline
from vggfeat.activations import Activation
from vggfeat.engines.advice import advice
from vggfeat.finish import Finish
from vggfeat.outcome import Outcome
from vggfeat.pace import Pace
from vggfeat.preparing import Contents, Elsewhere
from vggfeat.preprocess import Preprocessing
from vggfeat.settings import settings
from vggfeat.sources import ImageRef
from vggfeat.suspects import Suspects
from vggfeat.weights import Weights

Note = Callable[[str], None]


@dataclass(frozen=True)
class Computation:
    """How images become features. It can be pickled, with all its weights.

    Attributes:
        weights: of the network.
        activations: the layers that are asked for.
        preprocessing: how images become what the network sees; its `size` is the network's.
        finish: what is done to the features.
        engine: its name, `auto` until it is `resolved`.
        precision: what the network is computed in.
        devices: `all` GPUs, or their numbers.
        batch_size: images that are computed at once; None for what serves the engine best.
        workers: threads that decode; None for as many as there are processors to use.
    """

    weights: Weights
    activations: Sequence[Activation]
    preprocessing: Preprocessing
    finish: Finish
    engine: str = "auto"
    precision: str = "float32"
    devices: str | Sequence[int] = "all"
    batch_size: int | None = None
    workers: int | None = None

    def settings(self, form: str) -> dict[str, Any]:
        """What a row depends on, as `feats.json` tells it, in an output of that form."""
        return settings(
            form, self.activations, self.preprocessing, self.engine, self.weights,
            precision=self.precision, normalize=self.finish.normalize, dtype=self.finish.dtype,
        )  # fmt: skip

    def resolved(self, before: str | None) -> Computation:
        """The same by a certain engine.

        Args:
            before: what computed the rows that are there.

        Raises:
            UsageError, WeightsError: as `engines.resolve` does.
        """
        chosen = engines.resolve(
            self.engine, self.weights, self.activations, self.preprocessing.size,
            precision=self.precision, devices=self.devices, before=before,
        )  # fmt: skip
        return replace(self, engine=chosen)

    def create(self, note: Note = lambda text: None, asked: str = "") -> engines.Engine:
        """The engine, ready to compute.

        Args:
            note: told a user what should be known.
            asked: the engine that the user asked for, where advice on it is wanted.

        Raises:
            VggfeatError: it cannot be loaded.
        """
        engine = engines.create(
            self.engine, self.weights, self.activations, self.preprocessing.size,
            precision=self.precision, devices=self.devices, batch_size=self.batch_size, note=note,
        )  # fmt: skip
        if asked and (said := advice(asked, engine, self.precision)):
            note(said)
        return engine

    def run_on(
        self,
        engine: engines.Engine,
        images: Iterable[ImageRef],
        contents: Contents,
        suspects: Suspects,
        pace: Pace,
        elsewhere: Elsewhere | None = None,
    ) -> Generator[list[Outcome], None, None]:
        """`pipeline.run` over images, by the engine that `create` has made. Raises as it does."""
        return pipeline.run(
            images, self.preprocessing, engine, self.batch_size, self.workers,
            contents, suspects, self.finish, pace, elsewhere,
        )  # fmt: skip
