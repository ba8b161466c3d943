"""The files that are fetched by name: where they are, and how each is known to be the one.

Values are from public logs and code, and are written here only where several that are
independent of each other agree, or are the file's own name. Keras' address and hash are read
from the installed Keras; Keras itself is not imported, which would take seconds.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vggfeat.errors import WeightsError

OXFORDS = (
    "trained by K. Simonyan and A. Zisserman, Visual Geometry Group, University of Oxford, "
    "https://www.robots.ox.ac.uk/~vgg/research/very_deep/, CC BY 4.0"
)
TORCHVISIONS = (
    "trained by the authors of torchvision, https://github.com/pytorch/vision: another training "
    "than that of keras and slim, so vectors of the two do not compare"
)


@dataclass(frozen=True)
class PublishedFile:
    """A file at an address.

    Attributes:
        url: the address; its last part is the file's name, in mirrors too.
        digest: `sha256:...` or `md5:...`; None where no hash is known for sure.
        size: in bytes; None where it is not known for sure.
        credit: who made the weights, in words.
    """

    url: str
    digest: str | None
    size: int | None = None
    credit: str = ""

    @property
    def name(self) -> str:
        return self.url.rpartition("/")[2]

    def fault_of(self, path: Path) -> str | None:
        """Why a file is not the published one, in words; None if it is. Raises OSError."""
        size = path.stat().st_size
        if self.size is not None and size != self.size:
            return f"has {size:,} bytes, expected {self.size:,}"
        if self.digest is None:
            return None
        algorithm, _, expected = self.digest.partition(":")
        found = hash_of(path, algorithm)
        return None if found == expected else f"has the {algorithm} {found}, expected {expected}"


# Keras prints it whenever it downloads; it belongs to the file of this hash.
_KERAS_SIZES = {"md5:64373286793e3c8b2b4e3219cbf3544b": 553_467_096}


def keras() -> PublishedFile:
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
        url = _constant(tree, "WEIGHTS_PATH")
        digest = f"md5:{_hash_of(tree, 'WEIGHTS_PATH')}"
    except (OSError, SyntaxError, LookupError, ValueError) as error:
        raise WeightsError(
            f"{source} does not say where Keras' weights are ({error}): download the file by "
            "hand and give it to: vggfeat weights import FILE"
        ) from error
    return PublishedFile(url, digest, _KERAS_SIZES.get(digest), credit=OXFORDS)


def slim() -> PublishedFile:
    """TF-Slim's checkpoint in its archive, from the bucket behind download.tensorflow.org.

    The size is what TF-Slim's own downloader printed in three places. A hash was seen only once,
    so none is here: instead the convolutions must be Oxford's, bit for bit, and the archive's
    own checksum holds for the rest.
    """
    return PublishedFile(
        "https://storage.googleapis.com/download.tensorflow.org/models/vgg_16_2016_08_28.tar.gz",
        None,
        513_324_920,
        credit=OXFORDS,
    )


def torchvision() -> PublishedFile:
    """torchvision's `VGG16_Weights.IMAGENET1K_V1`.

    Its name carries the first eight digits of the hash; all of them are pinned in many projects,
    and the size is in torch's progress bars.
    """
    return PublishedFile(
        "https://download.pytorch.org/models/vgg16-397923af.pth",
        "sha256:397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
        553_433_881,
        credit=TORCHVISIONS,
    )


def timm() -> PublishedFile:
    """timm's copy of torchvision's training, at a revision that cannot change.

    Two projects pin this hash, one of them with this revision; two more name the revision.
    """
    return PublishedFile(
        "https://huggingface.co/timm/vgg16.tv_in1k/resolve/"
        "b8d8aa2dd860af9233c8c67385a8097fd6c35d3f/model.safetensors",
        "sha256:57b026918159a6bf9faf8405c3a551903768e7138989d9c6224a14227203fad8",
        credit=TORCHVISIONS,
    )


FILES: dict[str, Callable[[], PublishedFile]] = {
    "keras": keras,
    "slim": slim,
    "torchvision": torchvision,
    "timm": timm,
}


def hash_of(path: Path, algorithm: str) -> str:
    """The hash of a file, in hexadecimal digits. Raises OSError."""
    digest = hashlib.new(algorithm, usedforsecurity=False)
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
