"""One contract for all forms of output."""

from __future__ import annotations

import io
import math
import os
import zlib
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray

from tests.sinks.outputs import READERS, WIDTH, Run, csv_lines, row
from vggfeat import sinks
from vggfeat.errors import UsageError
from vggfeat.outcome import DTYPES, Failure, Row, Stamp
from vggfeat.sinks import RowType

KIND = RowType((WIDTH,))
FORMS = pytest.mark.parametrize("form", sinks.FORMS)
STREAMS = pytest.mark.parametrize("form", sinks.STREAMS)

names = st.binary(min_size=1, max_size=30).filter(lambda b: b"\0" not in b).map(os.fsdecode)
numbers = npst.arrays(
    np.float32, WIDTH, elements=st.floats(width=32, allow_nan=False, allow_infinity=False)
)
named = st.lists(st.tuples(names, numbers), max_size=6)
stamps = st.builds(Stamp, st.integers(0, 2**40), st.integers(-(2**62), 2**62))
hashes = st.binary(min_size=32, max_size=32).map(bytes.hex)
outcomes = st.builds(Row, names, stamps, hashes, st.tuples(numbers)) | st.builds(
    Failure, names, st.text(max_size=30).filter(str.isprintable), st.none() | stamps
)


def stacked(listed: list[tuple[str, NDArray[np.float32]]]) -> NDArray[np.float32]:
    return np.array([features for _, features in listed], np.float32).reshape(-1, WIDTH)


@FORMS
@given(batches=st.lists(st.lists(outcomes, max_size=6), max_size=4))
@settings(max_examples=30, deadline=None)
def test_every_form_gives_back_names_and_bits(
    tmp_path_factory: pytest.TempPathFactory, form: str, batches: list[list[Row | Failure]]
) -> None:
    output = tmp_path_factory.mktemp("out") / f"f.{form}"
    sink = Run(output, []).sink
    done = [item for batch in batches for item in sink.write(batch)]
    assert not output.exists()
    told = [item for batch in batches for item in batch]
    expected = [item for item in told if isinstance(item, Row)]
    failed = [item for item in told if isinstance(item, Failure)]
    sink.publish(done, {"rows": len(expected), "failed": len(failed), "runs": []})

    found_names, found = READERS[form](output.read_bytes())
    features = np.array([item.features[0] for item in expected], np.float32).reshape(-1, WIDTH)
    assert (found.dtype, found.shape) == (np.float32, features.shape)
    assert found.tobytes() == features.tobytes()
    if found_names is not None:
        assert found_names == [item.name for item in expected]

    assert csv_lines((output.parent / "f.index.csv").read_bytes())[1:] == [
        [str(number), item.name, *map(str, item.stamp), item.sha256,
         f"{zlib.crc32(item.features[0].astype('<f4').tobytes()):08x}"]
        for number, item in enumerate(expected)
    ]  # fmt: skip
    companions = {"f.json", "f.index.csv"} | ({"f.failed.csv"} if failed else set())
    assert {path.name for path in output.parent.iterdir()} == companions | {output.name}
    if failed:
        assert csv_lines((output.parent / "f.failed.csv").read_bytes())[1:] == [
            [item.name, item.reason, *(map(str, item.stamp) if item.stamp else ("", ""))]
            for item in failed
        ]


@STREAMS
@given(listed=named, data=st.data())
@settings(max_examples=60, deadline=None)
def test_rows_are_found_as_far_as_they_are_whole_and_of_their_names(
    form: str, listed: list[tuple[str, NDArray[np.float32]]], data: st.DataObject
) -> None:
    module = sinks.form(form)
    told = [name for name, _ in listed]
    header = module.header(len(listed), KIND)
    body = b"".join(module.encode([name], features[None]) for name, features in listed)
    assert not listed or module.encode(told, stacked(listed)) == body
    written = header + body

    places = module.locate(written, told, KIND).tolist()
    ends = [place[2] for place in places]
    assert [place[0] for place in places] == [len(header), *ends][: len(listed)]
    assert ends[-1:] in ([], [len(written)])
    for (name, features), (begin, start, end) in zip(listed, places, strict=True):
        assert written[begin:start] == module.prefix(name)
        assert module.numbers(written[start:end], KIND).tobytes() == features.tobytes()

    cut = data.draw(st.integers(0, len(written)))
    whole = sum(end <= cut for end in ends)
    assert module.locate(written[:cut], told, KIND).tolist() == places[:whole]
    asked = data.draw(st.integers(0, len(listed)))
    assert module.locate(written, told[:asked], KIND).tolist() == places[:asked]
    assert module.locate(written, [*told, "one more"], KIND).tolist() == places


@STREAMS
@pytest.mark.parametrize("shape", [(4096,), (7, 7, 512)])
def test_a_header_has_one_length_whatever_number_of_rows_it_tells(
    form: str, shape: tuple[int, ...]
) -> None:
    module = sinks.form(form)
    headers = {module.header(rows, RowType(shape)) for rows in (0, 1, 10**6, 10**12)}
    assert len({len(header) for header in headers}) == 1
    assert (len(headers) > 1) == module.HEADER_TELLS_ROWS


