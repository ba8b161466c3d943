"""The devices that TensorFlow computes on, and which of them a run asks for."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from typing import Any, NamedTuple

from vggfeat.engines import cuda_driver, gpu
from vggfeat.errors import UsageError, VggfeatError

ALL = "all"

_WHERE = ("Graph execution error", "Detected at node", "File ", "[[", "The op is created at")


class Device(NamedTuple):
    """One of TensorFlow's logical devices.

    Attributes:
        name: as TensorFlow takes it.
        label: what users call it: `GPU 0 (NVIDIA H100 80GB HBM3)`.
        is_gpu: whether it is a card.
        free: bytes of its memory that nobody uses; None where that is not known.
    """

    name: str
    label: str
    is_gpu: bool = False
    free: int | None = None


def numbers(asked: str | Sequence[int]) -> tuple[int, ...] | None:
    """The cards that `--devices` asks for; None for all.

    Raises:
        UsageError: it names none.
    """
    if asked == ALL:
        return None
    try:
        parts = asked.split(",") if isinstance(asked, str) else asked
        found = tuple(dict.fromkeys(map(int, parts)))
    except (ValueError, TypeError):
        found = ()
    if not found or min(found) < 0:
        raise UsageError(f"no devices {asked!r}: give all, or numbers of cards such as 0,1")
    return found


def prepared(tf: Any, asked: str | Sequence[int]) -> list[Device]:
    """The devices to compute on: cards where there are any, else processors.

    Memory of a card is taken as it is needed, so that others can use it too. Cards that are not
    asked for are left alone altogether, as far as the process has not used TensorFlow before.

    Returns:
        in the order asked for, one at least.

    Raises:
        UsageError: there are no such devices.
        VggfeatError: a card is there, but does not start.
    """
    wanted = numbers(asked)
    cards = tf.config.list_physical_devices("GPU")
    if wanted and cards and max(wanted) < len(cards):
        _set(tf.config.set_visible_devices, [cards[number] for number in wanted], "GPU")
    for card in cards:
        _set(tf.config.experimental.set_memory_growth, card, True)
    try:
        found = _gpus(tf) if cards else _processors(tf)
    except (RuntimeError, ValueError, tf.errors.OpError) as error:
        raise VggfeatError(
            f"TensorFlow cannot start the GPU ({reason(str(error))}): `vggfeat doctor` looks into "
            "it, and --engine ncnn does without"
        ) from error
    if wanted is None:  # the program may have hidden all cards from TensorFlow
        return list((found or _processors(tf)).values())
    _check_there(wanted, found, len(cards))
    return [found[number] for number in wanted]


def _set(change: Any, *values: Any) -> None:
    """Change a setting, unless the program has set or used what it is of: then it stays so."""
    try:
        change(*values)
    except (RuntimeError, ValueError):
        return


def _gpus(tf: Any) -> dict[int, Device]:
    """By their numbers, with which CUDA and TensorFlow count them."""
    cuda_driver.forget()  # their free memory changes
    free = {card.index: card.free for card in gpu.cards()}
    found = {}
    # In the order of the machine, whatever the order in which they were made visible.
    chosen = tf.config.get_visible_devices("GPU")
    visible = [card for card in tf.config.list_physical_devices("GPU") if card in chosen]
    for physical, logical in zip(visible, tf.config.list_logical_devices("GPU"), strict=False):
        number = int(physical.name.rpartition(":")[2])
        model = tf.config.experimental.get_device_details(physical).get("device_name", "unknown")
        found[number] = Device(logical.name, f"GPU {number} ({model})", True, free.get(number))
    return found


def _processors(tf: Any) -> dict[int, Device]:
    """One, or as many logical devices as the program has divided the processors into."""
    logical = tf.config.list_logical_devices("CPU")
    if len(logical) == 1:
        return {0: Device(logical[0].name, "CPU")}
    return {n: Device(device.name, f"CPU {n}") for n, device in enumerate(logical)}


def _check_there(wanted: Sequence[int], found: dict[int, Device], cards: int) -> None:
    if not cards and len(found) == 1:
        raise UsageError(f"--devices: {gpu.why_not() or 'there is no GPU here'}")
    lacking = [number for number in wanted if number not in found]
    if not lacking:
        return
    what = f"--devices {','.join(map(str, lacking))}: "
    if max(lacking) < cards:
        raise UsageError(
            f"{what}TensorFlow was started without it in this process: ask for all at once"
        )
    raise UsageError(f"{what}there are {', '.join(device.label for device in found.values())}")


def reason(message: str) -> str:
    """The line of an error of TensorFlow that says what happened.

    Before it may stand where in the graph it was, behind it names of operations.
    """
    plain = re.sub(r"\{\{.*?\}\}|\[Op:.*", "", message)
    lines = [line.strip() for line in plain.splitlines()]
    told = (line for line in lines if line and not line.startswith(_WHERE))
    return textwrap.shorten(next(told, "for no reason that TensorFlow tells"), 200)
