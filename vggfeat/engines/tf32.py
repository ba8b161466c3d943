"""Whether GPUs compute float32 in TF32: a switch of TensorFlow, which is the whole process's."""

from __future__ import annotations

from typing import Any

from vggfeat.engines.precision import FLOAT32, TF32
from vggfeat.errors import UsageError

_claimed: list[str] = []  # float32 or tf32


def claim(precision: str) -> None:
    """Let a precision be the only one of the two on the GPUs of this process.

    TensorFlow plans a convolution once for its shape, with TF32 or without: who came second might
    get the other's numbers.

    Raises:
        UsageError: the other one has been claimed before.
    """
    if precision not in (FLOAT32, TF32):
        return
    if _claimed and _claimed[0] != precision:
        raise UsageError(
            f"{precision} on a GPU after {_claimed[0]}: TensorFlow's switch between them is the "
            "process's, so use another process"
        )
    _claimed[:] = [precision]


def switch(tf: Any, precision: str) -> None:
    """Turn TF32 on or off, as a precision takes it."""
    if precision in (FLOAT32, TF32):
        tf.config.experimental.enable_tensor_float_32_execution(precision == TF32)
