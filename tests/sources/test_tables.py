"""Tables of images: which column, which rows, and what a row without an image is."""

from __future__ import annotations

import io
import json
import pickle
import random
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import feather, ipc

from tests.object_store import Store
from tests.sources import on_stdin
from tests.sources.archives import parquet, read, whole
from vggfeat.errors import UsageError
from vggfeat.sources import open_inputs, ref
from vggfeat.sources.skipped import Skipped
from vggfeat.sources.units import open_units

IMAGES = [b"image %d" % number for number in range(11)]
TABLE = pa.table({"label": ["x"] * 11, "image": IMAGES, "number": range(11)})


def as_file(table: pa.Table) -> bytes:
    out = pa.BufferOutputStream()
    with ipc.new_file(out, table.schema) as writer:
        writer.write_table(table, max_chunksize=4)
    return bytes(out.getvalue())


def as_stream(table: pa.Table) -> bytes:
    out = pa.BufferOutputStream()
    with ipc.new_stream(out, table.schema) as writer:
        writer.write_table(table, max_chunksize=4)
    return bytes(out.getvalue())


def as_feather(table: pa.Table) -> bytes:
    out = io.BytesIO()
    feather.write_feather(table, out, compression="zstd", chunksize=4)
    return out.getvalue()


FORMS: list[tuple[str, Any]] = [
    ("t.parquet", parquet), ("t.PQ", parquet), ("t.arrow", as_file), ("t.arrow", as_stream),
    ("t.arrows", as_stream), ("t.feather", as_feather),
]  # fmt: skip


@pytest.mark.parametrize(("name", "write"), FORMS)
def test_a_table_gives_the_image_of_each_row(tmp_path: Path, name: str, write: Any) -> None:
    (tmp_path / name).write_bytes(write(TABLE))
    fsspec.filesystem("memory").pipe(f"/{tmp_path.name}/{name}", write(TABLE))

    for place in (f"{tmp_path}/{name}", f"memory://{tmp_path.name}/{name}"):
        assert whole(place) == [(f"{place}/{row}", data) for row, data in enumerate(IMAGES)]


@pytest.mark.parametrize(("name", "write"), FORMS)
def test_units_of_a_table_are_all_its_rows(tmp_path: Path, name: str, write: Any) -> None:
    (tmp_path / name).write_bytes(write(TABLE))

    units = pickle.loads(pickle.dumps(list(open_units([f"{tmp_path}/{name}"], 4).units)))

    found = [(i.name, i.read().data) for unit in units for i in unit.images(Skipped())]
    assert found == [(f"{tmp_path}/{name}/{row}", data) for row, data in enumerate(IMAGES)]
    assert len(units) == (1 if write is as_stream else 3)
    inputs = [tuple(unit.inputs()) for unit in units]
    assert len(set(inputs)) == len(units)
    assert all(stamp is not None for given in inputs for _, stamp in given)


