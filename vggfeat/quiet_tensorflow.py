"""TensorFlow, imported when it is needed and without its chatter."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Iterator
from typing import Any

from vggfeat.engines import cuda_libraries
from vggfeat.errors import VggfeatError


def tensorflow() -> Any:
    """The tensorflow module. The first call takes some seconds.

    Raises:
        VggfeatError: it is not installed, or cannot be loaded here.
    """
    if "tensorflow" in sys.modules:
        cuda_libraries.open_beside()  # the program may not have asked for devices yet
        return sys.modules["tensorflow"]
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        with quietly():
            tf = importlib.import_module("tensorflow")
            cuda_libraries.open_beside()
            tf.config.list_physical_devices()
    except ImportError as error:
        raise VggfeatError(
            f"TensorFlow cannot be loaded ({error}): pip install tensorflow"
        ) from error
    tf.get_logger().setLevel("ERROR")
    return tf


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Discard what C++ code writes to file descriptor 2; exceptions are raised as ever.

    TensorFlow's libraries log to it before any of their log settings are read, and some heed
    none. A level that the user has set keeps everything.
    """
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL", "3") != "3":
        yield
        return
    sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # started with stderr closed
        yield
        return
    with open(os.devnull, "wb") as null:
        os.dup2(null.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
