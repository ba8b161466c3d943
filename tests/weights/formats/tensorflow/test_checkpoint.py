"""Checkpoints of both versions: every type of floats, slices, shards, either order of bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from tests import networks
from tests.weights.formats import tables
from tests.weights.formats.tables import bundle_entry, field
from vggfeat import WeightsError
from vggfeat.weights import formats

v1 = tf.compat.v1
V1, V2 = v1.train.SaverDef.V1, v1.train.SaverDef.V2
LAYERS, ARRAYS = tables.TINY_LAYERS, tables.TINY
EXPECTED = networks.converted(LAYERS)


def saved(
    path: Path,
    version: int,
    arrays: dict[str, NDArray[Any]],
    dtype: Any = tf.float32,
    pieces: int = 1,
    **options: Any,
) -> None:
    """A checkpoint written by TensorFlow, kernels cut into pieces along their last axis."""
    with tf.Graph().as_default(), v1.Session() as session:
        for name, array in arrays.items():
            axis = array.ndim - 1
            cut = v1.fixed_size_partitioner(pieces, axis) if array.shape[axis] >= pieces else None
            value = tf.constant(array, dtype)
            v1.get_variable(
                name,
                array.shape,
                dtype,
                # A partitioned variable asks for a part: where it begins is partition_info's.
                lambda shape, dtype=None, partition_info=None, value=value: tf.slice(
                    value, partition_info.var_offset if partition_info else [0] * len(shape), shape
                ),
                partitioner=cut,
                use_resource=False,
            )
        session.run(v1.global_variables_initializer())
        saver = v1.train.Saver(write_version=version, **options)
        saver.save(session, str(path), write_meta_graph=False)


def check_equal(path: Path, expected: Any = EXPECTED) -> None:
    found = formats.read(path)
    assert list(found.tensors) == list(expected.tensors)
    for name, array in expected.tensors.items():
        np.testing.assert_array_equal(found.tensors[name], array, err_msg=name)


@pytest.mark.parametrize("version", [V1, V2])
@pytest.mark.parametrize("pieces", [1, 2])
def test_partitioned_variables_are_put_together(tmp_path: Path, version: int, pieces: int) -> None:
    saved(tmp_path / "a.ckpt", version, ARRAYS, pieces=pieces)
    check_equal(tmp_path / "a.ckpt")


def test_many_parts_along_the_first_axis_keep_their_order(tmp_path: Path) -> None:
    """More than 64 parts: TensorFlow writes where they begin with one byte, then with two."""
    rows = ARRAYS["vgg_16/fc6/weights"].reshape(98, 2)
    arrays = ARRAYS | {"vgg_16/fc6/weights": rows}
    with tf.Graph().as_default(), v1.Session() as session:
        for name, array in arrays.items():
            if array is not rows:
                v1.get_variable(name, initializer=array, use_resource=False)
        parts = [v1.get_variable(f"part{n}", initializer=rows[n : n + 1]) for n in range(98)]
        for n, part in enumerate(parts):
            part._set_save_slice_info(
                tf.Variable.SaveSliceInfo("vgg_16/fc6/weights", [98, 2], [n, 0], [1, 2])
            )
        session.run(v1.global_variables_initializer())
        for version in (V1, V2):
            path = tmp_path / f"{version}.ckpt"
            v1.train.Saver(write_version=version).save(session, str(path), write_meta_graph=False)
            check_equal(path)


@pytest.mark.parametrize(
    ("version", "dtype"),
    [(V1, "float64"), (V2, "float64"), (V2, "float16"), (V2, "bfloat16")],
)
def test_other_floats_become_float32(tmp_path: Path, version: int, dtype: str) -> None:
    saved(tmp_path / "a.ckpt", version, ARRAYS, tf.as_dtype(dtype))
    rounded = {
        name: tuple(tf.cast(tf.cast(part, dtype), tf.float32).numpy() for part in pair)
        for name, pair in LAYERS.items()
    }
    check_equal(tmp_path / "a.ckpt", networks.converted(rounded))


def test_half_precision_of_version_1_is_refused_only_where_it_is_needed(tmp_path: Path) -> None:
    saved(tmp_path / "a.ckpt", V1, ARRAYS, tf.float16)
    with pytest.raises(WeightsError, match="half precision in a checkpoint of version 1"):
        formats.read(tmp_path / "a.ckpt")


def test_a_big_endian_checkpoint_is_read(tmp_path: Path) -> None:
    tables.write_bundle(tmp_path / "a", ARRAYS, {b"": field(1, 1) + field(2, 1)})
    data = tmp_path / "a.data-00000-of-00001"
    data.write_bytes(np.fromfile(data, "<f4").astype(">f4").tobytes())
    check_equal(tmp_path / "a")


def test_a_checkpoint_in_several_shards_is_read(tmp_path: Path) -> None:
    kept, data = tables.bundle_entries(ARRAYS)
    fc6 = ARRAYS["vgg_16/fc6/weights"]
    kept[b""] = field(1, 3)
    kept[b"vgg_16/fc6/weights"] = bundle_entry(fc6.shape, 5, fc6.nbytes, shard=2)
    (tmp_path / "a.index").write_bytes(tables.of_entries(list(kept.items())))
    (tmp_path / "a.data-00000-of-00003").write_bytes(data)
    (tmp_path / "a.data-00002-of-00003").write_bytes(b"12345" + fc6.tobytes())
    check_equal(tmp_path / "a")
    (tmp_path / "a.data-00002-of-00003").unlink()
    with pytest.raises(WeightsError, match=r"missing: a\.data-00002-of-00003$"):
        formats.read(tmp_path / "a")
