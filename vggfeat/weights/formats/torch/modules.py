"""What a pickled `torch.nn.Module` holds (torch/nn/modules/module.py)."""

from __future__ import annotations

from typing import Any

import numpy as np

from vggfeat.weights.formats.containers.pickles.walk import Named, attributes_in
from vggfeat.weights.tensors import of_array

_PARTS = ("_parameters", "_buffers", "_modules")
_EPSILON = "eps"


def attributes(state: Any) -> Named:
    """Of a module its parameters, buffers and modules by their own names, as in `state_dict()`.

    Its `eps` (of a batch normalisation) is beside them, as a tensor without a side. An object that
    is no module has its attributes.
    """
    told = attributes_in(state)
    parts = [part for name in _PARTS for key, part in told if key == name]
    kept = [pair for part in parts for pair in attributes_in(part)] if parts else told
    epsilons = [value for key, value in told if key == _EPSILON and isinstance(value, float)]
    return kept + [(_EPSILON, of_array(np.array(value))) for value in epsilons]
