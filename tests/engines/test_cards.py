"""The cards of a machine, which are simulated, as TensorFlow takes them."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import tensorflow as tf

from vggfeat import VggfeatError
from vggfeat.engines import cuda_driver, devices, gpu


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
def test_their_free_memory_is_that_of_the_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver's answers are kept in a process, and a second engine finds less memory."""
    forgotten: list[bool] = []
    monkeypatch.setattr(cuda_driver, "forget", lambda: forgotten.append(True))
    monkeypatch.setattr(
        gpu, "cards", lambda: [gpu.Card(0, "Card 0", 8, len(forgotten), (8, 0), "")]
    )
    for free in (1, 2):
        assert devices.prepared(with_config(Config(1)), "all")[0].free == free


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


def test_cards_that_the_program_hides_leave_the_processors(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = Config(1, begun=True)
    config.visible = []
    (processors,) = tf.config.list_logical_devices("CPU")
    monkeypatch.setattr(
        config, "list_logical_devices", lambda kind: [processors] if kind == "CPU" else []
    )
    assert [d.label for d in devices.prepared(with_config(config), "all")] == ["CPU"]
    with pytest.raises(VggfeatError, match="--devices 0: TensorFlow was started without it"):
        devices.prepared(with_config(config), "0")


@pytest.mark.usefixtures("driver")
def test_memory_that_the_program_has_divided_stays_so() -> None:
    config = Config(1)

    def grow(card: SimpleNamespace, on: bool) -> None:
        raise ValueError("Cannot set memory growth on device when virtual devices configured")

    config.experimental.set_memory_growth = grow
    assert [d.label for d in devices.prepared(with_config(config), "all")] == ["GPU 0 (Card 0)"]


FAULTS = [
    tf.errors.InternalError(None, None, "cuDevicePrimaryCtxRetain: out of memory\n at"),
    ValueError("Memory growth cannot differ between GPU devices"),
]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_card_that_does_not_start_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    config = Config(1)

    def fail(kind: str) -> Any:
        raise fault

    monkeypatch.setattr(config, "list_logical_devices", fail)
    with pytest.raises(
        VggfeatError, match=r"start the GPU \((cuDevice.*: out|Memory growth).*\): "
    ):
        devices.prepared(with_config(config), "all")
