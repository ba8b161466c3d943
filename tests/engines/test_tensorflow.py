"""What is the TensorFlow engine's own: batches, memory, XLA."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests import networks
from vggfeat import Extractor, VggfeatError, vgg16
from vggfeat.activations import parse_all
from vggfeat.engines import batches, devices, tf32
from vggfeat.engines.replica import Compilation, Replica
from vggfeat.engines.tensorflow import TensorFlowEngine
from vggfeat.errors import UsageError

CROPS = networks.pictures(5)
XLA = Compilation(xla=True)


def engine(notes: list[str] | None = None, **options: Any) -> TensorFlowEngine:
    note = (notes if notes is not None else []).append
    return TensorFlowEngine(networks.weights(), parse_all(["fc7"]), note=note, **options)


@pytest.fixture
def shapes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many images each batch had that was computed."""
    seen: list[int] = []
    faults(monkeypatch, lambda replica, images: seen.append(images))
    return seen


def faults(monkeypatch: pytest.MonkeyPatch, fault: Callable[[Replica, int], object]) -> None:
    """Have this called before each batch, with the number of its images."""
    real = Replica._program

    def program(replica: Replica, shape: int | None) -> Callable[[Any], Any]:
        def compute(images: Any) -> Any:
            fault(replica, len(images))
            return real(replica, shape)(images)

        return compute

    monkeypatch.setattr(Replica, "_program", program)


def exhausted(*_: object) -> None:
    raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating")


def test_on_processors_an_image_alone_is_computed_as_two(shapes: list[int]) -> None:
    engine().batch_stage([CROPS[:1]])
    engine().batch_stage([CROPS])
    assert shapes == [2, 5]


def test_a_compiled_graph_has_one_shape_of_batch(shapes: list[int]) -> None:
    """What is missing is filled up, and what is more than a batch comes in the next one."""
    compiled = engine(compilation=XLA, batch_size=3)
    (five,) = compiled.batch_stage([CROPS])
    (one,) = compiled.batch_stage([CROPS[4:]])
    assert shapes == [3, 3, 3]
    np.testing.assert_array_equal(one[0], five[4])
    assert compiled.batch_size == 3


def test_out_of_memory_halves_the_batch_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    extractor = Extractor(networks.weights(), engine="tensorflow", batch_size=4)
    expected = extractor(CROPS)
    faults(monkeypatch, lambda replica, images: exhausted() if images > 2 else None)
    with pytest.warns(UserWarning, match="CPU: out of memory with batches of 4, goes on with 2"):
        found = extractor(CROPS)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    "message",
    [
        "No algorithm worked!  Error messages:\n  RESOURCE_EXHAUSTED: Allocating 4 bytes",
        "Failed to allocate 4 bytes: CUDA_ERROR_OUT_OF_MEMORY: out of memory",
        "failed to create cublas handle: CUBLAS_STATUS_ALLOC_FAILED",
        # Of cuDNN 9.19, on an H100 that other processes had filled.
        "CUDNN failed to allocate the scratch space for the runner or to find a working "
        "no-scratch runner.",
    ],
)
def test_out_of_memory_is_told_by_the_message_too(
    monkeypatch: pytest.MonkeyPatch, message: str
) -> None:
    def fault(replica: Replica, images: int) -> None:
        if images > 2:
            raise tf.errors.InternalError(None, None, message)

    faults(monkeypatch, fault)
    notes: list[str] = []
    engine(notes, batch_size=4).batch_stage([CROPS])
    assert notes == ["CPU: out of memory with batches of 4, goes on with 2"]


def test_out_of_memory_with_one_image_ends_it_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    faults(monkeypatch, exhausted)
    with pytest.raises(VggfeatError, match="CPU failed: out of memory, even for a single image"):
        engine(batch_size=4).batch_stage([CROPS])


def test_weights_that_do_not_fit_are_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tf, "constant", exhausted)
    notes: list[str] = []
    with pytest.raises(VggfeatError, match="no device can hold the weights: end other"):
        engine(notes)
    assert notes == ["CPU cannot hold the weights (out of memory): it is left out"]


def test_where_xla_cannot_compile_it_goes_on_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_libdevice(replica: Replica, images: int) -> None:
        if replica._compilation.xla:
            raise tf.errors.InternalError(None, None, "libdevice not found at ./libdevice.10.bc\n")

    expected = engine().batch_stage([CROPS])
    faults(monkeypatch, no_libdevice)
    notes: list[str] = []
    (found,) = engine(notes, compilation=XLA).batch_stage([CROPS])
    np.testing.assert_array_equal(found, expected[0])
    assert notes == [
        "CPU: XLA cannot compile the network (libdevice not found at ./libdevice.10.bc); "
        "goes on without it"
    ]


def test_what_fails_after_xla_has_worked_is_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = engine(compilation=XLA)
    compiled.batch_stage([CROPS])

    def fail(replica: Replica, images: int) -> None:
        raise tf.errors.InternalError(None, None, "launch failed")

    faults(monkeypatch, fail)
    with pytest.raises(VggfeatError, match="CPU failed: launch failed"):
        compiled.batch_stage([CROPS])


