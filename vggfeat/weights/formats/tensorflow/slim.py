"""TensorFlow checkpoints: TF-Slim's, Keras', and those of graphs written by hand.

`vgg_16_2016_08_28.tar.gz` holds a V1 checkpoint, one file: `vgg_16/conv1/conv1_1/weights
[3,3,3,64]`, `.../biases [64]` ... `vgg_16/fc6/weights [7,7,512,4096]`, `vgg_16/fc7/weights
[1,1,4096,4096]`. Graphs with `slim.fully_connected` after a flatten hold `[25088,4096]` and
`[4096,4096]`. The scope before the layers is anyone's choice.
"""

from __future__ import annotations

import re
from pathlib import Path

from vggfeat.errors import WeightsError
from vggfeat.weights.formats import containers
from vggfeat.weights.formats.containers.table import is_table
from vggfeat.weights.formats.tensorflow import checkpoint, variables
from vggfeat.weights.layers import Network

NAME = "TensorFlow checkpoint"
FILES = "`vgg_16.ckpt`, `.index` and `.data-*`, a folder of them"
ABOUT = (
    "TF-Slim's, in any scope, fully connected layers as convolutions or dense; Keras' and those of "
    "other programs"
)

_DATA_SUFFIX = re.compile(r"\.(index|data-\d{5}-of-\d{5}|meta)$")
_STATE = "checkpoint"  # the file in which TensorFlow notes the latest checkpoint of a folder
_LONGEST_STATE = 1 << 16


def recognise(path: Path) -> bool:
    return bool(_prefixes(path))


def find(path: Path, *, ema: bool = False) -> Network:
    """The network of a V1 file, or of a V2 checkpoint by its prefix, any of its files, or folder.

    Optimizer slots and moving averages are passed over, or the averages preferred with `ema`.

    Raises:
        WeightsError: several checkpoints or networks to choose from, no VGG16 in it, or damage.
    """
    prefixes = _prefixes(path)
    if len(prefixes) > 1:
        raise WeightsError(f"several checkpoints, name one: {', '.join(map(str, prefixes))}")
    return variables.network(NAME, checkpoint.read(prefixes[0]), ema=ema)


def _prefixes(path: Path) -> list[Path]:
    """What TensorFlow calls the checkpoints at a path; none where there are none."""
    if not path.is_dir():
        return _prefixes_of(path)
    if latest := _latest(path):
        return latest
    files = [file for file in sorted(path.iterdir()) if is_table(file)]
    return [file.with_suffix("") if file.suffix == ".index" else file for file in files]


def _prefixes_of(file: Path) -> list[Path]:
    stem = Path(_DATA_SUFFIX.sub("", str(file)))
    if is_table(Path(f"{stem}.index")):
        return [stem]
    return [file] if is_table(file) else []


def _latest(folder: Path) -> list[Path]:
    """The checkpoint that a folder's state file names: by its name only, it may have moved here."""
    text = containers.head(folder / _STATE, _LONGEST_STATE).decode("utf-8", "replace")
    latest = re.search(r'^model_checkpoint_path: "(.*)"', text, re.MULTILINE)
    name = Path(latest[1]).name if latest else ""
    return _prefixes_of(folder / name) if name else []
