"""Published networks by name: from this machine or a server, proven, and kept in the store."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import subprocess
import tarfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import networks, torch_models
from tests.cli.command import COMMAND, lines, vggfeat
from tests.weights.servers import Server, keras_that_publishes, serving
from vggfeat import Extractor, WeightsError, vgg16, weights
from vggfeat.weights import formats, oxford, published, store
from vggfeat.weights.formats import canonical

REAL = os.environ.get("VGGFEAT_REAL_NOTOP", "")
NAMES = tuple(published.FILES)


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VGGFEAT_MIRROR", "TORCH_HOME", "XDG_CACHE_HOME", "HF_HOME", "HF_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("narrow") / "a"
    canonical.write(networks.weights(), path)
    return path.read_bytes()


@pytest.fixture(scope="module")
def oxfords(tmp_path_factory: pytest.TempPathFactory) -> networks.Layers:
    """A narrow network that begins as Oxford's does."""
    made = networks.layers({**networks.NARROW, "conv1_1": 64})
    made["conv1_1"] = oxford.conv1_1(), made["conv1_1"][1]
    return made


@pytest.fixture(scope="module")
def checkpoint(oxfords: networks.Layers, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return as_slim(oxfords, tmp_path_factory.mktemp("slim"))


def as_slim(layers: networks.Layers, folder: Path) -> bytes:
    """A network as TF-Slim publishes it: a checkpoint of version 1, written by TensorFlow."""
    import tensorflow as tf

    path = folder / "vgg_16.ckpt"
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        for name, (kernel, bias) in layers.items():
            scope = f"vgg_16/{name[:5]}/{name}" if name.startswith("conv") else f"vgg_16/{name}"
            side = {"fc6": 7, "fc7": 1, "fc8": 1}.get(name, 3)
            shaped = kernel.reshape(side, side, -1, kernel.shape[-1])
            tf.compat.v1.get_variable(f"{scope}/weights", initializer=shaped)
            tf.compat.v1.get_variable(f"{scope}/biases", initializer=bias)
        session.run(tf.compat.v1.global_variables_initializer())
        saver = tf.compat.v1.train.Saver(write_version=tf.compat.v1.train.SaverDef.V1)
        saver.save(session, str(path), write_meta_graph=False)
    return path.read_bytes()


def packed(content: bytes, name: str = "vgg_16.ckpt") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as made:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        made.addfile(info, io.BytesIO(content))
    return out.getvalue()


def publish(monkeypatch: pytest.MonkeyPatch, name: str, content: bytes, **changes: Any) -> str:
    """Have other content published under a name. Returns the file's name."""
    file = published.FILES[name]()
    digest = file.digest and f"sha256:{hashlib.sha256(content).hexdigest()}"
    file = replace(file, digest=digest, size=len(content), **changes)
    monkeypatch.setitem(published.FILES, name, lambda: file)
    return file.name


def kept() -> list[str]:
    return sorted(path.name for path in store.folder().iterdir())


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch, narrow: bytes) -> Iterator[Server]:
    with serving(narrow) as server:
        monkeypatch.setenv("VGGFEAT_MIRROR", server.base)
        yield server