def test_rows_are_found_again_by_their_numbers(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_bytes(parquet(TABLE))
    for image in open_inputs([f"{tmp_path}/t.parquet"]):
        found = ref(image.name)
        assert found is not None
        assert found.read() == image.read()
    assert ref(f"{tmp_path}/t.parquet/11") is None
    assert ref(f"{tmp_path}/t.parquet/a.jpg") is None


def test_rows_without_an_image_fail_in_their_places(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_bytes(parquet(pa.table({"image": [b"a", None, b"", b"d"]})))

    found = read(tmp_path / "t.parquet")

    assert [item.data for item in found] == [b"a", None, None, b"d"]
    assert found[1] == (f"{tmp_path}/t.parquet/1", None, "the table has no image here")


# Which column


HUGGING_FACE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def told_as_image(column: str) -> dict[str, str]:
    return {"huggingface": json.dumps({"info": {"features": {column: {"_type": "Image"}}}})}


@pytest.mark.parametrize(
    ("columns", "chosen"),
    [
        ({"x": pa.binary()}, "x"),
        ({"x": pa.large_binary(), "y": pa.string()}, "x"),
        ({"x": HUGGING_FACE, "label": pa.int64(), "path": pa.string()}, "x"),
        ({"image": pa.binary(), "mask": pa.binary()}, "image"),
        ({"JPG": pa.binary(), "cls": pa.binary(), "__key__": pa.string()}, "JPG"),
        ({"label": pa.string(), "path": pa.string()}, "path"),
        ({"caption": pa.string(), "image_path": pa.large_string()}, "image_path"),
        ({"caption": pa.string(), "URL": pa.string()}, "URL"),
        ({"x": pa.string()}, "x"),
        ({"file": pa.dictionary(pa.int32(), pa.string()), "n": pa.int32()}, "file"),
        ({"x": pa.binary(4), "n": pa.int32()}, "x"),
    ],
)
def test_the_column_is_found_by_type_and_name(
    tmp_path: Path, columns: dict[str, pa.DataType], chosen: str
) -> None:
    values: dict[str, Any] = {
        name: [{"bytes": b"abcd", "path": None}]
        if kind == HUGGING_FACE
        else [1]
        if pa.types.is_integer(kind)
        else [b"abcd" if "binary" in str(kind) else f"/{name}.jpg"]
        for name, kind in columns.items()
    }
    table = pa.table({n: pa.array(values[n], kind) for n, kind in columns.items()})
    (tmp_path / "t.parquet").write_bytes(parquet(table))

    (image,) = open_inputs([f"{tmp_path}/t.parquet"])

    holds_paths = "string" in str(columns[chosen]) and columns[chosen] != HUGGING_FACE
    assert image.name == (f"/{chosen}.jpg" if holds_paths else f"{tmp_path}/t.parquet/0")


def test_hugging_faces_metadata_decides(tmp_path: Path) -> None:
    table = pa.table({"image": [b"no"], "mine": [b"yes"]})
    table = table.replace_schema_metadata(told_as_image("mine"))
    (tmp_path / "t.parquet").write_bytes(parquet(table))

    assert [data for _, data in whole(tmp_path / "t.parquet")] == [b"yes"]


@pytest.mark.parametrize(
    "columns",
    [
        {"a": [b"1"], "b": [b"2"]},
        {"image": [b"1"], "img": [b"2"]},
        {"path": ["1"], "url": ["2"]},
        {"caption": ["1"], "text": ["2"]},
    ],
)
def test_where_it_is_not_clear_the_columns_are_told(tmp_path: Path, columns: Any) -> None:
    (tmp_path / "t.parquet").write_bytes(parquet(table := pa.table(columns)))
    listed = ", ".join(f"{field.name} ({field.type})" for field in table.schema)

    with pytest.raises(UsageError) as caught:
        list(open_inputs([f"{tmp_path}/t.parquet"]))

    assert str(caught.value) == (
        f"{tmp_path}/t.parquet: it is not clear which column holds the images; say --column "
        f"NAME, of: {listed}"
    )
    with pytest.raises(UsageError):
        list(open_units([f"{tmp_path}/t.parquet"], 9).units)


def test_a_table_without_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_bytes(parquet(pa.table({"n": [1]})))

    with pytest.raises(UsageError, match=r"no column holds images.*; there are: n \(int64\)$"):
        list(open_inputs([f"{tmp_path}/t.parquet"]))


def test_the_user_can_say_which(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_bytes(parquet(pa.table({"a.b": [b"1"], "b": [b"2"], "n": [3]})))
    place = tmp_path / "t.parquet"

    assert [data for _, data in whole(place, column="a.b")] == [b"1"]
    assert [data for _, data in whole(place, column="b")] == [b"2"]
    with pytest.raises(UsageError, match="no column c; there are: a.b"):
        read(place, column="c")
    with pytest.raises(UsageError, match="column n is int64: neither images' bytes, nor"):
        read(place, column="n")


# Paths


def test_paths_are_below_the_tables_folder(tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "data" / "imgs").mkdir(parents=True)
    (tmp_path / "data" / "imgs" / "a.jpg").write_bytes(b"a")
    (tmp_path / "b.jpg").write_bytes(b"b")
    files = fsspec.filesystem("memory")
    files.pipe(f"/{tmp_path.name}/data/imgs/a.jpg", b"remote a")
    there = f"memory://{tmp_path.name}/data"
    paths = ["imgs/a.jpg", str(tmp_path / "b.jpg"), f"{there}/imgs/a.jpg", "gone.jpg", None]
    table = parquet(pa.table({"path": paths}))
    (tmp_path / "data" / "t.parquet").write_bytes(table)
    files.pipe(f"/{tmp_path.name}/data/t.parquet", table)
    monkeypatch.chdir(tmp_path)

    local, remote = read("data/t.parquet"), read(f"{there}/t.parquet")

    assert [item.name for item in local] == [
        "data/imgs/a.jpg", f"{tmp_path}/b.jpg", f"{there}/imgs/a.jpg", "data/gone.jpg",
        "data/t.parquet/4",
    ]  # fmt: skip
    assert [item.data for item in local] == [b"a", b"b", b"remote a", None, None]
    assert [item.data for item in remote] == [b"remote a", b"b", b"remote a", None, None]
    assert remote[0].name == f"{there}/imgs/a.jpg"


def test_a_unit_of_paths_tells_the_stamps_of_its_files(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        (tmp_path / name).write_bytes(name.encode())
    table = tmp_path / "t.parquet"
    table.write_bytes(parquet(pa.table({"path": ["a.jpg", "b.jpg", "c.jpg"]})))

    units = list(open_units([str(table)], 2).units)

    assert [[name for name, _ in list(unit.inputs())[1:]] for unit in units] == [
        [f"{tmp_path}/a.jpg", f"{tmp_path}/b.jpg"],
        [f"{tmp_path}/c.jpg"],
    ]
    before = list(units[1].inputs())
    (tmp_path / "c.jpg").write_bytes(b"changed")
    assert list(units[1].inputs()) != before


def test_hugging_faces_paths_count_where_there_are_no_bytes(tmp_path: Path) -> None:
    (tmp_path / "b.jpg").write_bytes(b"file")
    rows = [{"bytes": b"a", "path": "x.jpg"}, {"bytes": None, "path": "b.jpg"}, None]
    (tmp_path / "t.arrow").write_bytes(as_stream(pa.table({"image": pa.array(rows, HUGGING_FACE)})))

    found = read(tmp_path / "t.arrow")

    assert [item.data for item in found] == [b"a", b"file", None]
    assert found[1].name == f"{tmp_path}/b.jpg"


def test_tables_stand_on_lists(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_bytes(parquet(TABLE))
    with on_stdin(f"{tmp_path}/t.parquet\n".encode()):
        assert [data for _, data in whole("-")] == IMAGES


# Faults


@pytest.mark.parametrize("content", [b"", b"PAR1 no table", b"ARROW1 no table", b"FEA1", b"x" * 99])
def test_what_is_no_table_is_one_failure(tmp_path: Path, content: bytes) -> None:
    place = tmp_path / "t.parquet"
    place.write_bytes(content)

    (failure,) = read(place)

    assert failure.name == str(place)
    assert failure.reason
    assert "\n" not in failure.reason
    assert [unit.name for unit in open_units([str(place)], 9).units] == [str(place)]


@pytest.mark.parametrize("content", [b"", b"\xff\xd8\xff\xe0 a photograph" * 9, b"a,b\n1,2\n"])
def test_what_is_no_table_is_told_in_words(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.parquet").write_bytes(content)

    (failure,) = read(tmp_path / "x.parquet")
    assert failure.reason == "it is neither Parquet nor Arrow, or damaged"


def test_a_damaged_page_ends_a_table(tmp_path: Path) -> None:
    out = io.BytesIO()
    images = [bytes([number]) * 1000 for number in range(9)]
    pq.write_table(
        pa.table({"image": images}), out, row_group_size=3, compression="none",
        use_dictionary=False, write_page_checksum=True,
    )  # fmt: skip
    data = bytearray(out.getvalue())
    data[data.index(images[4]) + 500] ^= 255
    (tmp_path / "t.parquet").write_bytes(data)

    found = read(tmp_path / "t.parquet")

    assert [item.data for item in found] == [*images[:3], None]
    assert found[-1].name == f"{tmp_path}/t.parquet"


@pytest.mark.parametrize("how", [500, "truncate", "reset"])
def test_a_table_in_a_store_is_asked_for_again(store: Store, how: Any) -> None:
    address = f"s3://{store.bucket()}/t.parquet"
    store.put(address, parquet(TABLE))
    fault = store.fail(2, path="t.parquet", how=how, after=1)

    assert [data for _, data in whole(address)] == IMAGES
    assert fault.done == 2


def test_a_table_that_is_replaced_under_way_is_noticed(store: Store) -> None:
    address = f"s3://{store.bucket()}/t.parquet"
    store.put(address, parquet(TABLE))
    images = iter(open_inputs([address]))
    next(images)
    store.put(address, parquet(TABLE.slice(3)))

    *_, last = images

    assert last.name == address


# Memory


def test_memory_does_not_grow_with_a_row_group(tmp_path: Path) -> None:
    place = tmp_path / "t.parquet"
    image = random.Random(0).randbytes(500_000)
    table = pa.table({"image": [image] * 100})
    pq.write_table(table, place, compression="none", use_dictionary=False, write_batch_size=1)
    del table
    pool = pa.default_memory_pool()
    before, most = pool.bytes_allocated(), 0

    for found in open_inputs([str(place)]):
        assert found.read().data == image
        most = max(most, pool.bytes_allocated() - before)

    assert pq.ParquetFile(place).num_row_groups == 1
    assert 500_000 < most < 30_000_000
