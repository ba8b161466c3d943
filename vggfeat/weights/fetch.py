"""A published network by name: found on this machine or downloaded, and kept in the store."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import filelock

from vggfeat.errors import WeightsError, describe_os_error
from vggfeat.weights import caches, formats, published, store
from vggfeat.weights.canonical import Weights
from vggfeat.weights.download import OnNote, download
from vggfeat.weights.evidence import OXFORD
from vggfeat.weights.published import PublishedFile
from vggfeat.weights.transfer import OnProgress


def fetch(name: str, on_progress: OnProgress, on_note: OnNote) -> Weights:
    """The network that is published under a name of `published.FILES`, kept in the store.

    While it works, another process that wants the same waits, and takes what is there then.

    Args:
        on_note: told where the file is taken from, and who made the weights.

    Raises:
        WeightsError: it cannot be had.
    """
    file = published.FILES[name]()
    found = caches.find(name, file)
    if found is not None:
        on_note(f"{name}: taken from {found}")
        weights = _kept_if_it_can(_read(file, found), name)
    else:
        with _alone(name, on_note) as folder:
            if store.contains(name):
                return store.open_weights(name)
            path = _downloaded(file, folder, on_progress, on_note)
            weights = store.save(_proven(file, path), name)
            shutil.rmtree(folder, ignore_errors=True)
    on_note(f"{name}: {file.credit}")
    return weights


@contextlib.contextmanager
def _alone(name: str, on_note: OnNote) -> Iterator[Path]:
    """A folder for what is under way, which no other process uses meanwhile."""
    folder = store.folder() / f".{name}"
    path = store.folder() / f".{name}.lock"
    lock = filelock.FileLock(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.touch()  # so that a store that cannot be written is noticed here
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            on_note(f"{name}: another vggfeat is fetching it; waiting for that")
            lock.acquire()
        folder.mkdir(exist_ok=True)  # who held the lock before has removed it
    except OSError as error:
        raise WeightsError(
            f"the store {store.folder()} cannot be written: {describe_os_error(error)}; "
            "set VGGFEAT_STORE to a folder that can"
        ) from error
    try:
        yield folder
    finally:
        with contextlib.suppress(OSError):
            folder.rmdir()  # unless something is kept in it
        with contextlib.suppress(OSError):
            path.unlink()  # while it is held: who waits for it notices that the file is gone
        lock.release()


def _downloaded(
    file: PublishedFile, folder: Path, on_progress: OnProgress, on_note: OnNote
) -> Path:
    """The published file, which an earlier call may have left there whole."""
    target = folder / file.name
    with contextlib.suppress(FileNotFoundError):
        if file.fault_of(target) is None:
            return target
        target.unlink()
    download(file, target, on_progress, on_note, copies=1)
    return target


def _proven(file: PublishedFile, path: Path) -> Weights:
    """The weights; where only they prove the file, it is not kept if they do not."""
    try:
        return _read(file, path)
    except WeightsError:
        if file.digest is None:
            path.unlink(missing_ok=True)
        raise


def _read(file: PublishedFile, path: Path) -> Weights:
    """The weights of a published file, whose origin says that it is one.

    Where no hash of the file is known, its numbers have to be the published ones; rounded ones
    too, as whoever has converted them may have done that.
    """
    weights = formats.read(path)
    if file.digest is None and not weights.origin.training.startswith(OXFORD):
        raise WeightsError(
            f"{path}: the convolutions in it are not the published ones ({weights.origin.training})"
            ", so it is not used. To use it nevertheless: vggfeat weights import FILE"
        )
    source = f"{weights.source}, as published at {file.url}"
    return replace(weights, origin=replace(weights.origin, source=source))


def _kept_if_it_can(weights: Weights, name: str) -> Weights:
    """As they are where the store cannot be written: the file is there for the next time too."""
    with contextlib.suppress(WeightsError):
        return store.save(weights, name)
    return weights
