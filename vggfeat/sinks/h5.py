"""HDF5: a dataset of the layer's name, in one piece, so that it can be mapped, and one of paths.

Paths are strings of variable length, in UTF-8, with the bytes of the file system's where those are
no UTF-8.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from vggfeat.outcome import Numbers
from vggfeat.sinks import RowType
from vggfeat.sinks.containers import CutError
from vggfeat.sinks.index import Entry
from vggfeat.sinks.npy import mapped

if TYPE_CHECKING:
    import h5py

MAGIC = b"\x89HDF\r\n\x1a\n"

_PATH = "path"
_ABOUT = "vggfeat"  # an attribute: what the rows were made by
_CHUNK = 16 << 20  # bytes
_NAMES = 4096


def key(entry: Entry) -> str:
    return entry.name


def write(file: BinaryIO, entries: Sequence[Entry], rows: Iterable[Numbers], kind: RowType) -> None:
    import h5py

    following = iter(rows)
    many = max(_CHUNK // kind.nbytes, 1)
    with h5py.File(file, "w", alignment_threshold=1, alignment_interval=64) as opened:
        opened.attrs[_ABOUT] = kind.made
        paths = opened.create_dataset(_PATH, (len(entries),), h5py.string_dtype())
        for first in range(0, len(entries), _NAMES):
            some = entries[first : first + _NAMES]
            paths[first : first + len(some)] = [os.fsencode(entry.name) for entry in some]
        features = _created(opened, len(entries), kind)
        for first in range(0, len(entries), many):
            some_rows = np.stack(list(islice(following, many)))
            last = first + len(some_rows)
            features[first:last] = some_rows.reshape(-1, *kind.shape)


def _created(opened: h5py.File, rows: int, kind: RowType) -> h5py.Dataset:
    """A dataset that has its place in the file, without a zero written there."""
    import h5py

    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    plan.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    plan.set_obj_track_times(False)  # the same rows are the same bytes
    space = h5py.h5s.create_simple((rows, *kind.shape))
    kept_as = h5py.h5t.py_create(np.dtype(kind.little))
    return h5py.Dataset(h5py.h5d.create(opened.id, kind.name.encode(), kept_as, space, dcpl=plan))


def keys(file: BinaryIO, kind: RowType) -> Iterator[str]:
    with _opened(file) as opened:
        paths = opened[_PATH]
        for first in range(0, len(paths), _NAMES):
            yield from map(os.fsdecode, paths[first : first + _NAMES])


def rows(file: BinaryIO, kind: RowType) -> Numbers:
    with _opened(file) as opened:
        features = opened[kind.name]
        paths = opened[_PATH]
        if features.chunks is not None or len(paths) != len(features):
            raise ValueError("it is not laid out as vggfeat does")
        begin, shape, dtype = features.id.get_offset() or 0, features.shape, features.dtype
    return mapped(file, begin, shape, dtype, kind)


load = rows


@contextmanager
def _opened(file: BinaryIO) -> Iterator[h5py.File]:
    """What h5py says of damaged data as ValueError; OSError is the system's alone."""
    import h5py

    try:
        opened = h5py.File(file, "r")
    except OSError as error:
        if error.errno is not None:
            raise
        raise CutError(str(error)) from error
    with opened:
        try:
            yield opened
        except (KeyError, AttributeError, TypeError, RuntimeError) as error:
            raise ValueError(str(error)) from error
        except OSError as error:
            if error.errno is not None:
                raise
            raise ValueError(str(error)) from error
