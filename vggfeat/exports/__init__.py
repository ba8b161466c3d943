"""Every form in which VGG16 can be given away: one file each, and the table that lists them.

A form's module has `write(weights, path)`, which writes it whole or not at all, replaces what was
there, and says how pixels are to be prepared for it. Where the form is a graph, which can hold any
head, it is `write(weights, path, head)`.
"""

from __future__ import annotations

import errno
import importlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from vggfeat.errors import UsageError, VggfeatError, describe_os_error
from vggfeat.exports import heads

if TYPE_CHECKING:
    from vggfeat.head.file import Head
    from vggfeat.weights.canonical import Weights


class Form(NamedTuple):
    """One way to write a network.

    Attributes:
        about: what is written, in words.
        suffixes: of its files, the usual one first.
        is_graph: whether it holds a graph of operations, and so any head; others hold the numbers
            of layers, and a head only in the place of fc8.
    """

    about: str
    suffixes: tuple[str, ...]
    is_graph: bool = False


# By the name of the module here that writes it, with - for _.
FORMS: dict[str, Form] = {
    "slim": Form("a checkpoint of TF-Slim's vgg_16", (".ckpt", ".index")),
    "keras": Form("weights for keras.applications.VGG16", (".h5", ".hdf5")),
    "keras-model": Form("a whole Keras model", (".keras",), is_graph=True),
    "torch": Form("a state dict of torchvision's VGG16", (".pth", ".pt")),
    "npz": Form("a NumPy archive with Frossard's names", (".npz",)),
    "onnx": Form("an ONNX model", (".onnx",), is_graph=True),
    "safetensors": Form("torchvision's names in a safetensors file", (".safetensors",)),
}


def export(weights: Weights, path: Path, form: str | None = None, head: Head | None = None) -> str:
    """Write weights in another form.

    Args:
        weights: all layers they hold are written; fully connected ones may be missing.
        form: a name of `FORMS`; None for the one that the path's suffix stands for.
        head: what the network is to end in instead of fc8; the names of its classes are written
            beside, as `heads.write_classes` does. A graph then holds nothing above its layer.

    Returns:
        what was written and how pixels are to be prepared for it, in words.

    Raises:
        UsageError: no form is known by the path's suffix, or the form has no such files, or
            cannot hold such a head.
        VggfeatError: the form cannot hold these weights, the head was fitted on others, or the
            file cannot be written.
    """
    form = check_place(path, form, head)
    writer = _writer(form)
    try:
        if head is None:
            return f"{FORMS[form].about}; {writer.write(weights, path)}"
        heads.check(weights, head)
        if FORMS[form].is_graph:
            said = writer.write(weights, path, head)
        else:
            said = writer.write(heads.as_fc8(weights, head), path)
        heads.write_classes(head, path)
    except OSError as error:
        raise _unwritten(path, error) from error
    return f"{FORMS[form].about}; {said}; {heads.told(head, path)}"


def check_place(path: Path, form: str | None = None, head: Head | None = None) -> str:
    """See that a file can be made at a path, before half a gigabyte is fetched and written.

    Returns:
        the name of its form.

    Raises:
        UsageError, VggfeatError: as `export` does.
    """
    form = form or _form_of(path)
    if form.startswith("keras"):  # which looks at names itself
        _writer(form).check_name(path)
    if head is not None and not FORMS[form].is_graph:
        heads.check_is_fc8(head, form)
    try:
        if not path.parent.exists():  # TensorFlow would make it
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    except OSError as error:
        raise _unwritten(path, error) from error
    return form


def _writer(form: str) -> Any:
    return importlib.import_module(f"vggfeat.exports.{form.replace('-', '_')}")


def _form_of(path: Path) -> str:
    for name, form in FORMS.items():
        if path.suffix.lower() in form.suffixes:
            return name
    raise UsageError(f"{path}: its name tells no form: add --format {'|'.join(FORMS)}")


def _unwritten(path: Path, error: OSError) -> VggfeatError:
    return VggfeatError(f"{path}: cannot be written: {describe_os_error(error)}")
