"""TF-Slim's download as it comes: `vgg_16_2016_08_28.tar.gz`, with a V1 checkpoint in it."""

from __future__ import annotations

import gzip
import tarfile
import tempfile
import zlib
from pathlib import Path
from typing import IO, cast

from vggfeat.errors import WeightsError, describe_os_error
from vggfeat.weights.formats import containers
from vggfeat.weights.formats.tensorflow import slim
from vggfeat.weights.layers import Network

NAME = "TF-Slim's archive"
FILES = "`vgg_16_2016_08_28.tar.gz`"
ABOUT = "as TF-Slim publishes it, with a checkpoint in it"

_MEMBER = "vgg_16.ckpt"
_REGULAR = (tarfile.REGTYPE, tarfile.AREGTYPE)  # no links, no devices, and nothing sparse
_GZIP_MAGIC = b"\x1f\x8b\x08"
_CHUNK = 1 << 20  # also the most that a header may be long
_MOST = 1 << 30  # bytes that are unpacked in all; a VGG16 has half as many


def recognise(path: Path) -> bool:
    return containers.head(path, len(_GZIP_MAGIC)) == _GZIP_MAGIC


def find(path: Path) -> Network:
    """The network of the checkpoint in the archive, which is unpacked for as long as it is mapped.

    Raises:
        WeightsError: no such archive, or there is no room to unpack it.
    """
    # The unpacked file goes at once, but for its name: what is mapped stays until it is let go.
    with tempfile.TemporaryDirectory(prefix="vggfeat-", ignore_cleanup_errors=True) as folder:
        target = Path(folder) / _MEMBER
        try:
            unpack(path, _MEMBER, target)
        except OSError as error:
            raise WeightsError(
                f"cannot be unpacked into {folder}: {describe_os_error(error)}; set TMPDIR to a "
                "folder with room"
            ) from error
        return slim.find(target)


def unpack(archive: Path, member: str, target: Path) -> None:
    """Write one regular member of an archive to a file of ours, whatever path it has in there.

    The archive is read to its end, so that its checksum is looked at too.

    Raises:
        WeightsError: it has no such member, or is damaged, or no archive.
        OSError: the target cannot be written.
    """
    try:
        with gzip.open(archive) as unpacked, open(target, "wb") as out:
            source = _Bounded(unpacked)
            with tarfile.open(fileobj=cast("IO[bytes]", source), mode="r:") as tar:
                _copy(tar, member, out)
            while source.read(_CHUNK):
                pass
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, RecursionError) as error:
        raise WeightsError(f"damaged: {error}") from error


def _copy(tar: tarfile.TarFile, member: str, out: IO[bytes]) -> None:
    for info in tar:
        if info.name.removeprefix("./") == member and info.type in _REGULAR:
            if info.size > _MOST:
                raise WeightsError(f"{member} has {info.size:,} bytes in it, which is no VGG16")
            source = tar.extractfile(info)
            assert source is not None
            while chunk := source.read(_CHUNK):
                out.write(chunk)
            return
    raise WeightsError(f"it holds no file {member}")


class _Bounded:
    """What is unpacked: forwards only in so far as there are bytes that a VGG16 can have.

    `tarfile` takes lengths from headers as they stand: names of gigabytes, and gigabytes to skip.
    """

    def __init__(self, unpacked: gzip.GzipFile) -> None:
        self._unpacked = unpacked

    def read(self, length: int) -> bytes:
        if length > _CHUNK or self.tell() > _MOST:
            raise WeightsError("it unpacks to more than a VGG16 can have")
        return self._unpacked.read(length)

    def seek(self, position: int) -> int:
        if position > _MOST:
            raise WeightsError("it unpacks to more than a VGG16 can have")
        return self._unpacked.seek(position)

    def tell(self) -> int:
        return self._unpacked.tell()
