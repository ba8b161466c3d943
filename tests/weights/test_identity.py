"""The hashes of the published network's pieces, against a network that is published here."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest

from tests import networks
from vggfeat import vgg16
from vggfeat.weights import identity, oxford
from vggfeat.weights.canonical import Weights

PIECE = 1 << 13


def published(weights: Weights, folder: Path) -> tuple[str, ...]:
    """Hashes of a network as git itself computes them, of files cut from Keras' order."""
    stream = b""
    for layer in vgg16.LAYERS:
        kernel = weights.tensors[f"{layer}/kernel"]
        kernel = kernel[:, :, ::-1] if layer == "conv1_1" else kernel
        stream += kernel.tobytes() + weights.tensors[f"{layer}/bias"].tobytes()
    files = []
    for begin in range(0, len(stream), PIECE):
        files.append(folder / str(begin))
        files[-1].write_bytes(stream[begin : begin + PIECE])
    done = subprocess.run(
        ["git", "hash-object", "--no-filters", *files], check=True, capture_output=True, text=True
    )
    return tuple(done.stdout.split())


@pytest.fixture(scope="module")
def oxfords(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Weights]:
    """A narrow network in the published one's place."""
    weights = networks.weights()
    pieces = published(weights, tmp_path_factory.mktemp("pieces"))
    digests = {
        layer: hashlib.sha256(
            weights.tensors[f"{layer}/kernel"].tobytes()
            + weights.tensors[f"{layer}/bias"].tobytes()
        ).hexdigest()
        for layer in vgg16.CONVOLUTIONS
    }
    with (
        mock.patch.object(vgg16, "WIDTHS", networks.NARROW),
        mock.patch.object(identity, "_PIECE", PIECE),
        mock.patch.object(oxford, "pieces", return_value=pieces),
        mock.patch.object(oxford, "digests", return_value=digests),
    ):
        yield weights


def changed(weights: Weights, layer: str, part: str = "kernel", at: int = 0) -> Weights:
    """One number of a layer is another."""
    array: Any = weights.tensors[f"{layer}/{part}"].copy()
    array.reshape(-1)[at] += 1
    return replace(weights, tensors={**weights.tensors, f"{layer}/{part}": array})


def test_the_network_itself_is_named(oxfords: Weights) -> None:
    compared = identity.compare(oxfords)
    assert set(compared.values()) == {identity.SAME}
    assert identity.describe(compared) == "Oxford's: the published network, bit for bit"


@pytest.mark.parametrize("layer", vgg16.LAYERS)
@pytest.mark.parametrize("part", ["kernel", "bias"])
@pytest.mark.parametrize("at", [0, -1])
def test_a_single_number_is_found_out_in_its_layer(
    oxfords: Weights, layer: str, part: str, at: int
) -> None:
    compared = identity.compare(changed(oxfords, layer, part, at))
    assert compared[layer] == identity.DIFFERS
    # At the seam of two fully connected layers the hash cannot tell which of them it was.
    others = {verdict for name, verdict in compared.items() if name != layer}
    assert others <= {identity.SAME, identity.INSIDE, identity.DIFFERS}
    assert all(compared[name] == identity.SAME for name in vgg16.CONVOLUTIONS if name != layer)


def test_a_changed_fc7_leaves_its_neighbours_as_published_but_for_the_seam(
    oxfords: Weights,
) -> None:
    middle = oxfords.tensors["fc7/kernel"].size // 2
    compared = identity.compare(changed(oxfords, "fc7", at=middle))
    assert compared["fc7"] == identity.DIFFERS
    assert compared["fc6"] == compared["fc8"] == identity.SAME
    whole = identity.compare(changed(changed(oxfords, "fc7", at=middle), "fc7", at=0))
    assert whole["fc6"] == identity.INSIDE
    said = identity.describe(compared)
    assert said == "Oxford's convolutions, bit for bit; fc7 are others"


def test_layers_that_are_missing_are_not_compared(oxfords: Weights) -> None:
    kept = {name: a for name, a in oxfords.tensors.items() if not name.startswith("fc8")}
    compared = identity.compare(replace(oxfords, tensors=kept))
    assert "fc8" not in compared
    assert compared["fc6"] == identity.SAME
    assert compared["fc7"] == identity.INSIDE
    assert "as far as can be told" in identity.describe(compared)


def test_a_new_fc8_of_another_size_differs(oxfords: Weights) -> None:
    new = {"fc8/kernel": np.zeros((256, 3), np.float32), "fc8/bias": np.zeros(3, np.float32)}
    compared = identity.compare(replace(oxfords, tensors={**oxfords.tensors, **new}))
    assert compared["fc8"] == identity.DIFFERS
    assert compared["fc6"] == identity.SAME


def test_another_network_says_nothing(oxfords: Weights) -> None:
    compared = identity.compare(networks.weights(seed=5))
    assert identity.SAME not in compared.values()
    assert identity.describe(compared) == ""
