"""What every test starts from: a home, a store and a Keras cache of its own."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import networks
from vggfeat.weights import store
from vggfeat.weights.formats import canonical

# What is started in the background has these ignored, and so would all that tests start.
for signum, handler in (
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGHUP, signal.SIG_DFL),
):
    if signal.getsignal(signum) is signal.SIG_IGN:
        signal.signal(signum, handler)

# On a machine with GPUs tests compute on its processors all the same.
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

SAMPLES = Path(__file__).parent.parent / "sample_images"


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A new place each time."""
    folder = tmp_path_factory.mktemp("homes")
    return (folder / str(number) for number in itertools.count())


@pytest.fixture(autouse=True)
def home(homes: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = next(homes)
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("VGGFEAT_STORE", str(folder / "store"))
    monkeypatch.setenv("KERAS_HOME", str(folder / "keras"))
    for name in ("VGGFEAT_WEIGHTS", "VGGFEAT_MIRROR", "TORCH_HOME", "XDG_CACHE_HOME", "HF_HOME",
                 "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):  # fmt: skip
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture(scope="session")
def narrow_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A narrow network as a file that the command takes."""
    path = tmp_path_factory.mktemp("weights") / "narrow.safetensors"
    canonical.write(networks.weights(), path)
    return path


@pytest.fixture
def narrow_in_store(home: Path) -> str:
    store.save(networks.weights(), "narrow")
    return "narrow"


@pytest.fixture(scope="session")
def samples() -> list[Path]:
    """All sample images, in no particular order."""
    skipped = {".md"}
    return sorted(p for p in SAMPLES.rglob("*") if p.is_file() and p.suffix not in skipped)
