"""HDF5 files of any layout, written by h5py, and those that are made to do harm."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tests import networks
from tests.weights import written
from vggfeat import WeightsError
from vggfeat.weights import formats
from vggfeat.weights.formats.containers import hdf5

LAYERS = networks.layers()
KERNEL = "block3_conv2/block3_conv2_W_1:0"


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written.keras_h5(LAYERS, tmp_path_factory.mktemp("hdf5") / "plain")


def rewritten(plain: Path, path: Path, libver: str = "earliest", **options: Any) -> Path:
    """The same file in another layout: options of `create_dataset`."""
    with h5py.File(plain) as old, h5py.File(path, "w", libver=libver) as new:
        new.attrs.update(old.attrs)
        for group in old:
            new.create_group(group).attrs.update(old[group].attrs)
            for name in old[group]:
                new[group].create_dataset(name, data=old[group][name][()], **options)
    return path


@pytest.mark.parametrize("libver", ["earliest", "v110", "latest"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"chunks": True},
        {"compression": "gzip"},
        {"compression": "gzip", "shuffle": True, "fletcher32": True},
        {"shuffle": True},
    ],
    ids=str,
)
def test_every_layout_gives_the_same_numbers(
    plain: Path, tmp_path: Path, libver: str, options: dict[str, Any]
) -> None:
    path = rewritten(plain, tmp_path / "a.h5", libver, **options)
    with h5py.File(path) as file:
        assert (file["fc1/fc1_W_1:0"].chunks is not None) == bool(options)
    expected, found = formats.read(plain), formats.read(path)
    assert found.fingerprint == expected.fingerprint


def test_a_filter_that_is_not_known_is_named(plain: Path, tmp_path: Path) -> None:
    path = rewritten(plain, tmp_path / "a.h5", compression="lzf")
    with pytest.raises(WeightsError, match="filter 32000 of HDF5; only gzip can be read"):
        formats.read(path)


def test_the_library_does_not_run_in_this_process(plain: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from vggfeat.weights import formats;"
        f"formats.read(Path({str(plain)!r})); print('h5py' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout.strip() == b"False"


def replaced(plain: Path, path: Path) -> Any:
    """A copy, open, in which one kernel is missing."""
    rewritten(plain, path)
    file = h5py.File(path, "r+")
    del file[KERNEL]
    return file


def test_external_storage_is_refused(plain: Path, tmp_path: Path) -> None:
    shape = LAYERS["conv3_2"][0].shape
    LAYERS["conv3_2"][0].tofile(tmp_path / "outside.bin")
    external = [(str(tmp_path / "outside.bin"), 0, h5py.h5f.UNLIMITED)]
    with replaced(plain, tmp_path / "a.h5") as file:
        file.create_dataset(KERNEL, shape, "f4", external=external)
    with h5py.File(tmp_path / "a.h5") as file:
        np.testing.assert_array_equal(file[KERNEL][()], LAYERS["conv3_2"][0])
    with pytest.raises(WeightsError, match="its numbers are in other files"):
        formats.read(tmp_path / "a.h5")


@pytest.mark.parametrize("kind", ["virtual", "external link"])
def test_numbers_in_another_hdf5_file_are_not_read(plain: Path, tmp_path: Path, kind: str) -> None:
    with replaced(plain, tmp_path / "a.h5") as file:
        if kind == "virtual":
            layout = h5py.VirtualLayout(LAYERS["conv3_2"][0].shape, "f4")
            layout[:] = h5py.VirtualSource(plain, KERNEL, LAYERS["conv3_2"][0].shape)
            file.create_virtual_dataset(KERNEL, layout)
        else:
            file[KERNEL] = h5py.ExternalLink(plain, KERNEL)
    with h5py.File(tmp_path / "a.h5") as file:
        np.testing.assert_array_equal(file[KERNEL][()], LAYERS["conv3_2"][0])
    with pytest.raises(WeightsError, match="numbers are in other files|it has no block3_conv2"):
        formats.read(tmp_path / "a.h5")


def test_a_group_within_itself_ends(plain: Path, tmp_path: Path) -> None:
    with h5py.File(rewritten(plain, tmp_path / "a.h5"), "r+") as file:
        file["block1_conv1/again"] = file["/"]
    with pytest.raises(WeightsError, match="more, or deeper, groups than Keras writes"):
        formats.read(tmp_path / "a.h5")


@pytest.mark.parametrize("layout", [{}, {"chunks": True}], ids=["contiguous", "chunked"])
def test_numbers_that_were_never_written_are_refused(
    plain: Path, tmp_path: Path, layout: dict[str, Any]
) -> None:
    with replaced(plain, tmp_path / "a.h5") as file:
        file.create_dataset(KERNEL, LAYERS["conv3_2"][0].shape, "f4", **layout)
    with pytest.raises(WeightsError, match="never written|are not in the file"):
        formats.read(tmp_path / "a.h5")


def test_a_bomb_is_refused_before_it_is_unpacked(plain: Path, tmp_path: Path) -> None:
    with replaced(plain, tmp_path / "a.h5") as file:
        zeros = np.zeros((3, 3, 512, 4096), np.float32)
        file.create_dataset(KERNEL, data=zeros, compression="gzip", chunks=zeros.shape)
    with h5py.File(tmp_path / "a.h5") as file:
        assert file[KERNEL].id.get_storage_size() < zeros.nbytes // 100
    with pytest.raises(WeightsError, match="of 75,497,472 bytes in only"):
        formats.read(tmp_path / "a.h5")


def test_a_shape_beyond_all_bounds_is_refused(plain: Path, tmp_path: Path) -> None:
    with replaced(plain, tmp_path / "a.h5") as file:
        file.create_dataset(KERNEL, (1 << 40, 3, 16, 16), "f4", chunks=(1, 3, 16, 16))
    with pytest.raises(WeightsError, match=r"damaged: a tensor of shape \[1099511627776,3,16,16\]"):
        formats.read(tmp_path / "a.h5")


def test_a_chunk_that_is_damaged_is_one_sentence(plain: Path, tmp_path: Path) -> None:
    path = rewritten(plain, tmp_path / "a.h5", compression="gzip")
    with h5py.File(path) as file:
        chunk = file[KERNEL].id.get_chunk_info(0)
    data = bytearray(path.read_bytes())
    data[chunk.byte_offset : chunk.byte_offset + 2] = b"\xff\xff"
    path.write_bytes(data)
    with pytest.raises(WeightsError, match="damaged: a compressed chunk"):
        formats.read(path)


def test_a_library_that_crashes_is_one_sentence(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "crash.py").write_text("import os\nos.abort()\n")
    monkeypatch.setattr(hdf5.survey, "__file__", str(tmp_path / "crash.py"))
    with pytest.raises(WeightsError, match="damaged: the HDF5 library cannot read it"):
        formats.read(plain)


def test_a_library_that_hangs_is_one_sentence(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hang.py").write_text("while True: pass\n")
    monkeypatch.setattr(hdf5.survey, "__file__", str(tmp_path / "hang.py"))
    monkeypatch.setattr(hdf5, "_PATIENCE", 0.5)
    with pytest.raises(WeightsError, match="damaged: the HDF5 library cannot read it"):
        formats.read(plain)


@pytest.mark.parametrize("seed", range(20))
def test_a_file_with_some_bytes_changed_gives_numbers_or_one_sentence(
    plain: Path, tmp_path: Path, seed: int
) -> None:
    generator = random.Random(seed)
    data = bytearray(plain.read_bytes())
    for _ in range(generator.choice((1, 4, 16))):
        at = generator.randrange(8, 1 << generator.randrange(6, 15))
        data[at : at + 2] = generator.randbytes(2)
    (tmp_path / "a.h5").write_bytes(data)
    begin = time.monotonic()
    try:
        assert formats.read(tmp_path / "a.h5").layers[0] == "conv1_1"
    except WeightsError as error:
        assert str(error).startswith(f"{tmp_path}/a.h5: ")  # noqa: PT017
    assert time.monotonic() - begin < 30
