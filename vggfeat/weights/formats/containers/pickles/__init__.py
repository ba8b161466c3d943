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
from collections.abc import Callable
from typing import Any, NamedTuple

from vggfeat.errors import WeightsError
from vggfeat.weights.formats.containers.pickles.machine import LONGEST_NUMBER, U1, Bytes, Machine
from vggfeat.weights.formats.containers.pickles.records import (
    Dict,
    LongText,
    Object,
    Persistent,
    Symbol,
)

_MOST_STEPS = 1 << 21  # a training checkpoint of VGG16 takes some ten thousand
_LONG = 1024  # a longer string stays in the file


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
        if code in _NUMBERS:
            machine.stack.append(machine.number(_NUMBERS[code]))
        elif code in _STRINGS:
            length, make = _STRINGS[code]
            machine.stack.append(make(machine.take(machine.number(length))))
        elif code in _STEPS:
            _STEPS[code](machine)
        else:
            raise WeightsError("damaged: it holds a pickle with an unknown instruction")
    raise WeightsError("it holds a pickle of more steps than any checkpoint of a VGG16")


def _characters(data: Bytes) -> Any:
    return data if len(data) > _LONG else data.tobytes().decode("latin1")


def _bytes(data: Bytes) -> Any:
    return data if len(data) > _LONG else data.tobytes()


def _text(data: Bytes) -> Any:
    return LongText(data) if len(data) > _LONG else data.tobytes().decode("utf-8", "surrogatepass")


def _long(data: Bytes) -> int:
    if len(data) > LONGEST_NUMBER:
        raise ValueError
    return int.from_bytes(data.tobytes(), "little", signed=True)


def _key(machine: Machine, form: struct.Struct | None) -> int:
    return machine.number(form) if form else machine.integer()


def _pushing(give: Callable[[Machine], Any]) -> Callable[[Machine], None]:
    def push(machine: Machine) -> None:
        value = give(machine)  # which may put another stack in place
        machine.stack.append(value)

    return push


def _putting(form: struct.Struct | None) -> Callable[[Machine], None]:
    def put(machine: Machine) -> None:
        machine.memo[_key(machine, form)] = machine.stack[-1]

    return put


def _getting(form: struct.Struct | None) -> Callable[[Machine], None]:
    return lambda machine: machine.stack.append(machine.memo[_key(machine, form)])


def _memoize(machine: Machine) -> None:
    machine.memo[len(machine.memo)] = machine.stack[-1]


def _drop(machine: Machine) -> None:
    machine.since_mark()


def _dict(machine: Machine) -> Dict:
    items = machine.since_mark()
    return Dict(list(zip(items[::2], items[1::2], strict=True)))


_U2, _U4, _U8, _I4 = (struct.Struct(form) for form in ("<H", "<I", "<Q", "<i"))

_NUMBERS = {op.BININT1: U1, op.BININT2: _U2, op.BININT: _I4, op.BINFLOAT: struct.Struct(">d")}

_STRINGS: dict[bytes, tuple[struct.Struct, Callable[[Bytes], Any]]] = {
    op.SHORT_BINSTRING: (U1, _characters),
    op.BINSTRING: (_I4, _characters),
    op.SHORT_BINBYTES: (U1, _bytes),
    op.BINBYTES: (_U4, _bytes),
    op.BINBYTES8: (_U8, _bytes),
    op.BYTEARRAY8: (_U8, _bytes),
    op.SHORT_BINUNICODE: (U1, _text),
    op.BINUNICODE: (_U4, _text),
    op.BINUNICODE8: (_U8, _text),
    op.LONG1: (U1, _long),
    op.LONG4: (_I4, _long),
}

_STEPS: dict[bytes, Callable[[Machine], None]] = {
    op.PROTO: Machine.version,
    op.FRAME: lambda machine: machine.skip(_U8.size),
    op.NONE: _pushing(lambda _: None),
    op.NEWTRUE: _pushing(lambda _: True),
    op.NEWFALSE: _pushing(lambda _: False),
    op.INT: _pushing(Machine.integer),
    op.LONG: _pushing(Machine.integer),
    op.FLOAT: _pushing(lambda machine: float(machine.line())),
    op.STRING: _pushing(Machine.quoted),
    op.UNICODE: _pushing(lambda machine: machine.line().decode("raw-unicode-escape")),
    op.EMPTY_TUPLE: _pushing(lambda _: ()),
    op.EMPTY_LIST: _pushing(lambda _: []),
    op.EMPTY_DICT: _pushing(lambda _: Dict()),
    op.EMPTY_SET: _pushing(lambda _: Object(Symbol("builtins", "set"), ())),
    op.TUPLE: _pushing(lambda machine: tuple(machine.since_mark())),
    op.TUPLE1: lambda machine: machine.pack(1),
    op.TUPLE2: lambda machine: machine.pack(2),
    op.TUPLE3: lambda machine: machine.pack(3),
    op.LIST: _pushing(Machine.since_mark),
    op.DICT: _pushing(_dict),
    op.FROZENSET: _pushing(
        lambda machine: Object(Symbol("builtins", "frozenset"), (machine.since_mark(),))
    ),
    op.APPEND: lambda machine: machine.append([machine.stack.pop()]),
    op.APPENDS: lambda machine: machine.append(machine.since_mark()),
    op.ADDITEMS: lambda machine: machine.append(machine.since_mark()),
    op.SETITEM: lambda machine: machine.set([machine.stack.pop(-2), machine.stack.pop()]),
    op.SETITEMS: lambda machine: machine.set(machine.since_mark()),
    op.MARK: Machine.mark,
    op.POP: Machine.pop,
    op.POP_MARK: _drop,
    op.DUP: _pushing(lambda machine: machine.stack[-1]),
    op.PUT: _putting(None),
    op.BINPUT: _putting(U1),
    op.LONG_BINPUT: _putting(_U4),
    op.MEMOIZE: _memoize,
    op.GET: _getting(None),
    op.BINGET: _getting(U1),
    op.LONG_BINGET: _getting(_U4),
    op.GLOBAL: _pushing(Machine.symbol),
    op.STACK_GLOBAL: _pushing(Machine.stacked_symbol),
    op.REDUCE: _pushing(Machine.call),
    op.NEWOBJ: _pushing(Machine.call),
    op.NEWOBJ_EX: _pushing(Machine.call_with_keywords),
    op.INST: _pushing(Machine.instance),
    op.OBJ: _pushing(Machine.call_since_mark),
    op.BUILD: Machine.build,
    op.PERSID: lambda machine: machine.persist(machine.line().decode()),
    op.BINPERSID: lambda machine: machine.persist(machine.stack.pop()),
}
