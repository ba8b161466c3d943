"""Rows as Arrow tables: names of any bytes, plain types, and numbers without a copy."""

from __future__ import annotations

import os

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vggfeat.outcome import DTYPES, Stamp
from vggfeat.sinks import RowType, arrow
from vggfeat.sinks.index import Entry

names = st.text(st.characters(exclude_categories=["Cs"])) | st.binary().map(os.fsdecode)


@given(names)
@settings(deadline=None)
@example("\uef80\uefff")
@example(os.fsdecode(b"a\xff\xee\xbe\x80\xe2\x82.jpg"))
@example(os.fsdecode(b"\xee\xbe") + "\uef80")
def test_any_name_is_valid_text_and_comes_back(name: str) -> None:
    told = arrow.text(name)
    pa.array([told]).validate(full=True)
    assert arrow.name_of(told) == name


@given(names, names)
@settings(deadline=None)
def test_two_names_are_two_texts(one: str, other: str) -> None:
    assert (arrow.text(one) == arrow.text(other)) == (one == other)


@pytest.mark.parametrize("name", ["imgs/a.jpg", "à, 日本.jpg", "\U0001f600", ""])
def test_names_that_are_text_stay_as_they_are(name: str) -> None:
    assert arrow.text(name) == name


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_table_holds_what_it_was_given(dtype: str) -> None:
    fc7 = np.arange(8, dtype=dtype).reshape(2, 4)
    maps = np.arange(24, dtype=dtype).reshape(2, 2, 2, 3)
    columns = arrow.schema([("fc7", (4,)), ("pool5:linear", (2, 2, 3))], dtype)
    entries = [Entry("a", Stamp(1, -2), "x", ""), Entry("b", Stamp(2**40, 2**62), "y", "")]
    table = arrow.table(entries, [fc7, maps], columns)
    assert table.schema.names == ["path", "fc7", "pool5.linear", "size", "mtime_ns", "sha256"]
    assert table.drop_columns(["fc7", "pool5.linear"]).to_pylist() == [
        {"path": "a", "size": 1, "mtime_ns": -2, "sha256": "x"},
        {"path": "b", "size": 2**40, "mtime_ns": 2**62, "sha256": "y"},
    ]
    assert table["pool5.linear"].to_pylist() == maps.reshape(2, -1).tolist()
    assert arrow.shape_of(table.schema.field("pool5.linear")) == (2, 2, 3)
    assert arrow.shape_of(table.schema.field("fc7")) == (4,)
    for column, features in (("fc7", fc7), ("pool5.linear", maps)):
        found = arrow.numbers(table[column].combine_chunks())
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, features.reshape(2, -1))


def test_part_of_a_column_is_its_own_rows() -> None:
    columns = arrow.schema([("fc7", (2,))], "float32")
    rows = np.arange(8, dtype=np.float32).reshape(4, 2)
    table = arrow.table([Entry(name, Stamp(1, 1), "", "") for name in "abcd"], [rows], columns)
    found = arrow.numbers(table.slice(1, 2)["fc7"].combine_chunks())
    np.testing.assert_array_equal(found, rows[1:3])


def test_a_group_has_as_many_rows_as_are_some_megabytes() -> None:
    assert arrow.rows_of_a_group([RowType((4096,))]) == 1024
    assert arrow.rows_of_a_group([RowType((4096,)), RowType((4096,), "float16")]) == 682
    assert arrow.rows_of_a_group([RowType((224, 224, 64))]) == 1
