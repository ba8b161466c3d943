"""What is the TensorFlow engine's own: batches, memory, XLA, GPUs that are simulated."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests import networks
from vggfeat import Extractor, VggfeatError
from vggfeat.activations import parse_all
from vggfeat.engines import batches, devices, gpu
from vggfeat.engines.replica import Compilation, Replica
from vggfeat.engines.tensorflow import TensorFlowEngine

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


def test_out_of_memory_with_one_image_ends_it_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    faults(monkeypatch, exhausted)
    with pytest.raises(VggfeatError, match="CPU failed: out of memory, even for a single image"):
        engine(batch_size=4).batch_stage([CROPS])


def test_weights_that_do_not_fit_are_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tf, "constant", exhausted)
    notes: list[str] = []
    with pytest.raises(VggfeatError, match="no device can hold the weights; `vggfeat doctor`"):
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


GIB = 1 << 30
VGG16 = 138_000_000 * 4, 224 * 224 * 64 * 4  # bytes of the weights and of the largest map


@pytest.mark.parametrize(
    ("free", "images"),
    [(80 * GIB, 128), (11 * GIB, 128), (7 * GIB, 64), (3 * GIB, 16), (0, 1), (None, 128)],
)
def test_a_batch_is_as_large_as_the_free_memory_lets(free: int | None, images: int) -> None:
    assert batches.on_card(free, *VGG16) == images


@pytest.fixture
def cards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two GPUs of different memory, which the processors stand in for."""
    found = [
        devices.Device("/device:CPU:0", "GPU 0 (large)", True, 80 * GIB),
        devices.Device("/device:CPU:0", "GPU 1 (small)", True, int(1.3 * GIB)),
    ]
    monkeypatch.setattr(devices, "prepared", lambda tf, asked: found)


@pytest.mark.usefixtures("cards")
def test_cards_get_batches_of_one_shape_by_their_memory(shapes: list[int]) -> None:
    made = engine()
    assert made.devices == ("GPU 0 (large)", "GPU 1 (small)")
    assert (made.batch_size, made.batches_in_flight) == (128, 4)
    for _ in range(2):
        made.batch_stage([CROPS])
    large, *small = shapes
    assert large == 128
    assert set(small) == {16}


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
    for precision in ("float32", "tf32", "bfloat16", "float16"):
        engine(precision=precision, batch_size=2).batch_stage([CROPS[:2]])
    assert compiled == [False, False, True, True]


class Config:
    """TensorFlow's settings on a machine with cards; what is set is kept."""

    def __init__(self, cards: int, *, begun: bool = False) -> None:
        self.physical = [SimpleNamespace(name=f"/physical_device:GPU:{n}") for n in range(cards)]
        self.visible = self.physical
        self.begun = begun
        self.growing: list[str] = []
        self.experimental = SimpleNamespace(
            set_memory_growth=lambda card, on: self.growing.append(card.name),
            get_device_details=lambda card: {"device_name": f"Card {card.name[-1]}"},
        )

    def list_physical_devices(self, kind: str) -> list[SimpleNamespace]:
        return self.physical if kind == "GPU" else []

    def set_visible_devices(self, chosen: list[SimpleNamespace], kind: str) -> None:
        if self.begun:
            raise RuntimeError("Visible devices cannot be modified after being initialized")
        self.visible = chosen

    def get_visible_devices(self, kind: str) -> list[SimpleNamespace]:
        return self.visible

    def list_logical_devices(self, kind: str) -> Iterator[SimpleNamespace]:
        """Those that are visible, counted anew in the order of the machine."""
        for number, _ in enumerate(self.visible):
            yield SimpleNamespace(name=f"/device:GPU:{number}")


def with_config(config: Config) -> Any:
    return SimpleNamespace(config=config, errors=tf.errors)


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> None:
    cards = [gpu.Card(n, f"Card {n}", 8, n + 1, (8, 0), "") for n in range(3)]
    monkeypatch.setattr(gpu, "cards", lambda: cards)


@pytest.mark.usefixtures("driver")
def test_cards_have_numbers_names_and_free_memory() -> None:
    config = Config(3)
    found = devices.prepared(with_config(config), "all")
    assert [(d.name, d.label, d.is_gpu, d.free) for d in found] == [
        (f"/device:GPU:{n}", f"GPU {n} (Card {n})", True, n + 1) for n in range(3)
    ]
    assert config.growing == [card.name for card in config.physical]


@pytest.mark.usefixtures("driver")
def test_cards_that_are_not_asked_for_are_left_alone() -> None:
    config = Config(3)
    found = devices.prepared(with_config(config), "2,1")
    assert [(d.name, d.label, d.free) for d in found] == [
        ("/device:GPU:1", "GPU 2 (Card 2)", 3),
        ("/device:GPU:0", "GPU 1 (Card 1)", 2),
    ]
    assert config.visible == [config.physical[2], config.physical[1]]


@pytest.mark.usefixtures("driver")
def test_a_process_that_uses_tensorflow_already_keeps_its_cards() -> None:
    config = Config(3, begun=True)
    (found,) = devices.prepared(with_config(config), [2])
    assert (found.name, found.label) == ("/device:GPU:2", "GPU 2 (Card 2)")
    config.visible = config.physical[:1]
    with pytest.raises(VggfeatError, match="--devices 2: TensorFlow was started without it"):
        devices.prepared(with_config(config), "0,2")
    with pytest.raises(VggfeatError, match="--devices 3: there are GPU 0"):
        devices.prepared(with_config(config), "3")


def test_a_card_that_does_not_start_is_one_sentence() -> None:
    config = Config(1)

    def fail(kind: str) -> Any:
        raise tf.errors.InternalError(None, None, "cuDevicePrimaryCtxRetain: out of memory\n at")

    config.list_logical_devices = fail  # type: ignore[method-assign]
    with pytest.raises(VggfeatError, match=r"start the GPU \(cuDevicePrimary.*: out of memory\): "):
        devices.prepared(with_config(config), "all")
