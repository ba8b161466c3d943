"""What an HDF5 file holds and where it lies, found out by a process of its own.

The HDF5 library is C and trusts what it reads: files with a few changed bytes make it crash, run
for seconds or fill the memory (94 of 18,000 that were tried with HDF5 1.14.6). So it never runs
within vggfeat: this file is run as a program, with the data on its standard input, and dies alone.
It may open no further file, so nothing leads out of its input, and it reads no numbers. It writes
one object of JSON: `groups`, the attributes of each by path; `datasets`, each with `shape`, `dtype`
and its place, `at` or `chunks`; or `error`, a sentence.
"""

from __future__ import annotations

import io
import json
import sys
from typing import Any

from vggfeat.limited import limit

_MOST_OBJECTS = 20_000
_MOST_CHUNKS = 1 << 17
_DEEPEST = 24
_LONGEST_ATTRIBUTE = 1 << 24  # bytes
_TEXTS = ("model_config", "name", "vggfeat")  # the last is note.ATTRIBUTE; this file runs alone
_LISTS = ("layer_names", "weight_names")
_MEMORY = 1 << 29  # bytes, and seconds, that surveying may take beyond what the imports took
_SECONDS = 3
_OUTPUT = 1 << 26


class RefusedError(Exception):
    """A sentence for the user."""


class Part(io.RawIOBase):
    """A stretch of a file as a file: what HDF5 reads when it lies within a zip archive."""

    def __init__(self, whole: io.RawIOBase, begin: int, length: int) -> None:
        super().__init__()
        self._whole, self._begin, self._length, self._at = whole, begin, length, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = max(offset + (0, self._at, self._length)[whence], 0)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        wanted = max(min(len(view), self._length - self._at), 0)
        self._whole.seek(self._begin + self._at)
        done = 0
        while done < wanted and (count := self._whole.readinto(view[done:wanted])):
            done += count
        view[done:] = bytes(len(view) - done)  # HDF5 does not ask how much came
        self._at += done
        return done


class Survey:
    """Walks hard links from the root; soft and external ones are passed over."""

    def __init__(self) -> None:
        self.groups: dict[str, dict[str, list[str]]] = {}
        self.datasets: dict[str, dict[str, Any]] = {}
        self._chunks = 0

    def walk(self, group: Any, path: str = "", depth: int = 0) -> None:
        import h5py

        self.groups[path] = _attributes(group)
        for name in group:
            if len(self.groups) + len(self.datasets) > _MOST_OBJECTS or depth > _DEEPEST:
                raise RefusedError(
                    "damaged: the HDF5 file has more, or deeper, groups than Keras writes"
                )
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                continue
            member = group[name]
            below = f"{path}/{name}" if path else name
            if isinstance(member, h5py.Group):
                self.walk(member, below, depth + 1)
            elif isinstance(member, h5py.Dataset):
                self.datasets[below] = self._dataset(member)

    def _dataset(self, dataset: Any) -> dict[str, Any]:
        from h5py import h5d

        creation = dataset.id.get_create_plist()
        layout = creation.get_layout()
        if layout == h5d.VIRTUAL or creation.get_external_count():
            return {"error": "its numbers are in other files, which are not read"}
        found: dict[str, Any] = {"shape": dataset.shape, "dtype": dataset.dtype.str}
        if dataset.shape is None:
            return {"error": "it has no numbers"}
        if layout == h5d.CONTIGUOUS:
            return found | {"at": dataset.id.get_offset()}
        if layout != h5d.CHUNKED:
            return found | {"error": "it is kept in a way that Keras does not write"}
        filters = [creation.get_filter(n)[0] for n in range(creation.get_nfilters())]
        return found | {
            "chunk": dataset.chunks, "filters": filters, "chunks": self._places(dataset)
        }  # fmt: skip

    def _places(self, dataset: Any) -> list[tuple[Any, ...]]:
        """Of each chunk: its first indices, the filters left out, its offset and size."""
        places: list[tuple[Any, ...]] = []

        def keep(chunk: Any) -> bool | None:
            self._chunks += 1
            places.append((chunk.chunk_offset, chunk.filter_mask, chunk.byte_offset, chunk.size))
            return True if self._chunks > _MOST_CHUNKS else None

        dataset.id.chunk_iter(keep)
        if self._chunks > _MOST_CHUNKS:
            raise RefusedError("damaged: the HDF5 file has more chunks than any network")
        return places


def _attributes(group: Any) -> dict[str, list[str]]:
    """Those that tell names and order; Keras splits long lists, `layer_names0` and so on."""
    found = {name: _texts(group, name) for name in _TEXTS if name in group.attrs}
    for name in _LISTS:
        if name in group.attrs:
            found[name] = _texts(group, name)
        elif f"{name}0" in group.attrs:
            found[name] = []
            number = 0
            while f"{name}{number}" in group.attrs and len(found[name]) < _MOST_OBJECTS:
                found[name] += _texts(group, f"{name}{number}")
                number += 1
    return found


def _texts(group: Any, name: str) -> list[str]:
    from h5py import h5a

    attribute = h5a.open(group.id, name.encode())
    count = attribute.get_space().get_simple_extent_npoints()
    if count == 0:
        return []
    if max(attribute.get_storage_size(), count) > _LONGEST_ATTRIBUTE:
        raise RefusedError(f"damaged: the attribute {name} is longer than any that Keras writes")
    value = group.attrs[name]
    values = [value] if isinstance(value, str | bytes) else list(getattr(value, "flat", ()))
    return [v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in values]


def survey(file: io.RawIOBase, begin: int, length: int) -> dict[str, Any]:
    """What lies in a stretch of a file. Raises RefusedError, and whatever HDF5 does."""
    import h5py

    found = Survey()
    with h5py.File(Part(file, begin, length), "r") as root:
        found.walk(root)
    return {"groups": found.groups, "datasets": found.datasets}


def main() -> None:
    begin, length = json.loads(sys.argv[1])
    import h5py  # noqa: F401  # before no file can be opened any more

    file = open(0, "rb", buffering=0)  # noqa: SIM115
    limit(_SECONDS, _MEMORY, RLIMIT_FSIZE=_OUTPUT, RLIMIT_NOFILE=0)
    try:
        found = survey(file, begin, length)
    except RefusedError as error:
        found = {"error": str(error)}
    except Exception as error:
        found = {"error": f"damaged: HDF5 cannot read it ({error})"[:400]}
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
