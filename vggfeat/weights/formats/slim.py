"""TF-Slim checkpoints, and those of graphs written by hand with Slim's layer names.

`vgg_16_2016_08_28.tar.gz` holds a V1 checkpoint, one file: `vgg_16/conv1/conv1_1/weights
[3,3,3,64]`, `.../biases [64]` ... `vgg_16/fc6/weights [7,7,512,4096]`, `vgg_16/fc7/weights
[1,1,4096,4096]`. Graphs with `slim.fully_connected` after a flatten hold `[25088,4096]` and
`[4096,4096]`. The scope before the layers is anyone's choice.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import Any

from vggfeat import vgg16
from vggfeat.errors import WeightsError
from vggfeat.quiet_tensorflow import tensorflow
from vggfeat.weights.canonical import Weights, from_layers

NAME = "TF-Slim checkpoint"
MEAN_RGB = (123.68, 116.78, 103.94)  # research/slim/preprocessing/vgg_preprocessing.py

_TABLE_MAGIC = bytes.fromhex("57fb808b247547db")  # the last bytes of a V1 file and of an .index
_DATA_SUFFIX = re.compile(r"\.(index|data-\d{5}-of-\d{5}|meta)$")
_EMA = "/ExponentialMovingAverage"
_VARIABLE = re.compile(
    r"^(?P<scope>(?:[^/]+/)*?)(?:conv\d/)?"
    rf"(?P<layer>{'|'.join((*vgg16.LAYERS, *vgg16.VGG19_LAYERS))})/"
    rf"(?:(?P<kernel>weights|kernel|W)|biases|bias|b)(?P<ema>{_EMA})?$"
)


def recognise(path: Path) -> bool:
    return bool(_prefixes(path))


def read(path: Path, *, ema: bool = False) -> Weights:
    """Read a checkpoint: a V1 file, or a V2 one by its prefix, any of its files, or its folder.

    Optimizer slots and moving averages are passed over, or the averages preferred with `ema`.
    fc8 may be missing or have any number of classes.

    Raises:
        WeightsError: several checkpoints or networks to choose from, or no VGG16 in it.
    """
    prefixes = _prefixes(path)
    if len(prefixes) > 1:
        raise WeightsError(f"{path}: several checkpoints, name one: {', '.join(prefixes)}")
    tf = tensorflow()
    try:
        reader = tf.train.load_checkpoint(prefixes[0])
        names = _choose(reader.get_variable_to_shape_map(), ema)
        layers: dict[str, tuple[Any, Any]] = {
            layer: (reader.get_tensor(kernel), reader.get_tensor(bias))
            for layer, (kernel, bias) in names.items()
        }
        source = f"{NAME} {prefixes[0]}{', moving averages' if ema else ''}"
        return from_layers(layers, mean_rgb=MEAN_RGB, channels="rgb", source=source)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from None
    except (tf.errors.OpError, LookupError, ValueError, RuntimeError) as error:
        raise WeightsError(f"{path}: cannot be read as a checkpoint: {error}") from error


def _prefixes(path: Path) -> list[str]:
    """What TensorFlow calls the checkpoints at a path; none where there are none."""
    if path.is_dir():
        return _prefixes_in(path)
    stem = Path(_DATA_SUFFIX.sub("", str(path)))
    if _is_table(Path(f"{stem}.index")):
        return [str(stem)]
    return [str(path)] if _is_table(path) else []


def _prefixes_in(folder: Path) -> list[str]:
    state = folder / "checkpoint"
    if state.is_file():
        latest = re.search(r'^model_checkpoint_path: "(.*)"', state.read_text("utf-8"), re.M)
        if latest and (found := _prefixes(folder / Path(latest[1]).name)):
            return found
    files = [file for file in sorted(folder.iterdir()) if file.is_file() and _is_table(file)]
    return [str(file.with_suffix("") if file.suffix == ".index" else file) for file in files]


def _is_table(path: Path) -> bool:
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        file.seek(max(path.stat().st_size - len(_TABLE_MAGIC), 0))
        return file.read() == _TABLE_MAGIC


def _choose(variables: dict[str, Any], ema: bool) -> dict[str, tuple[str, str]]:
    """Names of kernel and bias by layer, of the one scope that holds the convolutions."""
    scopes: dict[str, dict[str, dict[str, str]]] = defaultdict(lambda: defaultdict(dict))
    averaged = False
    for name in sorted(variables):  # a plain name sorts before its moving average
        match = _VARIABLE.match(name)
        if match is None or (match["ema"] and not ema):
            continue
        averaged |= bool(match["ema"])
        part = "kernel" if match["kernel"] else "bias"
        scopes[match["scope"]][match["layer"]][part] = name
    if ema and not averaged:
        raise WeightsError("it holds no exponential moving averages")
    networks = {scope: _paired(parts) for scope, parts in scopes.items()}
    whole = [s for s, layers in networks.items() if all(c in layers for c in vgg16.CONVOLUTIONS)]
    if len(whole) > 1:
        raise WeightsError(f"it holds several networks, below the scopes {', '.join(whole)}")
    if not whole:
        scope = max(networks, key=lambda scope: len(networks[scope]), default=None)
        found = networks[scope] if scope is not None else {}
        missing = [name for name in vgg16.CONVOLUTIONS if name not in found]
        raise WeightsError(f"no VGG16: it has no {', '.join(missing)}")
    layers = networks[whole[0]]
    extra = [name for name in vgg16.VGG19_LAYERS if name in layers]
    if extra:
        raise WeightsError(f"this is a VGG-19 (it has {', '.join(extra)}), not a VGG16")
    return layers


def _paired(layers: dict[str, dict[str, str]]) -> dict[str, tuple[str, str]]:
    return {
        layer: (parts["kernel"], parts["bias"])
        for layer, parts in layers.items()
        if len(parts) == 2
    }
