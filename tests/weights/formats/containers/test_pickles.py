"""Pickles are read without being run: against Python's own, and against hostile ones."""

from __future__ import annotations

import contextlib
import os
import pickle
import pickletools
import struct
import time
import tracemalloc
from argparse import Namespace
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vggfeat import WeightsError
from vggfeat.weights.formats.containers import pickles
from vggfeat.weights.formats.containers.pickles import instructions
from vggfeat.weights.formats.containers.pickles.records import (
    Dict,
    LongText,
    Object,
    Persistent,
    Symbol,
)

PROTOCOLS = range(6)


def load(text: bytes) -> Any:
    return pickles.load(np.frombuffer(text, np.uint8)).value


def plain(value: Any) -> Any:
    """Records as Python's own dictionaries, to be compared."""
    if isinstance(value, (Dict, Object)):
        return {plain(key): plain(child) for key, child in value.pairs}
    if isinstance(value, (list, tuple)):
        return type(value)(plain(child) for child in value)
    return value


LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(1 << 70), 1 << 70)
    | st.floats(allow_nan=False)
    | st.text(max_size=20)
    | st.binary(max_size=20)
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(VALUES, st.sampled_from([3, 4, 5]))
def test_whatever_python_writes_is_read_as_python_reads_it(value: Any, protocol: int) -> None:
    assert plain(load(pickle.dumps(value, protocol))) == value


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_protocol_is_read(protocol: int) -> None:
    value = {"a": [1, -2, 300, 70000, 1 << 40, 1.5, None, True, False], "b": ("x", (), (1, 2, 3))}
    assert plain(load(pickle.dumps(value, protocol))) == value


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_objects_are_written_down_and_not_made(protocol: int) -> None:
    found = load(pickle.dumps([Namespace(lr=0.1), OrderedDict(a=1), {3}, os.getcwd], protocol))
    namespace, ordered, _, function = found
    assert all(type(record) is Object for record in found[:3])
    assert plain(namespace.state) == {"lr": 0.1}
    assert ordered.maker == Symbol("collections", "OrderedDict")
    assert plain(ordered) == {"a": 1}
    assert (type(function), function.name) == (Symbol, "getcwd")


def test_strings_of_python_2_are_characters_of_a_byte_each() -> None:
    assert load(b"\x80\x02U\x03a\xe9b.") == "a\xe9b"
    assert load(b"S'a\\xe9\\n'\n.") == "a\xe9\n"
    assert load(b"I01\n.") == 1
    assert load(b"L12L\n.") == 12


def test_a_persistent_id_is_kept(tmp_path: Path) -> None:
    class Pickler(pickle.Pickler):
        def persistent_id(self, value: Any) -> Any:
            return ("storage", 7) if isinstance(value, complex) else None

    with open(tmp_path / "a", "wb") as file:
        Pickler(file, 2).dump({"x": 1j})
    found = pickles.load(np.fromfile(tmp_path / "a", np.uint8))
    assert [record.id for record in found.persistent] == [("storage", 7)]
    assert isinstance(found.value.pairs[0][1], Persistent)


def test_one_after_the_other_says_where_it_ends() -> None:
    text = pickle.dumps(1, 2) + pickle.dumps("two", 2)
    data = np.frombuffer(text, np.uint8)
    first = pickles.load(data)
    second = pickles.load(data, first.end)
    assert (first.value, second.value, second.end) == (1, "two", len(text))


@pytest.mark.parametrize("value", [b"\xe9" * 100_000, "\xe9" * 100_000])
def test_long_strings_are_views_of_the_file(value: bytes | str) -> None:
    data = np.frombuffer(pickle.dumps(value, 4), np.uint8)
    found = pickles.load(data).value
    view = found.utf8 if isinstance(found, LongText) else found
    assert np.shares_memory(view, data)
    assert view.tobytes() == (value if isinstance(value, bytes) else value.encode())


class Evil:
    """What its pickle does when it is run."""

    def __init__(self, *call: Any) -> None:
        self.call = call

    def __reduce__(self) -> Any:
        return self.call[0], self.call[1:]