@pytest.mark.parametrize("name", [name for name in NAMES if name != "slim"])
def test_each_is_fetched_when_first_asked_for(
    mirror: Server, narrow: bytes, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    file = publish(monkeypatch, name, narrow)
    notes: list[str] = []
    first = weights.choose(name, on_note=notes.append)
    assert first.fingerprint == networks.weights().fingerprint
    assert first.source.endswith(f"published at {published.FILES[name]().url}")
    assert notes == [
        f"fetching {mirror.base}/{file}",
        f"{name}: {published.FILES[name]().credit}",
    ]
    second = weights.choose(name, on_note=notes.append)
    assert second.origin == first.origin
    assert (mirror.paths, len(notes)) == ([f"/{file}"], 2)
    assert kept() == [f"{name}.safetensors"]
    assert store.names() == [name]


def test_torchvisions_own_file_gives_its_network(
    mirror: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch")
    model = torch_models.narrow_vgg16()
    torch.save(model.state_dict(), tmp_path / "a.pth")
    mirror.content = (tmp_path / "a.pth").read_bytes()
    publish(monkeypatch, "torchvision", mirror.content)
    check_like_torch(weights.choose("torchvision"), model)


def test_timms_own_file_gives_its_network(
    mirror: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_file = pytest.importorskip("safetensors.torch").save_file
    model = torch_models.narrow_vgg16()
    state = model.state_dict()
    for number, name in (("0", "pre_logits.fc1"), ("3", "pre_logits.fc2"), ("6", "head.fc")):
        kernel = state.pop(f"classifier.{number}.weight")
        side = {"0": 7, "3": 1}.get(number)
        shaped = kernel if side is None else kernel.reshape(len(kernel), -1, side, side)
        state[f"{name}.weight"] = shaped.contiguous()
        state[f"{name}.bias"] = state.pop(f"classifier.{number}.bias")
    save_file(state, tmp_path / "a.safetensors", {"format": "pt"})
    mirror.content = (tmp_path / "a.safetensors").read_bytes()
    publish(monkeypatch, "timm", mirror.content)
    check_like_torch(weights.choose("timm"), model)


def check_like_torch(found: weights.Weights, model: Any) -> None:
    import torch

    crops = networks.pictures()
    with torch.no_grad():
        pixels = model.avgpool(model.features(torch_models.torch_pixels(crops)))
        expected = model.classifier[:5](pixels.flatten(1)).numpy()
    assert networks.relative_error(Extractor(found)(crops), expected) < 1e-5


@pytest.mark.parametrize("name", [name for name in NAMES if name != "slim"])
def test_a_folder_as_mirror_is_read_where_it_is(
    tmp_path: Path, narrow: bytes, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    path = tmp_path / publish(monkeypatch, name, narrow)
    path.write_bytes(narrow)
    monkeypatch.setenv("VGGFEAT_MIRROR", tmp_path.as_uri())
    notes: list[str] = []
    assert weights.choose(name, on_note=notes.append).width_of["fc8"] == 10
    assert notes[0] == f"{name}: taken from {path}"
    assert kept() == [f"{name}.safetensors"]
    assert path.read_bytes() == narrow


def test_a_file_of_torch_is_not_downloaded_again(
    mirror: Server, narrow: bytes, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    name = publish(monkeypatch, "torchvision", narrow)
    checkpoints = home / ".cache" / "torch" / "hub" / "checkpoints"
    checkpoints.mkdir(parents=True)
    (checkpoints / name).write_bytes(narrow)
    weights.choose("torchvision")
    assert mirror.requests == []


def test_a_file_at_hand_is_used_where_the_store_cannot_be_written(
    tmp_path: Path, narrow: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / publish(monkeypatch, "timm", narrow)).write_bytes(narrow)
    monkeypatch.setenv("VGGFEAT_MIRROR", str(tmp_path))
    (tmp_path / "file").touch()
    monkeypatch.setenv("VGGFEAT_STORE", str(tmp_path / "file" / "store"))
    assert weights.choose("timm").fingerprint == networks.weights().fingerprint


def test_nothing_is_downloaded_for_a_store_that_cannot_be_written(
    mirror: Server, narrow: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(monkeypatch, "timm", narrow)
    (tmp_path / "file").touch()
    monkeypatch.setenv("VGGFEAT_STORE", str(tmp_path / "file" / "store"))
    with pytest.raises(WeightsError, match="the store .* cannot be written: .*VGGFEAT_STORE"):
        weights.choose("timm")
    assert mirror.requests == []


def test_a_file_that_came_whole_is_not_fetched_again_after_a_full_disk(
    mirror: Server, narrow: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(monkeypatch, "timm", narrow)

    def full(*args: object) -> None:
        raise WeightsError("no room")

    with monkeypatch.context() as patch:
        patch.setattr(store, "save", full)
        with pytest.raises(WeightsError, match="no room"):
            weights.choose("timm")
    weights.choose("timm")
    assert len(mirror.requests) == 1
    assert kept() == ["timm.safetensors"]


def test_slims_checkpoint_comes_out_of_its_archive(
    mirror: Server,
    checkpoint: bytes,
    oxfords: networks.Layers,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mirror.content = packed(checkpoint)
    publish(monkeypatch, "slim", mirror.content)
    digests = {name: oxford.digest(*oxfords[name]) for name in oxford.digests()}
    monkeypatch.setattr(oxford, "digests", lambda: digests)
    found = weights.choose("slim")
    assert np.array_equal(found.tensors["conv1_1/kernel"], oxfords["conv1_1"][0])
    assert np.array_equal(found.tensors["fc6/kernel"], oxfords["fc6"][0])
    assert found.tensors["mean"].tolist() == pytest.approx([123.68, 116.78, 103.94], abs=2e-3)
    assert found.origin.training == "Oxford's"
    assert kept() == ["slim.safetensors"]


@pytest.mark.skipif(not REAL, reason="VGGFEAT_REAL_NOTOP does not name the published notop file")
def test_the_published_convolutions_prove_slims_archive(
    mirror: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = formats.read(Path(REAL)).tensors
    made = {name: (real[f"{name}/kernel"], real[f"{name}/bias"]) for name in vgg16.CONVOLUTIONS}
    made["fc6"] = np.ones((25088, 4), np.float32), np.ones(4, np.float32)
    made["fc7"] = np.ones((4, 4), np.float32), np.ones(4, np.float32)
    mirror.content = packed(as_slim(made, tmp_path))
    publish(monkeypatch, "slim", mirror.content)
    assert weights.choose("slim").origin.training == "Oxford's"


def test_an_archive_of_another_network_is_refused_and_not_kept(
    mirror: Server, checkpoint: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror.content = packed(checkpoint)
    publish(monkeypatch, "slim", mirror.content)
    with pytest.raises(WeightsError, match="not the published ones .fine-tuned from Oxford's"):
        weights.choose("slim")
    assert kept() == []


@pytest.mark.parametrize(
    "content",
    [packed(b"x" * 1000), packed(b"", "other"), b"no archive"],
    ids=["no checkpoint", "no such member", "no archive"],
)
def test_an_archive_that_holds_something_else_is_refused_and_not_kept(
    mirror: Server, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror.content = content
    publish(monkeypatch, "slim", content)
    with pytest.raises(WeightsError):
        weights.choose("slim")
    assert kept() == []


def test_a_mirrors_archive_of_another_network_is_left_alone(
    tmp_path: Path, checkpoint: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / publish(monkeypatch, "slim", packed(checkpoint))
    path.write_bytes(packed(checkpoint))
    size = path.stat().st_size
    publish(monkeypatch, "slim", path.read_bytes())
    monkeypatch.setenv("VGGFEAT_MIRROR", str(tmp_path))
    with pytest.raises(WeightsError, match="not the published ones"):
        weights.choose("slim")
    assert path.stat().st_size == size
    assert not store.folder().exists()


@pytest.fixture
def server(narrow: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """What the Keras of other processes publishes."""
    with serving(narrow) as server:
        site = keras_that_publishes(server, tmp_path / "site")
        monkeypatch.setenv("PYTHONPATH", site)
        yield server


def start() -> subprocess.Popen[bytes]:
    return subprocess.Popen([*COMMAND, "weights", "download"], stderr=subprocess.PIPE)


def wait_until_there(server: Server) -> Path:
    """Until as much has arrived as the server gives for now."""
    part = store.folder() / ".keras" / "vgg16.h5.part"
    assert server.hold_after is not None
    deadline = time.monotonic() + 60
    while not part.exists() or part.stat().st_size < server.hold_after - (1 << 16):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return part


def test_two_at_once_download_once(server: Server) -> None:
    server.hold_after = 500_000
    first = start()
    wait_until_there(server)
    second = start()
    assert second.stderr is not None
    assert b"another vggfeat is fetching it; waiting" in second.stderr.readline()
    server.release.set()
    for process in (first, second):
        _, said = process.communicate(timeout=60)
        assert process.returncode == 0
        assert lines(said)[-1].endswith("use it with --weights keras")
    assert len(server.requests) == 1
    assert kept() == ["keras.safetensors"]


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_download_goes_on_where_it_was(server: Server, signum: int) -> None:
    server.hold_after = 500_000
    process = start()
    part = wait_until_there(server)
    process.send_signal(signum)
    process.communicate(timeout=60)
    assert process.returncode == -signum
    there = part.stat().st_size
    server.hold_after = None
    assert store.names() == []
    done = vggfeat("weights", "download")  # a killed one leaves its lock file behind
    assert server.requests[1:] == [f"bytes={there}-"]
    assert any("CC BY 4.0" in line for line in lines(done.stderr))
    assert kept() == ["keras.safetensors"]


def test_who_waits_for_a_download_that_is_killed_takes_over(server: Server) -> None:
    server.hold_after = 500_000
    first = start()
    wait_until_there(server)
    second = start()
    assert second.stderr is not None
    assert b"waiting" in second.stderr.readline()
    server.hold_after = None  # the next answer is the second's, who may be quick
    first.kill()
    first.communicate(timeout=60)
    _, said = second.communicate(timeout=60)
    assert second.returncode == 0, said
    assert len(server.requests) == 2
    assert kept() == ["keras.safetensors"]


def test_a_download_that_is_there_already_says_so_without_a_network(
    server: Server, tmp_path: Path
) -> None:
    vggfeat("weights", "download")
    done = vggfeat("weights", "download", env={**os.environ, "PYTHONPATH": ""}, cwd=tmp_path)
    assert len(lines(done.stderr)) == 1
    assert len(server.requests) == 1


def test_quiet_is_quiet(server: Server) -> None:
    assert vggfeat("weights", "download", "-q").stderr == b""
