"""The ways to keep numbers in an ONNX model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from numpy.typing import NDArray

from tests import networks
from tests.weights.formats import onnx_models as models
from tests.weights.formats.given import LAYERS, caffe
from tests.weights.formats.onnx_models import Model
from vggfeat import WeightsError

onnx = pytest.importorskip("onnx")


def raw(value: NDArray[Any], name: str) -> Any:
    return onnx.numpy_helper.from_array(value, name)


def listed(kind: int) -> Callable[[NDArray[Any], str], Any]:
    def tensor(value: NDArray[Any], name: str) -> Any:
        return onnx.helper.make_tensor(name, kind, value.shape, value.reshape(-1).tolist())

    return tensor


def raw_bfloat16(value: NDArray[Any], name: str) -> Any:
    from vggfeat.weights.tensors import BFLOAT16

    data = value.astype(BFLOAT16).tobytes()
    return onnx.helper.make_tensor(name, onnx.TensorProto.BFLOAT16, value.shape, data, raw=True)


T = onnx.TensorProto
KEPT: dict[str, tuple[Callable[[NDArray[Any], str], Any], str]] = {
    "float_data": (listed(T.FLOAT), "float32"),
    "double_data": (listed(T.DOUBLE), "float64"),
    "raw float64": (lambda value, name: raw(value.astype("f8"), name), "float64"),
    "raw float16": (lambda value, name: raw(value.astype("f2"), name), "float16"),
    "raw bfloat16": (raw_bfloat16, "bfloat16"),
    "float16 in int32_data": (listed(T.FLOAT16), "float16"),
    "bfloat16 in int32_data": (listed(T.BFLOAT16), "bfloat16"),
}


@pytest.mark.parametrize("kept", KEPT)
def test_numbers_of_every_type_become_float32(kept: str, tmp_path: Path) -> None:
    import ml_dtypes

    write, dtype = KEPT[kept]
    model = models.vgg(LAYERS)
    arrays = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.constants}
    model.constants = [write(value, name) for name, value in arrays.items()]
    found = caffe(model.write(tmp_path / "typed.onnx"))
    rounded = {
        name: tuple(value.astype(getattr(ml_dtypes, dtype, dtype)).astype("f4") for value in pair)
        for name, pair in LAYERS.items()
    }
    assert found.fingerprint == networks.converted(rounded).fingerprint  # type: ignore[arg-type]


def test_constants_that_are_nodes_and_pass_through_others(tmp_path: Path) -> None:
    """As float16 models keep float32 arithmetic: Constant, Cast, Transpose, Identity."""
    model = models.vgg(LAYERS)
    kernel = next(tensor for tensor in model.constants if tensor.name == "c0")
    model.constants.remove(kernel)
    value = onnx.numpy_helper.to_array(kernel).transpose(1, 0, 2, 3)
    made = [
        onnx.helper.make_node("Constant", [], ["k"], value=raw(value.astype("f8"), "")),
        onnx.helper.make_node("Cast", ["k"], ["k32"], to=T.FLOAT),
        onnx.helper.make_node("Transpose", ["k32"], ["k_turned"], perm=[1, 0, 2, 3]),
        onnx.helper.make_node("Identity", ["k_turned"], ["c0"]),
    ]
    model.nodes = made + model.nodes
    assert caffe(model.write(tmp_path / "a.onnx")).fingerprint == networks.weights().fingerprint


def changed(model: Model, change: Callable[[Any], None], path: Path) -> Path:
    proto = model.proto()
    change(proto.graph)
    path.write_bytes(proto.SerializeToString())
    return path


def dims(*sides: int) -> Callable[[Any], None]:
    def change(graph: Any) -> None:
        del graph.initializer[0].dims[:]
        graph.initializer[0].dims.extend(sides)

    return change


@pytest.mark.parametrize(
    "sides", [(-4, 3, 3, 3), (1 << 62, 1 << 62, 3, 3), (4, 3, 3, 2), (1 << 31, 3, 3, 3)], ids=str
)
def test_a_shape_that_does_not_fit_its_numbers_is_damage(
    sides: tuple[int, ...], tmp_path: Path
) -> None:
    path = changed(models.vgg(LAYERS), dims(*sides), tmp_path / "a.onnx")
    with pytest.raises(WeightsError, match="damaged: a tensor"):
        caffe(path)


@pytest.mark.parametrize("count", [5, 107, 109, 324])
def test_packed_halves_that_are_too_few_or_too_many_are_damage(count: int, tmp_path: Path) -> None:
    model = models.vgg(LAYERS)
    tensor = model.constants[0]
    tensor.ClearField("raw_data")
    tensor.data_type = T.FLOAT16
    tensor.int32_data.extend([15360] * count)
    with pytest.raises(WeightsError, match="damaged: "):
        caffe(model.write(tmp_path / "a.onnx"))


def test_halves_of_more_than_16_bits_are_damage(tmp_path: Path) -> None:
    model = models.vgg(LAYERS)
    tensor = model.constants[0]
    tensor.ClearField("raw_data")
    tensor.data_type = T.FLOAT16
    tensor.int32_data.extend([15360] * 107 + [70000])
    with pytest.raises(WeightsError, match="damaged: a number of more than 16 bits"):
        caffe(model.write(tmp_path / "a.onnx"))