def evil_calls(touched: Path) -> list[Evil]:
    return [
        Evil(os.system, f"touch {touched}"),
        Evil(eval, f"open({str(touched)!r}, 'w').close()"),
        Evil(exec, f"open({str(touched)!r}, 'w').close()"),
        Evil(open, str(touched), "w"),
        Evil(Path.touch, touched),
    ]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("which", range(5))
def test_what_would_run_is_not_run(tmp_path: Path, protocol: int, which: int) -> None:
    touched = tmp_path / "touched"
    text = pickle.dumps({"weights": evil_calls(touched)[which]}, protocol)
    load(text)
    assert not touched.exists()
    pickle.loads(text)
    assert touched.exists()  # so the pickle does run where it is not read as data


def test_every_instruction_of_python_is_known_or_refused() -> None:
    """Out-of-band buffers and the extension registry are not for files."""
    refused = {"EXT1", "EXT2", "EXT4", "NEXT_BUFFER", "READONLY_BUFFER", "STOP"}
    tables = (instructions.NUMBERS, instructions.STRINGS, instructions.STEPS)
    known = {code for table in tables for code in table}
    missing = {op.name for op in pickletools.opcodes if op.code.encode("latin1") not in known}
    assert missing == refused


NESTED = 200_000
HOSTILE = {
    "empty": b"",
    "no stop": b"\x80\x02K\x01",
    "nothing to stop with": b"\x80\x02.",
    "newer": b"\x80\x09K\x01.",
    "unknown instruction": b"\xff\xff.",
    "extension": b"\x80\x02\x82\x01.",
    "long string": b"B\xff\xff\xff\xffabc.",
    "negative string": b"T\xff\xff\xff\xffabc.",
    "longer string": b"\x8e" + struct.pack("<Q", 1 << 62) + b"abc.",
    "longest string": b"\x8e" + b"\xff" * 8 + b"abc.",
    "bytearray": b"\x96" + struct.pack("<Q", 1 << 40) + b"abc.",
    "frame": b"\x80\x04\x95\xff\xff\xff\xff.",
    "long number": b"\x8b" + struct.pack("<i", 1 << 30) + b"1.",
    "negative number": b"\x8b" + struct.pack("<i", -1) + b"1.",
    "many digits": b"I" + b"9" * 50_000 + b"\n.",
    "endless line": b"I" + b"9" * 500_000,
    "no mark": b"\x80\x02t.",
    "odd pairs": b"}(K\x01u.",
    "append to a number": b"K\x01K\x02a.",
    "set in a list": b"]K\x01K\x02s.",
    "unknown memo": b"h\x07.",
    "symbol of numbers": b"K\x01K\x02\x93.",
    "no text": b"X\x02\x00\x00\x00\xff\xfe.",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_pickle_that_is_none_is_one_sentence(name: str) -> None:
    tracemalloc.start()
    with pytest.raises(WeightsError, match="pickle"):
        load(HOSTILE[name])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 << 20


@pytest.mark.parametrize(
    "text",
    [
        b"]" * NESTED + b"a" * (NESTED - 1) + b".",
        b")" + b"\x85" * NESTED + b".",
        b"}" + b"K\x01}" * NESTED + b"s" * NESTED + b".",
        b"(" * NESTED + b"K\x01.",
        b"c__main__\nf\n)R" + b")R" * NESTED + b".",
        b"]q\x00h\x00a.",
        b"}q\x00K\x01h\x00s.",
        b"]r\xff\xff\xff\xff.",
        b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\xffK\x01.",
    ],
    ids=["lists", "tuples", "dicts", "marks", "calls", "list in itself", "dict in itself",
         "memo", "frame"],
)  # fmt: skip
def test_what_nests_or_lies_about_lengths_does_no_harm(text: bytes) -> None:
    load(text)


def test_a_pickle_of_endless_work_is_given_up() -> None:
    start = time.perf_counter()
    with pytest.raises(WeightsError, match="more steps"):
        load(b"N0" * (1 << 21) + b"N.")
    assert time.perf_counter() - start < 30


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_pickle_with_changed_bytes_is_read_or_refused(data: st.DataObject) -> None:
    whole = pickle.dumps({"a": [1, (2.5, "x"), OrderedDict(b=Namespace(c={1: b"2"}))]}, 2)
    text = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(WeightsError):
        load(bytes(text))
