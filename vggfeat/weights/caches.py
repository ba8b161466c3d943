"""Published files that are on this machine already: in a mirror's folder and in the caches that
Keras, torch and Hugging Face's libraries keep."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from vggfeat.errors import WeightsError
from vggfeat.weights.published import PublishedFile, hash_of

MIRROR = "VGGFEAT_MIRROR"
_SHA256 = re.compile("[0-9a-f]{64}")


def find(name: str, file: PublishedFile) -> Path | None:
    """The first whole, unharmed copy of the file that is published under a name.

    Raises:
        WeightsError: the mirror's address is of no known kind.
    """
    return next((path for path in _places(name, file) if _is_whole(path, file)), None)


def mirror_url() -> str | None:
    """`$VGGFEAT_MIRROR` where it is an address of the web. Raises WeightsError."""
    mirror = os.environ.get(MIRROR)
    return mirror if mirror and _scheme(mirror) in ("http", "https") else None


def mirror_folder() -> Path | None:
    """`$VGGFEAT_MIRROR` where it is a folder, as `file://` or a path. Raises WeightsError."""
    mirror = os.environ.get(MIRROR)
    if not mirror or _scheme(mirror) in ("http", "https"):
        return None
    return Path(url2pathname(urlsplit(mirror).path) if _scheme(mirror) else mirror)


def _scheme(mirror: str) -> str:
    scheme, separator, _ = mirror.partition("://")
    if separator and scheme.lower() not in ("http", "https", "file"):
        raise WeightsError(f"{MIRROR} is {mirror}, expected http://, https://, file:// or a folder")
    return scheme.lower() if separator else ""


def _places(name: str, file: PublishedFile) -> Iterator[Path]:
    if folder := mirror_folder():
        yield folder / file.name
    if name == "keras":
        yield _folder("KERAS_HOME", "~/.keras") / "models" / file.name
    if name == "torchvision":
        torch = _folder("TORCH_HOME", "$XDG_CACHE_HOME/torch", "~/.cache/torch")
        yield torch / "hub" / "checkpoints" / file.name
        yield torch / "checkpoints" / file.name  # before torch 1.6
        yield _folder("~/.torch") / "models" / file.name  # before torch 1.2
    if name == "timm":
        hub = _folder(
            "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "$HF_HOME/hub",
            "$XDG_CACHE_HOME/huggingface/hub", "~/.cache/huggingface/hub",
        )  # fmt: skip
        snapshots = hub / "models--timm--vgg16.tv_in1k" / "snapshots"
        yield from sorted(snapshots.glob("*/model.safetensors"))
        yield from sorted(snapshots.glob("*/pytorch_model.bin"))


def _folder(*choices: str) -> Path:
    """The first of these whose variable is set: a variable's name, or a path that begins with one
    or with the home."""
    for choice in choices:
        head, _, rest = choice.partition("/")
        if head == "~":
            return Path(os.path.expanduser(choice))
        if value := os.environ.get(head.removeprefix("$")):
            return Path(os.path.expanduser(value), rest)
    raise AssertionError(f"{choices} end without a place in the home")


def _is_whole(path: Path, file: PublishedFile) -> bool:
    try:
        if not path.is_file():
            return False
        if path.name == file.name:
            return file.fault_of(path) is None
        # Hugging Face's cache names what it holds after its sha256: it proves itself.
        blob = path.resolve().name
        return bool(_SHA256.fullmatch(blob)) and hash_of(path, "sha256") == blob
    except OSError:
        return False
