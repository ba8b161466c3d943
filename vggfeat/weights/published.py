"""The file that Keras publishes: its address and hash, and the copy a user may have already.

Both are read from the source of the installed Keras, so that they are written down in one
place of the world only; Keras itself is not imported, which would take seconds.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import os
from pathlib import Path
from typing import NamedTuple

from vggfeat.errors import WeightsError


class PublishedFile(NamedTuple):
    url: str
    md5: str

    @property
    def name(self) -> str:
        return self.url.rpartition("/")[2]


def keras_file() -> PublishedFile:
    """Keras' VGG16 with its fully connected layers.

    Raises:
        WeightsError: no Keras is installed, or one that says it in another way.
    """
    spec = importlib.util.find_spec("keras")
    if spec is None or spec.origin is None:
        raise WeightsError("Keras is not installed, and it knows the address: pip install keras")
    source = Path(spec.origin).parent / "src" / "applications" / "vgg16.py"
    try:
        tree = ast.parse(source.read_text("utf-8"))
        return PublishedFile(_constant(tree, "WEIGHTS_PATH"), _hash_of(tree, "WEIGHTS_PATH"))
    except (OSError, SyntaxError, LookupError, ValueError) as error:
        raise WeightsError(
            f"{source} does not say where Keras' weights are ({error}): download the file by "
            "hand and give it to: vggfeat weights import FILE"
        ) from error


def in_keras_cache(file: PublishedFile) -> Path | None:
    """The whole, unharmed copy of a file that Keras has downloaded before, if there is one."""
    home = os.environ.get("KERAS_HOME") or os.path.join(os.path.expanduser("~"), ".keras")
    path = Path(home) / "models" / file.name
    return path if path.is_file() and os.access(path, os.R_OK) and md5(path) == file.md5 else None


def md5(path: Path) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _constant(tree: ast.Module, name: str) -> str:
    for node in tree.body:
        if isinstance(node, ast.Assign) and _is_name(node.targets[0], name):
            return str(ast.literal_eval(node.value))
    raise LookupError(f"no {name}")


def _hash_of(tree: ast.Module, name: str) -> str:
    """The `file_hash` of the call that is given the constant of that name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and any(_is_name(arg, name) for arg in node.args):
            for keyword in node.keywords:
                if keyword.arg == "file_hash":
                    return str(ast.literal_eval(keyword.value))
    raise LookupError(f"no file_hash beside {name}")


def _is_name(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name
