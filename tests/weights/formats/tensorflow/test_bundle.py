"""Checkpoints that lie, of both versions: one sentence each, and no more memory than they hold."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import networks
from tests.weights.formats import tables
from tests.weights.formats.tables import bundle_entry, field, shape
from vggfeat import WeightsError
from vggfeat.weights import formats
from vggfeat.weights.convert import convert
from vggfeat.weights.formats.tensorflow import slim

ARRAYS = tables.TINY
KERNEL = b"vgg_16/conv1/conv1_1/weights"
SIDES = (3, 3, 3, 2)
SIZE = 4 * 54
LIES = {
    "no header": {b"": b""},
    "more shards than names have room for": {b"": field(1, 1 << 40)},
    "a shard that is not there": {KERNEL: bundle_entry(SIDES, 0, SIZE, shard=7)},
    "an offset past the end": {KERNEL: bundle_entry(SIDES, 1 << 40, SIZE)},
    "an offset that overflows": {KERNEL: bundle_entry(SIDES, (1 << 64) - 1, SIZE)},
    "a size that does not fit the shape": {KERNEL: bundle_entry(SIDES, 0, SIZE - 1)},
    "a shape of 4 billion numbers": {KERNEL: bundle_entry((1 << 31, 3), 0, SIZE)},
    "a shape that overflows": {KERNEL: bundle_entry((1 << 63, 1 << 62, 4), 0, 0)},
    "a negative side": {KERNEL: bundle_entry(((1 << 64) - 1, 3), 0, SIZE)},
    "a shape of many sides": {KERNEL: bundle_entry((1,) * 1000, 0, 4)},
    "slices that are not there": {KERNEL: bundle_entry(SIDES, 0, SIZE) + field(7, b"")},
    "no message": {KERNEL: b"\xff\xff\xff"},
    "a message of another kind": {KERNEL: field(1, b"x") + field(2, 1)},
}


@pytest.mark.parametrize("kind", LIES)
def test_an_index_that_lies_is_one_sentence(tmp_path: Path, kind: str) -> None:
    tables.write_bundle(tmp_path / "a", ARRAYS, LIES[kind])
    check_refused(tmp_path / "a")


def sliced(*parts: tuple[int, int]) -> dict[bytes, bytes]:
    """conv1_1's kernel cut along its last axis into parts of (start, length)."""
    described = shape(SIDES)
    kept = {}
    slices = b""
    for start, length in parts:
        extent = field(1, b"") * 3 + field(1, field(1, start) + field(2, length))
        slices += field(7, extent)
        key = b"\0" + KERNEL + b"\0\1" + bytes([4, start])
        kept[key] = bundle_entry((3, 3, 3, length), 0, 4 * 27 * length)
    return kept | {KERNEL: field(1, 1) + field(2, described) + slices}


def test_slices_as_these_tests_write_them_are_read(tmp_path: Path) -> None:
    tables.write_bundle(tmp_path / "a", ARRAYS, sliced((0, 1), (1, 1)))
    assert formats.read(tmp_path / "a").width_of["conv1_1"] == 2


@pytest.mark.parametrize(
    "parts", [[(0, 1)], [(1, 1)], [(0, 2), (1, 1)], [(0, 1), (1, 2)], [(0, 0), (0, 2), (2, 0)]]
)
def test_slices_with_gaps_or_overlaps_are_refused(
    tmp_path: Path, parts: list[tuple[int, int]]
) -> None:
    tables.write_bundle(tmp_path / "a", ARRAYS, sliced(*parts))
    if parts[0] != (0, 0):
        check_refused(tmp_path / "a")
    else:  # empty parts take no room
        check_refused_or_read(tmp_path / "a")


def check_refused(path: Path) -> None:
    """By the form itself, in a sentence of its own."""
    with pytest.raises(WeightsError) as caught:
        slim.find(path)
    assert "\n" not in str(caught.value)
    with pytest.raises(WeightsError, match=rf"^{path}: "):
        formats.read(path)


def check_refused_or_read(path: Path) -> None:
    with contextlib.suppress(WeightsError):
        network = slim.find(path)
        assert network.declared is not None
        for _, array in convert(network, network.declared):
            assert array.nbytes <= 1 << 20


def mutated(draw: Any, data: bytes) -> bytes:
    """Bytes changed, cut out or put in at a few places, half of them in the first thousand."""
    changed = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        reach = min(len(changed), draw(st.sampled_from([1000, 1 << 30]))) - 1
        at = draw(st.integers(0, max(reach, 0)))
        kind = draw(st.sampled_from(["set", "cut", "put"]))
        if kind == "set":
            changed[at : at + 1] = draw(st.binary(min_size=1, max_size=4))
        elif kind == "cut":
            del changed[at : at + draw(st.integers(1, 40))]
        else:
            changed[at:at] = draw(st.binary(min_size=1, max_size=20))
    return bytes(changed)


EXAMPLES = int(os.environ.get("VGGFEAT_MUTATIONS", "150"))
mutations = settings(max_examples=EXAMPLES, deadline=None)
V1_ENTRIES = tables.version_1(ARRAYS)
V1_FILE = tables.of_entries(V1_ENTRIES)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mutated")


def test_files_as_these_tests_write_them_are_read(folder: Path) -> None:
    (folder / "first").write_bytes(V1_FILE)
    tables.write_bundle(folder / "second", ARRAYS)
    first, second = (formats.read(folder / name) for name in ("first", "second"))
    expected = networks.converted(tables.TINY_LAYERS)
    assert first.fingerprint == second.fingerprint == expected.fingerprint


@given(st.data())
@mutations
def test_whatever_is_done_to_an_index_is_one_sentence_or_read(
    folder: Path, data: st.DataObject
) -> None:
    kept, numbers = tables.bundle_entries(ARRAYS)
    key = data.draw(st.sampled_from(sorted(kept)))
    kept[key] = mutated(data.draw, kept[key])
    (folder / "a.index").write_bytes(tables.of_entries(list(kept.items())))
    (folder / "a.data-00000-of-00001").write_bytes(numbers)
    check_refused_or_read(folder / "a")


@given(st.data())
@mutations
def test_whatever_is_done_to_version_1_is_one_sentence_or_read(
    folder: Path, data: st.DataObject
) -> None:
    """The checksums are right again afterwards, so that they do not catch what is tested here."""
    content = mutated(data.draw, tables.packed(V1_ENTRIES[:4]))
    rest = tables.packed(V1_ENTRIES[4:])
    (folder / "v1").write_bytes(tables.of_blocks([content, rest]))
    check_refused_or_read(folder / "v1")


@given(st.data())
@mutations
def test_whatever_is_done_to_a_file_is_one_sentence_or_read(
    folder: Path, data: st.DataObject
) -> None:
    (folder / "whole").write_bytes(mutated(data.draw, V1_FILE) + V1_FILE[-48:])
    check_refused_or_read(folder / "whole")
