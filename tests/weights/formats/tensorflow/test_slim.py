"""TF-Slim checkpoints, written by TF-Slim, against what TF-Slim's own graph computes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_slim as slim
from numpy.typing import NDArray

from tests import networks
from tests.networks import relative_error
from tests.weights.formats import tables
from vggfeat import Extractor, WeightsError
from vggfeat.weights import formats

v1 = tf.compat.v1
SLIM_MEAN = (123.68, 116.78, 103.94)
CROPS = networks.pictures()


def randomised(graph: Any, seed: int = 7) -> Any:
    """A session of a graph whose variables, biases too, are random."""
    session = v1.Session(graph=graph)
    with graph.as_default():
        session.run(v1.global_variables_initializer())
        generator = np.random.default_rng(seed)
        for variable in v1.global_variables():
            if variable.name.endswith("biases:0"):
                variable.load(generator.normal(0, 5, variable.shape), session)
    return session


def save(session: Any, prefix: Path, version: int, only: Any = None) -> None:
    with session.graph.as_default():
        chosen = [v for v in v1.global_variables() if only is None or only(v.op.name)]
        v1.train.Saver(chosen, write_version=version).save(
            session, str(prefix), write_meta_graph=False
        )


V1, V2 = v1.train.SaverDef.V1, v1.train.SaverDef.V2


class Written:
    """A narrow VGG16 of TF-Slim, its fc7 for CROPS, and its checkpoints."""

    def __init__(self, folder: Path, classes: int | None = 10, scope: str = "vgg_16") -> None:
        self.folder = folder
        graph = tf.Graph()
        with graph.as_default(), networks.narrow_slim(classes) as vgg:
            images = tf.constant(CROPS.astype(np.float32) - np.float32(SLIM_MEAN))
            with slim.arg_scope(vgg.vgg_arg_scope()):
                _, points = vgg.vgg_16(images, classes, is_training=False, scope=scope)
            v1.train.get_or_create_global_step()
            fc7 = tf.squeeze(points[f"{scope}/fc7"], [1, 2])
        self.session = randomised(graph)
        self.fc7: NDArray[np.float32] = self.session.run(fc7)

    def checkpoint(self, version: int, name: str = "vgg_16.ckpt", only: Any = None) -> Path:
        save(self.session, self.folder / name, version, only)
        return self.folder / name


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    return Written(tmp_path_factory.mktemp("slim"))


def fc7_of(path: Path, *, ema: bool = False) -> NDArray[np.float32]:
    return Extractor(formats.read(path, ema=ema))(CROPS)


def test_a_v1_checkpoint_is_one_file_and_gives_slims_fc7(written: Written) -> None:
    path = written.checkpoint(V1, "v1.ckpt")
    assert path.is_file()
    assert relative_error(fc7_of(path), written.fc7) < 1e-5


@pytest.mark.parametrize("suffix", ["", ".index", ".data-00000-of-00001"])
def test_a_v2_checkpoint_is_read_by_its_prefix_or_any_of_its_files(
    written: Written, suffix: str
) -> None:
    prefix = written.checkpoint(V2, "v2.ckpt")
    assert relative_error(fc7_of(Path(f"{prefix}{suffix}")), written.fc7) < 1e-5


def test_a_folder_gives_the_checkpoint_that_its_state_file_names(tmp_path: Path) -> None:
    written = Written(tmp_path)
    written.checkpoint(V2, "model.ckpt-1", only=lambda name: "conv1" in name)
    written.checkpoint(V2, "model.ckpt-2")
    assert relative_error(fc7_of(tmp_path), written.fc7) < 1e-5


def test_a_folder_of_several_checkpoints_without_a_state_file_asks_which(tmp_path: Path) -> None:
    written = Written(tmp_path)
    written.checkpoint(V2, "a.ckpt")
    written.checkpoint(V1, "b.ckpt")
    (tmp_path / "checkpoint").unlink()
    with pytest.raises(WeightsError, match=r"several checkpoints, name one: .*a\.ckpt.*b\.ckpt"):
        formats.read(tmp_path)


def test_the_checkpoint_may_have_moved_since_its_state_file_was_written(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    written = Written(old)
    written.checkpoint(V2)
    old.rename(new)
    assert relative_error(fc7_of(new), written.fc7) < 1e-5


def test_fc8_is_not_needed(written: Written) -> None:
    path = written.checkpoint(V1, "no_fc8.ckpt", only=lambda name: "fc8" not in name)
    assert "fc8" not in formats.read(path).layers
    assert relative_error(fc7_of(path), written.fc7) < 1e-5


def test_fc8_may_have_any_number_of_classes(tmp_path: Path) -> None:
    written = Written(tmp_path, classes=5)
    path = written.checkpoint(V1)
    assert formats.read(path).width_of["fc8"] == 5
    assert relative_error(fc7_of(path), written.fc7) < 1e-5


def test_the_scope_may_be_any(tmp_path: Path) -> None:
    written = Written(tmp_path, scope="my/net")
    assert relative_error(fc7_of(written.checkpoint(V1)), written.fc7) < 1e-5


def test_two_networks_in_one_checkpoint_are_not_guessed_between(tmp_path: Path) -> None:
    graph = tf.Graph()
    with graph.as_default(), networks.narrow_slim(10) as vgg:
        for scope in ("student", "teacher"):
            vgg.vgg_16(tf.zeros([1, 224, 224, 3]), 10, scope=scope)
    save(randomised(graph), tmp_path / "two.ckpt", V1)
    with pytest.raises(WeightsError, match="several networks, below student and teacher"):
        formats.read(tmp_path / "two.ckpt")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, NDArray[Any]]]:
    """A checkpoint after a training step: with optimizer slots and moving averages."""
    graph = tf.Graph()
    with graph.as_default(), networks.narrow_slim(10) as vgg:
        images = tf.constant(CROPS.astype(np.float32) - np.float32(SLIM_MEAN))
        with slim.arg_scope(vgg.vgg_arg_scope()):
            logits, points = vgg.vgg_16(images, 10, is_training=False)
        loss = v1.losses.sparse_softmax_cross_entropy([0, 1, 2], logits)
        train = v1.train.AdamOptimizer(1e-3).minimize(loss, v1.train.get_or_create_global_step())
        ema = tf.train.ExponentialMovingAverage(0.5)
        average = ema.apply(v1.trainable_variables())
        fc7 = tf.squeeze(points["vgg_16/fc7"], [1, 2])
        restore = [v1.assign(v, ema.average(v)) for v in v1.trainable_variables()]
    session = randomised(graph)
    session.run(average)
    session.run(train)
    session.run(average)
    path = tmp_path_factory.mktemp("trained") / "model.ckpt"
    save(session, path, V1)
    expected = {"plain": session.run(fc7)}
    session.run(restore)
    expected["ema"] = session.run(fc7)
    return path, expected


def test_optimizer_slots_and_moving_averages_are_passed_over(
    trained: tuple[Path, dict[str, NDArray[Any]]],
) -> None:
    path, expected = trained
    names = {name for name, _ in tf.train.list_variables(str(path))}
    assert any(name.endswith("/Adam") for name in names)
    assert relative_error(fc7_of(path), expected["plain"]) < 1e-5


def test_moving_averages_are_taken_when_asked_for(
    trained: tuple[Path, dict[str, NDArray[Any]]],
) -> None:
    path, expected = trained
    assert relative_error(expected["ema"], expected["plain"]) > 1e-3
    assert relative_error(fc7_of(path, ema=True), expected["ema"]) < 1e-5


def test_moving_averages_that_are_not_there_cannot_be_asked_for(written: Written) -> None:
    with pytest.raises(WeightsError, match="no exponential moving averages"):
        formats.read(written.checkpoint(V1, "v1.ckpt"), ema=True)


def hand_written(images: Any, *, flatten: bool) -> Any:
    """The graph that people write themselves: dense layers, layer names without a scope."""
    x = images
    for number, block in enumerate(networks.vgg16.BLOCKS, start=1):
        for name in block:
            x = slim.conv2d(x, networks.NARROW[name], [3, 3], scope=f"conv{number}/{name}")
        x = slim.max_pool2d(x, [2, 2])
    if flatten:
        x = slim.flatten(x)
    x = slim.fully_connected(x, 256, scope="fc6")
    return slim.fully_connected(x, 256, scope="fc7")


def test_a_hand_written_graph_with_dense_layers_gives_the_same(tmp_path: Path) -> None:
    graph = tf.Graph()
    with graph.as_default():
        fc7 = hand_written(
            tf.constant(CROPS.astype(np.float32) - np.float32(SLIM_MEAN)), flatten=True
        )
    session = randomised(graph)
    save(session, tmp_path / "mine.ckpt", V2)
    shapes = dict(tf.train.list_variables(str(tmp_path / "mine.ckpt")))
    assert shapes["fc6/weights"] == [7 * 7 * 32, 256]
    assert relative_error(fc7_of(tmp_path / "mine.ckpt"), session.run(fc7)) < 1e-5


def test_dense_and_convolutional_fc_layers_hold_the_same_network(written: Written) -> None:
    path = written.checkpoint(V1, "v1.ckpt")
    reader = tf.train.load_checkpoint(str(path))
    graph = tf.Graph()
    with graph.as_default():
        fc7 = hand_written(
            tf.constant(CROPS.astype(np.float32) - np.float32(SLIM_MEAN)), flatten=True
        )
        session = v1.Session()
        for variable in v1.global_variables():
            value = reader.get_tensor(f"vgg_16/{variable.op.name}")
            variable.load(value.reshape(variable.shape), session)
    assert relative_error(session.run(fc7), written.fc7) < 1e-5
    save(session, written.folder / "dense.ckpt", V1)
    dense, convolutional = formats.read(written.folder / "dense.ckpt"), formats.read(path)
    for name, array in dense.tensors.items():
        np.testing.assert_array_equal(array, convolutional.tensors[name])


def test_a_graph_that_forgot_to_flatten_is_refused_with_the_reason(tmp_path: Path) -> None:
    graph = tf.Graph()
    with graph.as_default():
        hand_written(tf.zeros([1, 224, 224, 3]), flatten=False)
    save(randomised(graph), tmp_path / "flat.ckpt", V1)
    with pytest.raises(
        WeightsError, match=r"fc6 has shape \[32,256\].*flatten.*expected \[1568,256\]"
    ):
        formats.read(tmp_path / "flat.ckpt")


def test_a_vgg19_is_named_as_such(tmp_path: Path) -> None:
    graph = tf.Graph()
    with graph.as_default(), networks.narrow_slim(10) as vgg:
        vgg.vgg_19(tf.zeros([1, 224, 224, 3]), 10)
    save(randomised(graph), tmp_path / "vgg_19.ckpt", V1)
    with pytest.raises(WeightsError, match="this is a VGG-19"):
        formats.read(tmp_path / "vgg_19.ckpt")


def test_a_checkpoint_of_something_else_names_what_is_missing(tmp_path: Path) -> None:
    graph = tf.Graph()
    with graph.as_default():
        slim.conv2d(tf.zeros([1, 8, 8, 3]), 4, [3, 3], scope="conv1/conv1_1")
    save(randomised(graph), tmp_path / "small.ckpt", V1)
    with pytest.raises(WeightsError, match=r"small\.ckpt: no VGG16: it has no conv1_2, conv2_1"):
        formats.read(tmp_path / "small.ckpt")


def test_a_checkpoint_whose_data_is_gone_or_cut_is_one_sentence(written: Written) -> None:
    prefix = written.checkpoint(V2, "cut.ckpt")
    data = Path(f"{prefix}.data-00000-of-00001")
    data.write_bytes(data.read_bytes()[:1000])
    with pytest.raises(WeightsError, match=r"cut\.ckpt: damaged: a tensor .* beyond the end$"):
        formats.read(prefix)
    data.unlink()
    with pytest.raises(WeightsError, match=rf"part of the checkpoint is missing: {data.name}$"):
        formats.read(prefix)


def test_a_v1_checkpoint_cut_anywhere_is_one_sentence(written: Written) -> None:
    path = written.checkpoint(V1, "cut_v1.ckpt")
    data = path.read_bytes()
    for part in (0.0, 0.3, 0.99):
        path.write_bytes(data[: int(len(data) * part)] + data[-48:])
        with pytest.raises(WeightsError, match=r"cut_v1\.ckpt: damaged: "):
            formats.read(path)


@pytest.mark.parametrize("version", [V1, V2])
def test_the_mean_that_a_checkpoint_keeps_is_taken(tmp_path: Path, version: int) -> None:
    mean = (120.5, 115.25, 100.75)
    graph = tf.Graph()
    with graph.as_default(), networks.narrow_slim(10) as vgg:
        kept = v1.get_variable("vgg_16/mean_rgb", initializer=tf.constant(mean))
        images = tf.constant(CROPS.astype(np.float32)) - kept
        with slim.arg_scope(vgg.vgg_arg_scope()):
            _, points = vgg.vgg_16(images, 10, is_training=False)
        fc7 = tf.squeeze(points["vgg_16/fc7"], [1, 2])
    session = randomised(graph)
    save(session, tmp_path / "mean.ckpt", version)
    assert tuple(formats.read(tmp_path / "mean.ckpt").tensors["mean"]) == mean
    assert relative_error(fc7_of(tmp_path / "mean.ckpt"), session.run(fc7)) < 1e-5


def with_mean(written: Written, folder: Path, mean: tuple[float, float, float]) -> Path:
    reader = tf.train.load_checkpoint(str(written.checkpoint(V1, "v1.ckpt")))
    names = set(reader.get_variable_to_shape_map()) - {"global_step"}
    variables = {name: reader.get_tensor(name) for name in names}
    variables["vgg_16/mean_rgb"] = np.array(mean, np.float32)
    tables.write_bundle(folder / "mean", variables)
    return folder / "mean"


def test_slims_rounded_mean_stands_for_oxfords(written: Written, tmp_path: Path) -> None:
    mean = formats.read(with_mean(written, tmp_path, SLIM_MEAN)).tensors["mean"]
    assert tuple(mean) == tuple(np.float32(networks.MEAN_RGB))


def test_a_network_may_have_nothing_subtracted(written: Written, tmp_path: Path) -> None:
    assert not formats.read(with_mean(written, tmp_path, (0, 0, 0))).tensors["mean"].any()


@pytest.mark.parametrize("mean", [(np.nan, 100.0, 100.0), (-3.0, 0.0, 0.0), (1e9, 100.0, 100.0)])
def test_an_impossible_mean_is_refused(
    written: Written, tmp_path: Path, mean: tuple[float, float, float]
) -> None:
    path = with_mean(written, tmp_path, mean)
    with pytest.raises(WeightsError, match="damaged: vgg_16/mean_rgb holds"):
        formats.read(path)


@pytest.mark.parametrize("name", ["..", "../../outside", "", "/", "outside/../../outside"])
def test_a_state_file_cannot_point_out_of_its_folder(tmp_path: Path, name: str) -> None:
    inside = tmp_path / "outside" / "inside"
    inside.mkdir(parents=True)
    for prefix in (tmp_path / "outside", tmp_path / "outside" / "outside", tmp_path / "inside"):
        tables.write_bundle(prefix, {"x": np.zeros(1, np.float32)})
    Path(f"{inside}.index").write_bytes((tmp_path / "outside.index").read_bytes())
    (inside / "checkpoint").write_text(f'model_checkpoint_path: "{name}"\n')
    with pytest.raises(WeightsError, match="not a form of weights that vggfeat knows"):
        formats.read(inside)


def test_pipes_and_loops_are_not_waited_for(written: Written, tmp_path: Path) -> None:
    prefix = written.checkpoint(V2, "piped.ckpt")
    data = Path(f"{prefix}.data-00000-of-00001")
    data.unlink()
    os.mkfifo(data)
    with pytest.raises(WeightsError, match="a part of the checkpoint is missing"):
        formats.read(prefix)
    os.mkfifo(tmp_path / "checkpoint")
    (tmp_path / "a.index").symlink_to("b.index")
    (tmp_path / "b.index").symlink_to("a.index")
    os.mkfifo(tmp_path / "c.index")
    for path in (tmp_path, tmp_path / "checkpoint", tmp_path / "a", tmp_path / "c"):
        assert not formats.slim.recognise(path)


def test_the_full_size_network_of_slim_gives_slims_fc7(tmp_path: Path) -> None:
    from tf_slim.nets import vgg

    crops = CROPS[:1]
    graph = tf.Graph()
    with graph.as_default():
        images = tf.constant(crops.astype(np.float32) - np.float32(SLIM_MEAN))
        with slim.arg_scope(vgg.vgg_arg_scope()):
            _, points = vgg.vgg_16(images, is_training=False)
        fc7 = tf.squeeze(points["vgg_16/fc7"], [1, 2])
    session = randomised(graph)
    save(session, tmp_path / "vgg_16.ckpt", V1)
    shapes = dict(tf.train.list_variables(str(tmp_path / "vgg_16.ckpt")))
    assert shapes["vgg_16/fc6/weights"] == [7, 7, 512, 4096]
    assert shapes["vgg_16/fc7/weights"] == [1, 1, 4096, 4096]
    found = Extractor(tmp_path / "vgg_16.ckpt")(crops)
    assert found.shape == (1, 4096)
    assert relative_error(found, session.run(fc7)) < 1e-5
