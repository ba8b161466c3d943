"""Which weights a run takes, and where they come from when they are not here yet."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from vggfeat.errors import WeightsError, describe_os_error
from vggfeat.weights import formats, published, store
from vggfeat.weights.canonical import Weights
from vggfeat.weights.random import random_weights

if TYPE_CHECKING:
    from vggfeat.watcher import Watcher
    from vggfeat.weights.download import OnNote
    from vggfeat.weights.transfer import OnProgress

RANDOM = "random"
KERAS = "keras"

__all__ = ["KERAS", "RANDOM", "Weights", "choose", "chosen_for", "existing", "named"]


def _no_progress(done: int, total: int | None) -> None:
    pass


def _no_note(message: str) -> None:
    pass


def choose(
    spec: str | os.PathLike[str] | Weights | None = None,
    on_progress: OnProgress = _no_progress,
    on_note: OnNote = _no_note,
) -> Weights:
    """The weights of a run: those asked for, else `$VGGFEAT_WEIGHTS`, else the default.

    The default is `keras` where the store has it, else the only trained weights of the
    store, else Keras' published file: from Keras' own cache if it is there, else downloaded.

    Args:
        on_progress: told the bytes of a download, done and in all.
        on_note: told, in words, what is fetched from where.

    Raises:
        WeightsError: there are none, or several to choose from.
    """
    if isinstance(spec, Weights):
        return spec
    asked = os.fspath(spec) if spec else os.environ.get("VGGFEAT_WEIGHTS")
    return named(asked or default_name() or KERAS, on_progress, on_note)


def chosen_for(watcher: Watcher, spec: str | os.PathLike[str] | Weights | None) -> Weights:
    """`choose`, and all that the user of it should hear. Raises WeightsError."""
    try:
        chosen = choose(spec, watcher.fetching, watcher.note)
    except BaseException:
        watcher.stop()
        raise
    if not chosen.trained:
        watcher.note(f"weights are {chosen.source}")
    for warning in chosen.origin.warnings:
        watcher.note(f"weights: {warning}")
    return chosen


def default_name() -> str | None:
    """The name in the store that is taken when none is asked for."""
    names = [name for name in store.names() if name != RANDOM]
    if KERAS in names or not names:
        return KERAS if names else None
    if len(names) > 1:
        raise WeightsError(
            f"the store has several weights: choose with --weights, one of {', '.join(names)}"
        )
    return names[0]


def named(spec: str, on_progress: OnProgress = _no_progress, on_note: OnNote = _no_note) -> Weights:
    """Weights by name or file. A name goes before a file of that name: write `./name` for it.

    `random` is made and the names of `published.FILES` are fetched when they are first asked for.

    Raises:
        WeightsError: no such weights.
    """
    if spec == RANDOM and not store.contains(spec):
        return _kept(random_weights(), RANDOM)
    if spec in published.FILES and not store.contains(spec):
        from vggfeat.weights.fetch import fetch

        return fetch(spec, on_progress, on_note)
    return existing(spec)


def existing(spec: str, *, channels: str | None = None, scale: str | None = None) -> Weights:
    """Weights that are here already, by name or file.

    Args:
        channels: what a file's conv1_1 takes, as `formats.read` understands it.
        scale: likewise.

    Raises:
        WeightsError: no such weights.
    """
    if store.contains(spec):
        if channels or scale:
            raise WeightsError(f"{spec}: {formats.SETTLED}")
        return store.open_weights(spec)
    if spec == RANDOM:
        return random_weights()
    if "://" in spec:
        raise WeightsError(f"{spec}: addresses are not read: download it, and give the file")
    path = Path(spec)
    if not _is_there(path):
        names = ", ".join(store.names()) or "it is empty"
        fetch = f": vggfeat weights download {spec}" if spec in published.FILES else ""
        raise WeightsError(f"{spec}: no such file, and no such name in the store ({names}){fetch}")
    return formats.read(path, channels=channels, scale=scale)


def _is_there(path: Path) -> bool:
    """Whether there is a file, a folder, or a checkpoint of that prefix. Raises WeightsError."""
    try:
        return path.exists() or formats.slim.recognise(path)
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {describe_os_error(error)}") from error


def _kept(weights: Weights, name: str) -> Weights:
    """Weights from the store from now on; as they are where the store cannot be written."""
    try:
        return store.save(weights, name)
    except WeightsError:
        return weights
