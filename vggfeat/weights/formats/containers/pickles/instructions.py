"""The instructions of pickles (Lib/pickletools.py of Python), and what each does here."""

from __future__ import annotations

import pickle as op  # for the names of its instructions only
import struct
from collections.abc import Callable
from typing import Any

from vggfeat.weights.formats.containers.pickles.machine import LONGEST_NUMBER, U1, Bytes, Machine
from vggfeat.weights.formats.containers.pickles.records import Dict, LongText, Object, Symbol

_LONG = 1024  # a longer string stays in the file


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

NUMBERS = {op.BININT1: U1, op.BININT2: _U2, op.BININT: _I4, op.BINFLOAT: struct.Struct(">d")}

STRINGS: dict[bytes, tuple[struct.Struct, Callable[[Bytes], Any]]] = {
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

STEPS: dict[bytes, Callable[[Machine], None]] = {
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
