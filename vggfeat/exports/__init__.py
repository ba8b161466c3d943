"""Every form in which VGG16 can be given away: one file each, and the table that lists them.

A form's module has `write(weights, path)`, which writes it whole or not at all, replaces what was
there, and says how pixels are to be prepared for it.
"""

from __future__ import annotations

import errno
import importlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from vggfeat.errors import UsageError, VggfeatError, describe_os_error

if TYPE_CHECKING:
    from vggfeat.weights.canonical import Weights


class Form(NamedTuple):
    """What is written, in words, and the suffixes of its files, the usual one first."""

    about: str
    suffixes: tuple[str, ...]


# By the name of the module here that writes it.
FORMS: dict[str, Form] = {
    "slim": Form("a checkpoint of TF-Slim's vgg_16", (".ckpt", ".index")),
    "keras": Form("weights for keras.applications.VGG16", (".h5", ".hdf5")),
    "torch": Form("a state dict of torchvision's VGG16", (".pth", ".pt")),
    "npz": Form("a NumPy archive with Frossard's names", (".npz",)),
    "onnx": Form("an ONNX model", (".onnx",)),
    "safetensors": Form("torchvision's names in a safetensors file", (".safetensors",)),
}


def export(weights: Weights, path: Path, form: str | None = None) -> str:
    """Write weights in another form.

    Args:
        weights: all layers they hold are written; fully connected ones may be missing.
        form: a name of `FORMS`; None for the one that the path's suffix stands for.

    Returns:
        what was written and how pixels are to be prepared for it, in words.

    Raises:
        UsageError: no form is known by the path's suffix, or the form has no such files.
        VggfeatError: the form cannot hold these weights, or the file cannot be written.
    """
    form = check_place(path, form)
    writer = importlib.import_module(f"vggfeat.exports.{form}")
    try:
        return f"{FORMS[form].about}; {writer.write(weights, path)}"
    except OSError as error:
        raise _unwritten(path, error) from error


def check_place(path: Path, form: str | None = None) -> str:
    """See that a file can be made at a path, before half a gigabyte is fetched and written.

    Returns:
        the name of its form.

    Raises:
        UsageError, VggfeatError: as `export` does.
    """
    form = form or _form_of(path)
    if form == "keras":
        from vggfeat.exports import keras

        keras.check_name(path)
    try:
        if not path.parent.exists():  # TensorFlow would make it
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    except OSError as error:
        raise _unwritten(path, error) from error
    return form


def _form_of(path: Path) -> str:
    for name, form in FORMS.items():
        if path.suffix.lower() in form.suffixes:
            return name
    if path.suffix.lower() == ".keras":  # which `keras.check_name` refuses: it says what to write
        return "keras"
    raise UsageError(f"{path}: its name tells no form: add --format {'|'.join(FORMS)}")


def _unwritten(path: Path, error: OSError) -> VggfeatError:
    return VggfeatError(f"{path}: cannot be written: {describe_os_error(error)}")
