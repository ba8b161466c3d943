"""A `.h5` weights file in the layout of those that Keras publishes, written without Keras.

Groups by layer, named in the attribute `layer_names`; in each its kernel and bias, named in
`weight_names` (keras/src/legacy/saving/legacy_h5_format.py). conv1_1 takes BGR.

With fc8, `keras.applications.VGG16(weights=FILE, classes=n)` loads it; convolutions alone go with
`include_top=False`. With fc6 and fc7 but no fc8, it is for a model that ends there:
`keras.Model(vgg16.inputs, vgg16.get_layer("fc2").output).load_weights(FILE)`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vggfeat import vgg16
from vggfeat.errors import UsageError
from vggfeat.exports import pixels
from vggfeat.exports.calm_file import CalmFile
from vggfeat.inputs import BGR
from vggfeat.weights import names
from vggfeat.weights.canonical import Weights
from vggfeat.weights.formats import note
from vggfeat.weights.mapped import forget
from vggfeat.whole import whole

_LOADED = (".h5", ".hdf5")  # by keras.src.saving.saving_api.load_weights


def check_name(path: Path) -> None:
    """Raises UsageError: a name from which Keras would not load weights of this layout."""
    if path.suffix not in _LOADED or path.name.endswith(".weights.h5"):
        raise UsageError(
            f"{path}: Keras reads weights of this layout from a file whose name ends in .h5, "
            "and not in .weights.h5 or .keras"
        )


def write(weights: Weights, path: Path) -> str:
    """Write the file. Raises OSError."""
    with whole(path) as file:
        calm = CalmFile(file)
        _write(weights, calm)
        calm.check()
    mean = pixels.plain(weights).mean[::-1]
    if pixels.has_mean_of("caffe", weights):
        return "prepare pixels with keras.applications.vgg16.preprocess_input"
    return (
        f"takes BGR pixels minus the mean B, G, R = {pixels.words(mean)}; "
        "keras.applications.vgg16.preprocess_input subtracts another"
    )


def _write(weights: Weights, file: CalmFile) -> None:
    import h5py

    with h5py.File(file, "w") as root:
        root.attrs[note.ATTRIBUTE] = note.to_text(pixels.plain(weights, BGR))
        root.attrs["layer_names"] = np.array([names.keras(layer) for layer in weights.layers], "S")
        for layer in weights.layers:
            name = names.keras(layer)
            kernel, bias = (weights.tensors[f"{layer}/{part}"] for part in ("kernel", "bias"))
            if layer == vgg16.CONVOLUTIONS[0]:
                kernel = np.ascontiguousarray(kernel[:, :, ::-1])
            group = root.create_group(name)
            group.attrs["weight_names"] = np.array([f"{name}_W_1:0", f"{name}_b_1:0"], "S")
            group[f"{name}_W_1:0"] = kernel
            group[f"{name}_b_1:0"] = bias
            forget(kernel)