def test_two_batches_that_xla_fails_at_once_both_go_on_without_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    both = threading.Barrier(2, timeout=20)

    def no_libdevice(replica: Replica, images: int) -> None:
        if replica._compilation.xla:
            both.wait()
            raise tf.errors.InternalError(None, None, "libdevice not found")

    monkeypatch.setattr(devices, "prepared", lambda tf, asked: [LARGE])
    faults(monkeypatch, no_libdevice)
    notes: list[str] = []
    compiled = engine(notes, compilation=XLA, batch_size=2)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(compiled.batch_stage, [[CROPS[:2]]] * 2))
    assert (len(notes), compiled.devices) == (1, ("GPU 0 (large)",))


def test_a_batch_may_be_halved_while_another_is_in_the_middle(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """That has pieces left of the size that has been found too large."""
    begun, halved = threading.Event(), threading.Event()
    eight = np.concatenate([CROPS, CROPS[:3]])

    def fault(replica: Replica, images: int) -> None:
        if not begun.is_set():
            begun.set()
            assert halved.wait(20)
        elif images > 2:
            exhausted()

    monkeypatch.setattr(devices, "prepared", lambda tf, asked: [LARGE])
    (expected,) = engine(batch_size=2).batch_stage([eight])
    faults(monkeypatch, fault)
    made = engine(batch_size=4)
    monkeypatch.setattr(made._dealer, "_note", lambda text: halved.set())
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(made.batch_stage, [eight])
        assert begun.wait(20)
        found = [pool.submit(made.batch_stage, [eight]).result(), first.result()]
    for (features,) in found:
        np.testing.assert_array_equal(features, expected)


GIB = 1 << 30
LARGE = devices.Device("/device:CPU:0", "GPU 0 (large)", True, 80 * GIB)


@pytest.mark.parametrize(
    ("free", "images"),
    [(80 * GIB, 128), (21 * GIB, 128), (11 * GIB, 64), (3 * GIB, 8), (0, 1), (None, 128)],
)
def test_a_batch_is_as_large_as_the_free_memory_lets(free: int | None, images: int) -> None:
    assert batches.on_card(free, vgg16.WIDTHS) == images


def test_numbers_of_half_the_size_and_layers_that_take_no_part_leave_room_for_more() -> None:
    convolutions = {layer: vgg16.WIDTHS[layer] for layer in vgg16.CONVOLUTIONS}
    assert batches.on_card(3 * GIB, vgg16.WIDTHS, bytes_each=2) == 16
    assert batches.on_card(2 * GIB, vgg16.WIDTHS) == 1
    assert batches.on_card(2 * GIB, convolutions) == 4
    assert batches.on_card(21 * GIB, vgg16.WIDTHS, size=448) == 32


def test_vgg16_has_as_many_numbers_as_published() -> None:
    """Keras' summary of its VGG16, with and without top."""
    convolutions = {layer: vgg16.WIDTHS[layer] for layer in vgg16.CONVOLUTIONS}
    assert vgg16.parameters(vgg16.WIDTHS) == 138_357_544
    assert vgg16.parameters(convolutions) == 14_714_688


@pytest.fixture
def cards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two GPUs of different memory, which the processors stand in for."""
    found = [
        LARGE,
        devices.Device("/device:CPU:0", "GPU 1 (small)", True, int(1.3 * GIB)),
    ]
    monkeypatch.setattr(devices, "prepared", lambda tf, asked: found)
    monkeypatch.setattr(tf32, "_claimed", [])


@pytest.mark.usefixtures("cards")
def test_cards_get_batches_of_one_shape_by_their_memory(shapes: list[int]) -> None:
    made = engine()
    assert made.devices == ("GPU 0 (large)", "GPU 1 (small)")
    assert (made.batch_size, made.batches_in_flight, made.batches_together) == (128, 6, 8)
    for _ in range(2):
        made.batch_stage([CROPS])
    large, *small = shapes
    assert large == 128
    assert set(small) == {4}


@pytest.mark.usefixtures("cards")
def test_a_batch_that_is_asked_for_is_every_cards(shapes: list[int]) -> None:
    extractor = Extractor(networks.weights(), engine="tensorflow", batch_size=3)
    found = extractor(CROPS)
    assert shapes == [3, 3]
    assert (
        networks.relative_error(found, Extractor(networks.weights(), engine="ncnn")(CROPS)) < 1e-5
    )


@pytest.mark.usefixtures("cards")
def test_sixteen_bits_are_compiled_on_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = []
    faults(monkeypatch, lambda replica, images: compiled.append(replica._compilation.xla))
    for precision in ("float32", "bfloat16"):
        engine(precision=precision, batch_size=2).batch_stage([CROPS[:2]])
    assert compiled == [False, True]


@pytest.mark.usefixtures("cards")
def test_cards_compute_in_float32_or_in_tf32_but_not_in_both() -> None:
    """Its plans of convolutions TensorFlow keeps without regard to the switch."""
    engine(precision="tf32")
    engine(precision="float16")
    engine(precision="tf32")
    with pytest.raises(UsageError, match="float32 on a GPU after tf32: .* use another process"):
        engine()