@pytest.mark.parametrize("rows", [0, 1, 10**6, 10**12])
@pytest.mark.parametrize("shape", [(4096,), (7, 7, 512)])
def test_the_npy_header_is_a_page_that_numpy_reads(rows: int, shape: tuple[int, ...]) -> None:
    header = sinks.form("npy").header(rows, RowType(shape))
    assert len(header) == 4096
    assert header.endswith(b" \n")
    version = np.lib.format.read_magic(file := io.BytesIO(header))
    assert version == (1, 0)
    told = np.lib.format.read_array_header_1_0(file)
    assert told == ((rows, *shape), False, np.dtype("<f4"))
    assert file.tell() == 4096


def test_rows_behind_those_that_an_npy_header_tells_do_not_count() -> None:
    npy = sinks.form("npy")
    features = np.arange(15, dtype=np.float32).reshape(3, WIDTH)
    written = npy.header(2, KIND) + npy.encode(["a", "b", "c"], features)
    np.testing.assert_array_equal(np.load(io.BytesIO(written)), features[:2])


@pytest.mark.parametrize("other", ["another", "1.jp", "1.jpg.png"])
def test_csv_rows_are_not_found_behind_one_of_another_name(other: str) -> None:
    form = sinks.form("csv")
    told = ["0.jpg", "1.jpg", "2.jpg"]
    written = form.header(3, KIND) + form.encode(told, np.zeros((3, WIDTH), np.float32))
    places = form.locate(written, told, KIND).tolist()
    assert form.locate(written, ["0.jpg", other, "2.jpg"], KIND).tolist() == places[:1]


def test_csv_numbers_are_the_shortest_that_give_the_bits() -> None:
    features = np.array([[0.1, -0.0, 1.0, 3.4028235e38, 1e-45]], np.float32)
    assert sinks.form("csv").encode(["a"], features) == b"a,0.1,-0.0,1.0,3.4028235e+38,1e-45\n"


@STREAMS
def test_what_is_no_number_is_no_row(form: str) -> None:
    module = sinks.form(form)
    with pytest.raises(ValueError):  # noqa: PT011
        module.numbers(b"1,x", KIND)


MAPS = (7, 7, 3)


def maps(output: Path, dtype: str) -> NDArray[np.float32]:
    """Have two maps written; which."""
    features = np.arange(2 * math.prod(MAPS), dtype=dtype).reshape(2, *MAPS)
    images = [row(0)._replace(features=(features[0],)), row(1)._replace(features=(features[1],))]
    layers = [{"layer": "pool5", "shape": list(MAPS)}]
    Run(output, images, layers=layers, dtype=dtype).publish()
    return features


def raw(path: Path) -> NDArray[np.float32]:
    """The array of maps that another library finds."""
    if path.suffix == ".npz":
        return np.load(path)["pool5"]
    if path.suffix == ".h5":
        with h5py.File(path) as file:
            return file["pool5"][:]
    if path.suffix == ".safetensors":
        return safetensors.numpy.load_file(path)["pool5"]
    return np.load(path)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("form", ["npy", "npz", "h5", "safetensors"])
def test_maps_are_written_as_maps(tmp_path: Path, form: str, dtype: str) -> None:
    features = maps(tmp_path / f"f.{form}", dtype)
    found = raw(tmp_path / f"f.{form}")
    assert (found.dtype, found.shape) == (features.dtype, features.shape)
    np.testing.assert_array_equal(found, features)


def test_maps_are_flat_in_text(tmp_path: Path) -> None:
    features = maps(tmp_path / "f.csv", "float32")
    _, *lines = csv_lines((tmp_path / "f.csv").read_bytes())
    found = np.array([line[1:] for line in lines], np.float32)
    np.testing.assert_array_equal(found, features.reshape(2, -1))


@pytest.mark.parametrize("dtype", DTYPES)
def test_maps_are_flat_in_a_table_that_tells_their_shape(tmp_path: Path, dtype: str) -> None:
    features = maps(tmp_path / "f.parquet", dtype)
    field = pq.read_schema(tmp_path / "f.parquet").field("pool5")
    number = {"float32": pa.float32(), "float16": pa.float16()}[dtype]
    assert field.type == pa.list_(pa.field("element", number, nullable=False), 147)
    assert field.metadata[b"shape"] == b"7,7,3"
    rows = pq.read_table(tmp_path / "f.parquet")["pool5"].to_pylist()
    np.testing.assert_array_equal(np.array(rows, dtype), features.reshape(2, -1))


@pytest.mark.parametrize(
    ("output", "asked", "form"),
    [("f.npy", None, "npy"), ("f.CSV", None, "csv"), ("f.npy", "csv", "csv"),
     ("f", "npy", "npy"), ("-", None, "csv"), ("-", "npy", "npy"), ("f.h5", None, "h5"),
     ("s3://b/f.parquet", None, "parquet"), ("-", "safetensors", "safetensors")],
)  # fmt: skip
def test_the_form_is_as_asked_else_by_name(output: str, asked: str | None, form: str) -> None:
    assert sinks.form_of(output, asked) == form


@pytest.mark.parametrize("output", ["f", "f.txt", "npy", ".npy"])
def test_a_name_that_tells_no_form_is_refused(output: str) -> None:
    with pytest.raises(
        UsageError, match=f"^{output}: .* end it in .npy, .csv, .*, .h5 or .npz, or"
    ):
        sinks.form_of(output)


@pytest.mark.parametrize("form", sinks.CONTAINERS)
def test_stdout_is_no_place_for_a_container(form: str) -> None:
    with pytest.raises(UsageError, match=f"^{form} is not written front to back: give -o a name"):
        sinks.form_of("-", form)
