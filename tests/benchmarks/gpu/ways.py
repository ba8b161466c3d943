"""The ways to get fc7 that are compared on a GPU: a program for each, with its variants."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.folder import Folder
from tests.benchmarks.programs import of_peer

PRECISIONS = ("bfloat16", "float16", "tf32", "float32")
COMPILATIONS = ("NHWC", "NHWC, XLA", "NCHW", "NCHW, XLA")


@dataclass(frozen=True)
class GpuWay:
    """One way, in one precision.

    Attributes:
        name: as `--ways` takes it.
        label: what tables call it.
        script: in `peers/`.
        variants: of the program, all measured at one batch; one without a name is as it comes.
        swept: the first of them is measured at other batches too.
    """

    name: str
    label: str
    script: str
    precision: str
    variants: tuple[str, ...] = ("",)
    swept: bool = False

    def command(self, folder: Folder, output: Path, place: str, seconds: float) -> list[str]:
        """The program `peers/variants.py` of this way, on `gpu` or `cpu`."""
        paths = map(str, (folder.weights, folder.crops, output))
        return [*of_peer(self.script), *paths, self.precision, place, str(seconds)]


def _engine(precision: str) -> GpuWay:
    """Our engine as it compiles by itself, then in each way that it has to choose among."""
    name, label = f"vggfeat-{precision}", f"vggfeat, {precision}"
    return GpuWay(name, label, "gpu_vggfeat", precision, ("", *COMPILATIONS), swept=True)


def _keras(precision: str) -> GpuWay:
    policy = f"mixed_{precision}" if precision.endswith("16") else precision
    return GpuWay(f"keras-{precision}", f"Keras, predict, {policy}", "gpu_keras", precision)


def _pytorch(precision: str) -> GpuWay:
    variants: tuple[str, ...] = ("", "torch.compile")
    if precision.endswith("16"):
        variants = ("autocast", "autocast, torch.compile", "weights converted, torch.compile")
    label = f"PyTorch, channels last, {precision}"
    return GpuWay(f"pytorch-{precision}", label, "gpu_pytorch", precision, variants)


ENGINE = tuple(map(_engine, PRECISIONS))
PEERS = (*map(_pytorch, PRECISIONS), *map(_keras, PRECISIONS))
