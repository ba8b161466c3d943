"""The ways to get fc7 that are compared, and the commands that run them."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks import weights
from tests.benchmarks.folder import Folder
from tests.benchmarks.programs import of_peer


@dataclass(frozen=True)
class Way:
    """One way.

    Attributes:
        name: of its script in `peers/`.
        label: what tables and figures call it.
        engine: of vggfeat; empty for another library.
        options: more of vggfeat's options.
    """

    name: str
    label: str
    engine: str = ""
    options: tuple[str, ...] = ()

    @property
    def pixels(self) -> str:
        """Who cuts the crop out: vggfeat resizes the crop alone, the others the whole image."""
        return "vggfeat" if self.engine else "plain"

    def network(self, folder: Folder, output: Path, batches: int) -> list[str]:
        """The command that computes a round of batches for every line of its stdin."""
        return [
            *of_peer(self.name),
            "network",
            *map(str, (folder.weights, folder.crops, output, batches)),
        ]

    def files(self, folder: Folder, photographs: Path, output: Path) -> list[str]:
        """The command that computes the photographs of a folder: ours is the command itself."""
        if not self.engine:
            paths = map(str, (folder.weights, photographs, output))
            return [*of_peer(self.name), "files", *paths]
        command = [sys.executable, "-m", "vggfeat", "extract", str(photographs), "-o", str(output)]
        network = str(folder.weights / weights.CANONICAL)
        return [*command, "--weights", network, "--engine", self.engine, "--quiet", *self.options]


NCNN = Way("vggfeat_ncnn", "vggfeat, ncnn", "ncnn")
FAST_DECODE = Way("vggfeat_ncnn_fast", "vggfeat, ncnn, --fast-decode", "ncnn", ("--fast-decode",))
KERAS = Way("keras_predict", "Keras, predict in batches")

WAYS = (
    KERAS,
    Way("keras_loop", "Keras, one image a call"),
    Way("frozen_graph", "TensorFlow, frozen graph"),
    Way("onnxruntime", "ONNX Runtime"),
    Way("openvino", "OpenVINO"),
    Way("pytorch", "PyTorch, channels last"),
    Way("vggfeat_tensorflow", "vggfeat, TensorFlow", "tensorflow"),
    NCNN,
)
