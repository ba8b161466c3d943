"""The store: canonical weights by name, one safetensors file each."""

from __future__ import annotations

import os
import re
from pathlib import Path

import platformdirs
from natsort import natsorted

from vggfeat.errors import WeightsError, describe_os_error
from vggfeat.weights.canonical import Weights
from vggfeat.weights.formats import canonical

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
_SUFFIX = ".safetensors"


def folder() -> Path:
    """`$VGGFEAT_STORE`, else `vggfeat/weights` in the user's cache folder.

    Raises:
        WeightsError: the user has no home.
    """
    if chosen := os.environ.get("VGGFEAT_STORE"):
        return Path(chosen)
    try:
        return platformdirs.user_cache_path("vggfeat") / "weights"
    except RuntimeError as error:
        raise WeightsError(
            f"{str(error).rstrip('.')}: set HOME, or VGGFEAT_STORE to a folder"
        ) from error


def path_of(name: str) -> Path:
    """Where weights of a name are or would be kept.

    Raises:
        WeightsError: it cannot be a name in the store.
    """
    if not _NAME.fullmatch(name):
        raise WeightsError(
            f"{name!r} cannot be a name in the store: use letters, digits, '.', '_' and '-'"
        )
    return folder() / f"{name}{_SUFFIX}"


def names() -> list[str]:
    """All names in the store, in natural order."""
    try:
        files = [file.name for file in folder().iterdir() if file.suffix == _SUFFIX]
    except OSError:
        return []
    return natsorted(name.removesuffix(_SUFFIX) for name in files if not name.startswith("."))


def contains(name: str) -> bool:
    return bool(_NAME.fullmatch(name)) and path_of(name).is_file()


def open_weights(name: str) -> Weights:
    """The weights of a name, as a memory map. Raises WeightsError."""
    path = path_of(name)
    if not path.is_file():
        raise WeightsError(f"no weights named {name!r} in the store {folder()}")
    try:
        return canonical.read(path)
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {describe_os_error(error)}") from error


def save(weights: Weights, name: str) -> Weights:
    """Keep weights under a name that is free, or that holds the same ones already.

    Returns:
        the kept weights, as a memory map.

    Raises:
        WeightsError: the name is taken by others, or the store cannot be written.
    """
    path = path_of(name)
    kept = _readable(path)
    if kept is not None:
        if kept.fingerprint != weights.fingerprint:
            raise WeightsError(
                f"the store already has other weights named {name!r}: choose another --name, "
                f"or first: vggfeat weights remove {name}"
            )
        return kept
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        canonical.write(weights, path)
    except OSError as error:
        raise WeightsError(
            f"the store {path.parent} cannot be written: {describe_os_error(error)}; "
            "set VGGFEAT_STORE to a folder that can"
        ) from error
    return canonical.read(path)


def _readable(path: Path) -> Weights | None:
    """What is kept there; None where there is nothing, or nothing that can be used."""
    try:
        return canonical.read(path)
    except (OSError, WeightsError):
        return None


def remove(name: str) -> None:
    """Delete weights from the store. Raises WeightsError."""
    path = path_of(name)
    try:
        path.unlink()
    except FileNotFoundError:
        raise WeightsError(f"no weights named {name!r} in the store {folder()}") from None
    except OSError as error:
        raise WeightsError(f"{path}: cannot be removed: {describe_os_error(error)}") from error
