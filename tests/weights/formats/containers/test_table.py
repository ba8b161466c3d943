"""LevelDB's tables: as TensorFlow writes them, and as nobody should."""

from __future__ import annotations

import contextlib
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.weights.formats import tables
from tests.weights.formats.tables import block, entry, varint, with_trailer
from vggfeat import WeightsError
from vggfeat.weights.formats.containers import table

ENTRIES = [(b"", b"header"), (b"conv1", b""), (b"conv1_1", b"x" * 300), (b"d\0\xff", b"\0")]


def read(data: bytes) -> list[tuple[bytes, bytes]]:
    return [(key, value.tobytes()) for key, value in table.entries(np.frombuffer(data, np.uint8))]


@pytest.mark.parametrize("in_a_block", [1, 3, 100])
def test_entries_come_back_in_order(in_a_block: int) -> None:
    assert read(tables.of_entries(ENTRIES, in_a_block)) == ENTRIES


@given(st.dictionaries(st.binary(max_size=40), st.binary(max_size=200)), st.integers(1, 9))
@settings(max_examples=100, deadline=None)
def test_any_entries_come_back(kept: dict[bytes, bytes], in_a_block: int) -> None:
    entries = sorted(kept.items())
    assert read(tables.of_entries(entries, in_a_block)) == entries


def test_tensorflow_reads_the_tables_that_these_tests_write(tmp_path: Path) -> None:
    tf = pytest.importorskip("tensorflow")
    arrays = {"a/w": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.ones(1, np.float32)}
    tables.write_bundle(tmp_path / "v2", arrays)
    (tmp_path / "v1").write_bytes(tables.of_entries(tables.version_1(arrays)))
    for name in ("v1", "v2"):
        shapes = dict(tf.train.list_variables(str(tmp_path / name)))
        assert shapes == {"a/w": [2, 3], "b": [1]}


def test_the_checksum_is_crc_32c() -> None:
    """The check value of the algorithm, masked as doc/log_format.md of LevelDB says."""
    crc = 0xE3069283
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    assert table.masked_crc(b"123456789") == masked


@pytest.mark.parametrize("at", range(0, 300, 7))
def test_a_changed_byte_of_a_block_is_found(at: int) -> None:
    data = bytearray(tables.of_entries(ENTRIES, 100))
    data[at] ^= 4
    with pytest.raises(WeightsError, match="^damaged: a checksum of the checkpoint does not fit$"):
        read(bytes(data))


def test_a_table_cut_anywhere_is_one_sentence() -> None:
    data = tables.of_entries(ENTRIES)
    for length in range(len(data)):
        with pytest.raises(WeightsError, match="^damaged: a checkpoint that is cut short"):
            read(data[:length])


def test_a_compressed_table_is_named_as_such() -> None:
    blocks = [tables.packed(ENTRIES)]
    with pytest.raises(WeightsError, match="^a compressed table"):
        read(tables.of_blocks(blocks, compression=1))


BAD_BLOCKS = {
    "a key shares more than there is": block(entry(1, b"a", b"")),
    "a key shares more than the last one has": block(entry(0, b"ab", b"") + entry(3, b"", b"")),
    "a value beyond the block": block(entry(0, b"a", b"", length=9)),
    "a value beyond any file": block(entry(0, b"a", b"", length=(1 << 64) - 1)),
    "a varint that does not end": block(b"\xff" * 30),
    "more restarts than bytes": b"\xff\xff\xff\xff",
    "no room for the restarts": b"\0",
    "an entry cut short": block(b"\0"),
}


@pytest.mark.parametrize("kind", BAD_BLOCKS)
def test_a_block_that_lies_is_one_sentence(kind: str) -> None:
    with pytest.raises(WeightsError, match="^damaged: a checkpoint that is cut short or scrambled"):
        read(tables.of_blocks([BAD_BLOCKS[kind]]))


def pointing(offset: int, size: int) -> bytes:
    """A table whose index points anywhere."""
    data = with_trailer(tables.packed(ENTRIES))
    index = tables.packed([(b"z", varint(offset) + varint(size))])
    return data + with_trailer(index) + tables.footer((0, 0), (len(data), len(index)))


@pytest.mark.parametrize(("offset", "size"), [(0, 1 << 30), (1 << 63, 9), (200, 3), (9999, 9)])
def test_a_handle_beyond_the_end_is_one_sentence(offset: int, size: int) -> None:
    with pytest.raises(WeightsError, match="^damaged: "):
        read(pointing(offset, size))


def test_an_index_that_names_a_block_twice_is_refused() -> None:
    """Else a small file could hold blocks without end."""
    content = tables.packed(ENTRIES)
    handle = varint(0) + varint(len(content))
    data = with_trailer(content)
    index = tables.packed([(b"%d" % n, handle) for n in range(10)])
    whole = data + with_trailer(index) + tables.footer((0, 0), (len(data), len(index)))
    with pytest.raises(WeightsError, match="^damaged: "):
        read(whole)


@pytest.mark.parametrize("key", [b"", b"k" * 100_000])
def test_a_small_file_of_very_many_entries_takes_little(key: bytes) -> None:
    """Each key shares all of the first, which would be 2 GB together."""
    content = entry(0, key, b"") + entry(len(key), b"", b"") * 20_000
    data = tables.of_blocks([block(content)])
    tracemalloc.start()
    begun = time.process_time()
    with pytest.raises(WeightsError, match="too many variables"):
        read(data)
    assert tracemalloc.get_traced_memory()[1] < 50e6
    tracemalloc.stop()
    assert time.process_time() - begun < 10


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_whatever_is_done_to_a_block_gives_entries_or_one_sentence(data: st.DataObject) -> None:
    content = bytearray(tables.packed(ENTRIES))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(WeightsError):
        assert sum(len(value) for _, value in read(tables.of_blocks([bytes(content)]))) < 1000


def test_only_a_file_that_ends_like_a_table_is_one(tmp_path: Path) -> None:
    path = tmp_path / "some"
    assert not table.is_table(path)
    assert not table.is_table(tmp_path)
    for content, expected in ((b"", False), (b"short", False), (b"x" * 99 + tables.MAGIC, True)):
        path.write_bytes(content)
        assert table.is_table(path) is expected
