"""Whether TensorFlow would find its CUDA libraries: read from its files, without importing it.

TensorFlow opens them when it looks for GPUs, and shows none if one of them is missing
(`TryDlopenCUDALibraries` in xla/tsl/platform/default/dlopen_checker.cc). Which ones follows from
the versions that it is built for.
"""

from __future__ import annotations

import contextlib
import ctypes
import ctypes.util
import importlib.util
import re
import runpy
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vggfeat.engines import cuda_driver

# By the major version of CUDA, as NVIDIA numbers them; cuDNN is numbered by itself.
_SONAMES = {
    12: ("libcudart.so.12", "libcublas.so.12", "libcublasLt.so.12", "libcufft.so.11",
         "libcusolver.so.11", "libcusparse.so.12"),
    13: ("libcudart.so.13", "libcublas.so.13", "libcublasLt.so.13", "libcufft.so.12",
         "libcusolver.so.12", "libcusparse.so.12"),
}  # fmt: skip


@dataclass(frozen=True)
class Build:
    """What the installed TensorFlow was built for.

    Attributes:
        folder: of the package.
        with_cuda: False for a build that knows no GPU; None where it does not tell.
        cuda: the version of CUDA, such as `(12, 5)`; None where it does not tell.
        cudnn: the major version of cuDNN.
        oldest: the lowest compute capability of a card that it takes.
    """

    folder: Path
    with_cuda: bool | None = None
    cuda: tuple[int, int] | None = None
    cudnn: int | None = None
    oldest: tuple[int, int] = (0, 0)


def build() -> Build | None:
    """What TensorFlow tells of its build; None where it is not installed."""
    try:
        spec = importlib.util.find_spec("tensorflow")
    except ValueError:  # something else goes by its name
        return None
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent
    try:
        told = runpy.run_path(str(folder / "python" / "platform" / "build_info.py"))["build_info"]
        if not told["is_cuda_build"]:
            return Build(folder, with_cuda=False)
        cuda, cudnn = (re.findall(r"\d+", told[f"{part}_version"]) for part in ("cuda", "cudnn"))
        capabilities = told.get("cuda_compute_capabilities", ())
        return Build(
            folder,
            with_cuda=True,
            cuda=(int(cuda[0]), int(cuda[1])),
            cudnn=int(cudnn[0]),
            oldest=min(map(_capability, capabilities), default=(0, 0)),
        )
    except Exception:  # a file of another's, which may hold anything
        return Build(folder)


def missing(build: Build) -> list[str]:
    """The libraries that this TensorFlow would open and not find here.

    Where it does not tell which these are, cuDNN stands for all: it is what is forgotten.
    """
    if sys.platform != "linux" or build.with_cuda is False:
        return []
    names = _names(build)
    if not names:
        return [] if _any_cudnn(build.folder) else ["libcudnn.so"]
    return [name for name in names if not _is_found(name, build.folder)]


def open_beside() -> None:
    """Open what pip has put beside TensorFlow, which then has it by its name.

    TensorFlow looks into those folders itself, but 2.21 leaves cusolver's out, and without it
    shows no GPU. Nothing is opened where there is no driver.
    """
    if not cuda_driver.is_installed():
        return
    found = build()
    if found is None or found.cuda is None:
        return
    for name in _names(found):
        for path in _beside(name, found.folder):
            with contextlib.suppress(OSError):  # TensorFlow tells of it
                ctypes.CDLL(str(path))


def _names(build: Build) -> tuple[str, ...]:
    """Those that a build opens, as far as it tells."""
    if build.cuda is None or build.cuda[0] not in _SONAMES:
        return ()
    return (*_SONAMES[build.cuda[0]], f"libcudnn.so.{build.cudnn}")


def _beside(name: str, folder: Path) -> Iterator[Path]:
    return (folder.parent / "nvidia").glob(f"*/lib/{name}")


def _is_found(name: str, folder: Path) -> bool:
    """Beside TensorFlow, where pip puts NVIDIA's packages, else where the loader looks."""
    if any(_beside(name, folder)):
        return True
    with contextlib.suppress(OSError):
        ctypes.CDLL(name)
        return True
    return False


def _any_cudnn(folder: Path) -> bool:
    beside = (folder.parent / "nvidia").glob("*/lib/libcudnn.so.*")
    return any(beside) or ctypes.util.find_library("cudnn") is not None


def _capability(name: str) -> tuple[int, int]:
    """`sm_89` or `compute_90` -> `(8, 9)` or `(9, 0)`."""
    digits = name.rpartition("_")[2].rstrip("af")
    return int(digits[:-1]), int(digits[-1])
