"""Preprocessing in a process of its own, for an image over which a process may die.

This file is also the program that runs there. The content of the image is its standard input; on
its standard output it writes a byte when it is about to decode, then one that tells what follows:
the pixels, or the sentence of an ImageError.
"""

from __future__ import annotations

import math
import os
import pickle
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from vggfeat import limited
from vggfeat.errors import ImageError, TransientImageError, describe_os_error

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vggfeat.preprocess import Preprocessing

SECONDS = 60  # of CPU time: far more than the largest image takes
TOO_LONG = f"decoding it took longer than {SECONDS} s"

_PATIENCE = 10 * SECONDS  # for a decoder that waits without computing, on a busy machine
_MEMORY = 1 << 33  # bytes: far more than the largest image takes
_MEMORY_OF_THREAD = 1 << 27  # bytes of address space that a thread of a decoder reserves
_READY, _PIXELS, _LASTING, _TRANSIENT = b"R", b"P", b"E", b"T"
_NO_MEMORY = "not enough memory to decode it"

# Signals that a process gets by its own fault. Others come from outside.
_CRASHES = ("SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGSEGV", "SIGSYS", "SIGTRAP")


def preprocess_apart(data: bytes, preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """What `preprocessing(data)` gives, computed in a process of its own with limits.

    Args:
        data: the whole content of an image file.
        preprocessing: is pickled.

    Returns:
        uint8 `[size,size,3]`, RGB.

    Raises:
        TransientImageError: preprocessing raised it, or the process could not be started or was
            ended from outside.
        ImageError: preprocessing raised it, or its decoder crashed or took too long.
    """
    arguments = [pickle.dumps(preprocessing).hex(), str(SECONDS)]
    try:
        code, answer = limited.run(Path(__file__), arguments, data, _PATIENCE)
    except OSError as error:
        raise _not_started(describe_os_error(error)) from error
    ready, kind, content = answer[:1], answer[1:2], answer[2:]
    ending = _ending(code)
    if ending in ("too long", "SIGXCPU"):
        raise ImageError(TOO_LONG)
    if ending == "SIGKILL":
        raise TransientImageError(_NO_MEMORY)
    if ready != _READY:
        raise _not_started(ending)
    if ending in _CRASHES:
        raise ImageError(f"its decoder crashed ({ending})")
    if ending.startswith("SIG"):
        raise TransientImageError(f"its decoding was ended by {ending}")
    if kind == _LASTING:
        raise ImageError(content.decode(errors="replace"))
    if kind == _TRANSIENT:
        raise TransientImageError(content.decode(errors="replace"))
    shape = (preprocessing.size, preprocessing.size, 3)
    if kind != _PIXELS or len(content) != math.prod(shape):
        raise ImageError(f"its decoder ended the process ({ending})")
    return np.frombuffer(content, np.uint8).reshape(shape)


def _ending(code: int | None) -> str:
    """How the process ended, in words: a signal's name where it was a signal."""
    if code is None:
        return "too long"
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"SIG{-code}"


def _not_started(why: str) -> TransientImageError:
    return TransientImageError(f"no process could be started to decode it: {why}")


def main() -> NoReturn:
    """The program: a pickled preprocessing in hexadecimal digits, and seconds of CPU time."""
    preprocessing: Preprocessing = pickle.loads(bytes.fromhex(sys.argv[1]))
    data = sys.stdin.buffer.read()
    answer = os.dup(1)
    os.dup2(2, 1)  # what decoders print is no answer
    memory = _MEMORY + _MEMORY_OF_THREAD * (os.cpu_count() or 1)
    limited.limit(int(sys.argv[2]), memory)
    with open(answer, "wb") as file:
        file.write(_READY)
        file.flush()
        file.write(_outcome(data, preprocessing))
    os._exit(0)  # what a decoder has damaged must not be tidied up


def _outcome(data: bytes, preprocessing: Preprocessing) -> bytes:
    try:
        return _PIXELS + preprocessing(data).tobytes()
    except TransientImageError as error:
        return _TRANSIENT + str(error).encode(errors="backslashreplace")
    except ImageError as error:
        return _LASTING + str(error).encode(errors="backslashreplace")
    except MemoryError:
        return _TRANSIENT + _NO_MEMORY.encode()


if __name__ == "__main__":
    main()
