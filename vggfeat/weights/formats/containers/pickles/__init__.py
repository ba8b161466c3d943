"""Pickles read without being run.

A pickle is a program for a small stack machine (Lib/pickletools.py of Python describes each
instruction). Run by Python, it may import and call anything. Here the machine has no way to do
so: what the program names becomes a `Symbol`, what it would call becomes an `Object` that says
with which arguments, and both stay what they are. That holds for whatever a file names, so no
list of forbidden names is needed, and a training checkpoint may hold anything beside its tensors.

Work is bounded by a number of instructions; none of them takes more time or memory than its own
bytes in the file ask for. Long strings are views of the file. Nothing recurses.
"""

from __future__ import annotations

import pickle as op  # for the names of its instructions only
import struct
from typing import Any, NamedTuple

from vggfeat.errors import WeightsError
from vggfeat.weights.formats.containers.pickles.instructions import NUMBERS, STEPS, STRINGS
from vggfeat.weights.formats.containers.pickles.machine import Bytes, Machine
from vggfeat.weights.formats.containers.pickles.records import Persistent

_MOST_STEPS = 1 << 21  # a training checkpoint of VGG16 takes some ten thousand


class Pickle(NamedTuple):
    """What a pickle holds.

    Attributes:
        value: numbers, strings, lists and tuples as Python's own; the rest as records. Strings
            of Python 2 are `str`, each character a byte; those of more than a kilobyte are
            arrays of bytes or a `LongText`.
        end: where the next byte after it is.
        persistent: all `Persistent` records in it, in their order.
    """

    value: Any
    end: int
    persistent: list[Persistent]


def load(data: Bytes, at: int = 0) -> Pickle:
    """Read one pickle that begins at `at`.

    Raises:
        WeightsError: it is damaged, or not written by pickle, or longer than any checkpoint.
    """
    machine = Machine(data, at)
    try:
        value = _run(machine)
    except (IndexError, ValueError, KeyError, TypeError, struct.error) as error:
        raise WeightsError("damaged: it holds a pickle that is not whole") from error
    return Pickle(value, machine.at, machine.persistent)


def _run(machine: Machine) -> Any:
    for _ in range(_MOST_STEPS):
        code = machine.instruction()
        if code == op.STOP:
            return machine.stack.pop()
        if code in NUMBERS:
            machine.stack.append(machine.number(NUMBERS[code]))
        elif code in STRINGS:
            length, make = STRINGS[code]
            machine.stack.append(make(machine.take(machine.number(length))))
        elif code in STEPS:
            STEPS[code](machine)
        else:
            raise WeightsError("damaged: it holds a pickle with an unknown instruction")
    raise WeightsError("it holds a pickle of more steps than any checkpoint of a VGG16")
