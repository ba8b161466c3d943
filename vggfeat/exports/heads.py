"""A head that goes with the network: what holds for every form that can take one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from vggfeat import vgg16
from vggfeat.activations import Activation, parse
from vggfeat.errors import UsageError, VggfeatError
from vggfeat.whole import whole

if TYPE_CHECKING:
    from vggfeat.head.file import Head
    from vggfeat.weights.canonical import Weights

_BELOW_FC8 = Activation("fc7")


def check(weights: Weights, head: Head) -> None:
    """See that a head was fitted on features of these weights.

    Raises:
        VggfeatError: it was not.
    """
    recipe = head.recipe
    here = replace(recipe, fingerprint=weights.fingerprint, source=weights.source)
    if other := here.difference(recipe):
        raise VggfeatError(f"the head was fitted on others: {other}: give those by --weights")


def check_apart(output: Path, *read: str | None) -> None:
    """See that an output replaces nothing that it is made of.

    Args:
        read: files of the head and the weights; None, or a name of the store's, for no file.

    Raises:
        UsageError: it would.
    """
    for name in read:
        if name and output.exists() and Path(name).exists() and output.samefile(name):
            raise UsageError(f"{output}: it would be replaced while it is read: choose another")


def check_is_fc8(head: Head, form: str) -> None:
    """See that a head can stand in the place of fc8, where a form holds layers' numbers alone.

    Args:
        form: its name.

    Raises:
        UsageError: it is over another layer, over rows of length 1, or another size of image.
    """
    recipe = head.recipe
    size = recipe.preprocessing.size
    wants = [
        recipe.layer if parse(recipe.layer) != _BELOW_FC8 else "",
        f"{recipe.normalize} normalization" if recipe.normalize else "",
        f"images of {size} pixels" if size != vgg16.SIZE else "",
    ]
    if any(wants):
        raise UsageError(
            f"--format {form} holds no head but one in the place of fc8, over plain fc7 of "
            f"{vgg16.SIZE} pixels; this one takes {', '.join(filter(None, wants))}: export a "
            ".keras or .onnx file, or use vggfeat freeze"
        )


def as_fc8(weights: Weights, head: Head) -> Weights:
    """The same network with the head in the place of fc8."""
    kept = {name: array for name, array in weights.tensors.items() if not name.startswith("fc8/")}
    mean = kept.pop("mean")  # which is the last
    tensors = {**kept, "fc8/kernel": head.kernel, "fc8/bias": head.bias, "mean": mean}
    return replace(weights, tensors=tensors, kept_fingerprint=None)


def classes_file(output: Path) -> Path:
    """Where the names of the classes go: `flowers.classes.txt` for `flowers.pb`."""
    return output.with_name(f"{output.stem}.classes.txt")


def write_classes(head: Head, output: Path) -> None:
    """Write the names of the classes beside an output, one a line, in the order of the columns.

    A line break in a name becomes a space.

    Raises:
        OSError: the file cannot be written.
    """
    with whole(classes_file(output)) as file:
        for name in head.classes:
            file.write(" ".join(name.splitlines()).encode("utf-8", "surrogateescape") + b"\n")


def told(head: Head, output: Path) -> str:
    """`5 classes, named in flowers.classes.txt`."""
    return f"{len(head.classes)} classes, named in {classes_file(output)}"
