"""Archives, made by tar's rules and against them."""

from __future__ import annotations

import gzip
import io
import tarfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from vggfeat import WeightsError
from vggfeat.weights.formats.tensorflow import tarball

CONTENT = bytes(range(256)) * 3000


def tar(*members: tuple[tarfile.TarInfo, bytes], form: int = tarfile.USTAR_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as made:
        for info, content in members:
            made.addfile(info, io.BytesIO(content))
    return out.getvalue()


def member(name: str, content: bytes = CONTENT, **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


def unpack(folder: Path, data: bytes) -> bytes:
    """What comes out of an archive; nothing is made but that."""
    path, target = folder / "a.tar.gz", folder / "out"
    path.write_bytes(data)
    try:
        tarball.unpack(path, "vgg_16.ckpt", target)
        return target.read_bytes()
    finally:
        assert {p.name for p in folder.iterdir()} <= {"a.tar.gz", "out"}


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("name", ["vgg_16.ckpt", "./vgg_16.ckpt"])
def test_the_member_comes_out(tmp_path: Path, name: str, form: int) -> None:
    other = member("README", b"first", pax_headers={"comment": "é"})
    data = tar(other, member(name), member("last", b"x"), form=form)
    assert unpack(tmp_path, gzip.compress(data)) == CONTENT


@pytest.mark.parametrize(
    "other",
    [
        member("../vgg_16.ckpt"),
        member("/vgg_16.ckpt"),
        member("vgg_16.ckpt/x"),
        member("vgg_16.ckpt", b"", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        member("vgg_16.ckpt", b"", type=tarfile.LNKTYPE, linkname="/etc/passwd"),
        member("vgg_16.ckpt", b"", type=tarfile.GNUTYPE_SPARSE),
        member("vgg_16.ckpt", b"", type=tarfile.DIRTYPE),
        member("vgg_16.ckpt", b"", type=tarfile.FIFOTYPE),
        member("vgg_16.ckpt", b"", type=tarfile.CHRTYPE, devmajor=1, devminor=3),
    ],
)
def test_anything_but_a_regular_file_of_that_name_is_passed_over(
    tmp_path: Path, other: tuple[tarfile.TarInfo, bytes]
) -> None:
    assert unpack(tmp_path, gzip.compress(tar(other, member("vgg_16.ckpt")))) == CONTENT
    with pytest.raises(WeightsError, match="holds no file vgg_16.ckpt"):
        unpack(tmp_path, gzip.compress(tar(other)))


def harmed(data: bytes, position: int) -> bytes:
    return data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]


@pytest.mark.parametrize(
    "make",
    [
        lambda data: gzip.compress(data)[:-100],
        lambda data: gzip.compress(data[:100_000]),
        lambda data: harmed(gzip.compress(data), -6),
        lambda data: harmed(gzip.compress(data, 0), 100_000),
        lambda data: harmed(gzip.compress(data), 100),
        lambda data: b"",
        lambda data: data,
        lambda data: gzip.compress(b"no tar" * 1000),
        lambda data: b"<html>",
    ],
)
def test_damage_is_one_sentence(tmp_path: Path, make: Callable[[bytes], bytes]) -> None:
    with pytest.raises(WeightsError, match="^damaged: .|^it holds no file vgg_16.ckpt"):
        unpack(tmp_path, make(tar(member("vgg_16.ckpt"))))


def header(name: str, size: int, kind: bytes) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize(
    "data",
    [
        header("x", 1 << 40, tarfile.XHDTYPE),
        header("x", 1 << 40, tarfile.GNUTYPE_LONGNAME),
        header("x", 1 << 40, tarfile.REGTYPE),
        header("vgg_16.ckpt", 1 << 40, tarfile.REGTYPE),
        header("x", 1 << 30, tarfile.XHDTYPE),
        (header("x", 512, tarfile.XHDTYPE) + b"8 a=bcd\n" * 64) * 5000,
        header("vgg_16.ckpt", 1 << 40, tarfile.GNUTYPE_SPARSE),
    ],
)
def test_bombs_take_neither_memory_nor_time(tmp_path: Path, data: bytes) -> None:
    bomb = gzip.compress(data) + gzip.compress(bytes(1 << 28), 1) * 5
    tracemalloc.start()
    try:
        with pytest.raises(WeightsError):
            unpack(tmp_path, bomb)
        assert tracemalloc.get_traced_memory()[1] < 1 << 25
    finally:
        tracemalloc.stop()
    assert (tmp_path / "out").stat().st_size == 0


def test_what_is_said_to_be_skipped_is_not_looked_for(tmp_path: Path) -> None:
    data = header("x", 1 << 40, tarfile.REGTYPE) + bytes(1 << 20)
    with pytest.raises(WeightsError, match="unpacks to more than a VGG16 can have"):
        unpack(tmp_path, gzip.compress(data))
