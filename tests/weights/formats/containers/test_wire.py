"""Protocol buffers, written by Google's own library, and by hand where they lie."""

from __future__ import annotations

import contextlib
import tracemalloc
from typing import Any

import numpy as np
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import given, settings
from hypothesis import strategies as st

from vggfeat import WeightsError
from vggfeat.weights.formats.containers.wire import Message


def written(**values: Any) -> bytes:
    """A message of Google's: `id` = 1, `sizes` = 2, `name` = 3, `numbers` = 4, `inner` = 5."""
    return _type()(**values).SerializeToString()


def _type() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="t.proto", package="t", syntax="proto3")
    made = file.message_type.add(name="T")
    kinds = descriptor_pb2.FieldDescriptorProto
    for name, number, kind, label in (
        ("id", 1, kinds.TYPE_INT64, kinds.LABEL_OPTIONAL),
        ("sizes", 2, kinds.TYPE_INT64, kinds.LABEL_REPEATED),
        ("name", 3, kinds.TYPE_STRING, kinds.LABEL_REPEATED),
        ("numbers", 4, kinds.TYPE_FLOAT, kinds.LABEL_REPEATED),
        ("inner", 5, kinds.TYPE_MESSAGE, kinds.LABEL_REPEATED),
    ):
        field = made.field.add(name=name, number=number, type=kind, label=label)
        if kind == kinds.TYPE_MESSAGE:
            field.type_name = ".t.T"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("t.T"))


def message(data: bytes) -> Message:
    return Message(np.frombuffer(data, np.uint8))


INTEGERS = st.integers(-(1 << 63), (1 << 63) - 1)


@given(
    INTEGERS,
    st.lists(INTEGERS),
    st.lists(st.text()),
    st.lists(st.floats(width=32, allow_nan=False)),
)
@settings(max_examples=100, deadline=None)
def test_what_google_writes_is_read(
    number: int, sizes: list[int], names: list[str], numbers: list[float]
) -> None:
    inner = {"id": number, "sizes": sizes}
    found = message(written(sizes=sizes, name=names, numbers=numbers, inner=[inner, {}]))
    assert found.integers(2) == sizes
    assert found.texts(3) == names
    assert found.packed(4, np.dtype("<f4")).tolist() == numbers
    first, second = found.messages(5)
    assert first.integers(1) == ([number] if number else [])
    assert second.number(1, 7) == 7


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_a_message_or_refused(data: bytes) -> None:
    with contextlib.suppress(WeightsError):
        message(data)


@pytest.mark.parametrize(
    "data",
    [
        b"\x08",  # a number that is cut
        b"\x12\x7f" + b"x" * 10,  # a string longer than what follows
        b"\x0d\x00",  # four bytes of which one is there
        b"\x0b",  # a group, which no file has
        b"\xff" * 20,  # a number without end
        b"\x00",  # field 0
    ],
)
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(WeightsError, match="damaged: "):
        message(data)


def test_millions_of_fields_are_refused_soon_and_in_little_memory() -> None:
    many = np.tile(np.array([0x08, 1], np.uint8), 10_000_000)
    nested = b"".join(b"\x2a\xff\xff\x07" + b"\x08\x01" * 65535 + b"\x00" for _ in range(100))
    tracemalloc.start()
    try:
        with pytest.raises(WeightsError, match="too many fields"):
            Message(many)
        with pytest.raises(WeightsError, match="too many fields|no protocol buffer"):
            [inner.number(1) for inner in message(nested).messages(5)]
        assert tracemalloc.get_traced_memory()[1] < 100 << 20
    finally:
        tracemalloc.stop()
