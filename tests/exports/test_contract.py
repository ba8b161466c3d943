"""What holds for every form alike: what is written is read back, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.exports.networks import (
    OTHER_MEAN,
    TORCH_MEAN,
    assert_same,
    convolutions,
    whole,
    with_mean,
    without_fc8,
)
from vggfeat import exports
from vggfeat.weights import Weights, formats

MADE: dict[str, Callable[[], Weights]] = {
    "whole": whole,
    "without fc8": without_fc8,
    "convolutions": convolutions,
    "another mean": lambda: with_mean(OTHER_MEAN),
    "torch's mean": lambda: with_mean(TORCH_MEAN),
}
# With torch's mean these take torch's scale, which conv1_1 is multiplied by: see test_torch.
SCALED = {("torch", "torch's mean"), ("safetensors", "torch's mean")}


@pytest.mark.parametrize(
    ("form", "made"),
    [(form, made) for form in exports.FORMS for made in MADE if (form, made) not in SCALED],
)
def test_it_is_read_back_bit_for_bit(tmp_path: Path, form: str, made: str) -> None:
    path = tmp_path / f"network{exports.FORMS[form].suffixes[0]}"
    exports.export(MADE[made](), path)
    assert_same(formats.read(path), MADE[made]())
