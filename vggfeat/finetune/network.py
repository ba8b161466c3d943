"""The network that learns, on whatever the machine has.

On GPUs that multiply numbers of 16 bits faster, it computes in them and keeps its weights in
float32 (Micikevicius et al. 2017); several GPUs share each batch. On CPUs all is float32.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vggfeat.errors import VggfeatError
from vggfeat.finetune import batches
from vggfeat.finetune.settings import Settings
from vggfeat.finetune.watcher import FinetuneWatcher
from vggfeat.keras_layers import keras
from vggfeat.keras_vgg16 import FC7, build
from vggfeat.quiet_tensorflow import tensorflow

if TYPE_CHECKING:
    from vggfeat.weights import Weights

_BFLOAT16_SINCE, _FLOAT16_SINCE = (8, 0), (7, 0)  # NVIDIA's compute capability


class Network:
    """VGG16 with new classes, of which the upper layers learn by Adam.

    Args:
        weights: to start from.
        settings: of what is to be made.

    Raises:
        VggfeatError: Keras computes with something else than TensorFlow.
    """

    def __init__(self, weights: Weights, settings: Settings) -> None:
        tf = self._tf = tensorflow()
        if (backend := keras().config.backend()) != "tensorflow":
            raise VggfeatError(f"fine-tuning takes Keras on TensorFlow, not {backend}")
        self._weights, self._settings = weights, settings
        gpus = tf.config.list_physical_devices("GPU")
        several = len(gpus) > 1
        strategy = tf.distribute.MirroredStrategy() if several else tf.distribute.get_strategy()
        self.devices: int = strategy.num_replicas_in_sync
        with strategy.scope():
            dtype = precision(tf, gpus)
            self._model = self._build(dtype, activation="linear")
            optimizer = keras().optimizers.Adam(settings.learning_rate)
            if dtype == "mixed_float16":  # whose smallest number is larger than many gradients
                optimizer = keras().optimizers.LossScaleOptimizer(optimizer)
            loss = keras().losses.SparseCategoricalCrossentropy(from_logits=True)
            self._model.compile(optimizer, loss, metrics=["accuracy"], jit_compile=False)
            optimizer.build(self._model.trainable_variables)

    def set_classes(self, kernel: NDArray[np.float32], bias: NDArray[np.float32]) -> None:
        """Let the last layer give `features @ kernel + bias`."""
        self._model.get_layer("predictions").set_weights([kernel, bias])

    def learn(self, data: Any, rate: float, watcher: FinetuneWatcher) -> tuple[float, float]:
        """One epoch: loss and accuracy, means over what was seen.

        Raises:
            VggfeatError: a picture cannot be read any more, the loss is no number, or memory is
                short.
        """

        def after_step(number: int, logs: Mapping[str, float]) -> None:
            batches.check(data)
            _check_loss(logs["loss"])
            begin, end = data.bounds[number]
            watcher.step(end - begin, logs["loss"], logs["accuracy"])

        self._model.optimizer.learning_rate = rate
        told = keras().callbacks.LambdaCallback(on_train_batch_end=after_step)
        with self._enough_memory():
            logs = self._model.fit(data, shuffle=False, callbacks=[told], verbose=0).history
        return logs["loss"][-1], logs["accuracy"][-1]

    def judge(self, data: Any) -> tuple[float, float]:
        """Loss and accuracy. Raises VggfeatError as `learn` does."""
        with self._enough_memory():
            logs = self._model.evaluate(data, verbose=0, return_dict=True)
        batches.check(data)
        _check_loss(logs["loss"])
        return logs["loss"], logs["accuracy"]

    def state(self) -> dict[str, NDArray[Any]]:
        """All that changes while it learns."""
        return {name: np.asarray(variable) for name, variable in self._changing()}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go back to a state. Raises VggfeatError where another Keras has kept it."""
        changing = dict(self._changing())
        shapes = {name: array.shape for name, array in state.items()}
        if shapes != {name: tuple(variable.shape) for name, variable in changing.items()}:
            raise VggfeatError(
                "what an unfinished run has kept does not fit this version of Keras: begin anew "
                "with --fresh"
            )
        for name, variable in changing.items():
            variable.assign(state[name])

    def result(self) -> Any:
        """What it has become, as a plain Keras model of probabilities in float32."""
        model = self._build("float32", activation="softmax")
        for layer in self._model.layers:
            model.get_layer(layer.name).set_weights(layer.get_weights())
        return model

    def _build(self, dtype: str, activation: str) -> Any:
        return build(
            self._weights,
            include_top=self._settings.layer == FC7,
            trainable_from=self._settings.train_from,
            classes=len(self._settings.classes),
            seed=self._settings.seed,
            dropout=self._settings.dropout,
            dtype=dtype,
            activation=activation,
        )

    def _changing(self) -> Iterator[tuple[str, Any]]:
        """Weights that learn, states of random numbers, and what the optimizer remembers."""
        layers = [layer for layer in self._model.layers if layer.trainable]
        variables = [variable for layer in layers for variable in layer.variables]
        for number, variable in enumerate([*variables, *self._model.optimizer.variables]):
            yield str(number), variable  # their own names count up within a process

    @contextlib.contextmanager
    def _enough_memory(self) -> Iterator[None]:
        try:
            yield
        except self._tf.errors.ResourceExhaustedError as error:
            raise VggfeatError(
                f"out of memory with {self._settings.batch_size} pictures in a step: try a "
                "smaller --batch-size"
            ) from error


def _check_loss(loss: float) -> None:
    if not np.isfinite(loss):
        raise VggfeatError("the loss is no number any more: try a lower --learning-rate")


def precision(tf: Any, gpus: list[Any]) -> str:
    """Keras' name of what layers compute in: that of the oldest GPU, float32 without one."""
    told = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    oldest = min((gpu.get("compute_capability", (0, 0)) for gpu in told), default=(0, 0))
    if oldest >= _BFLOAT16_SINCE:
        return "mixed_bfloat16"
    return "mixed_float16" if oldest >= _FLOAT16_SINCE else "float32"


@contextlib.contextmanager
def reproducible() -> Iterator[None]:
    """Let TensorFlow compute the same bits each time; as it was before at the end."""
    tf = tensorflow()
    # TensorFlow makes public only how to turn it on.
    switch = importlib.import_module("tensorflow.python.framework.config")
    before = switch.is_op_determinism_enabled()
    tf.config.experimental.enable_op_determinism()
    try:
        yield
    finally:
        if not before:
            switch.disable_op_determinism()
