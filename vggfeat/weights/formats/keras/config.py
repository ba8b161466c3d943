"""The layers of a Keras model as its configuration tells them: what each is, and what is before it.

`config.json` of a `.keras` archive, and the attribute `model_config` of an HDF5 model, hold
`{"class_name": ..., "config": {"layers": [...]}}`. Layers of a functional model name those they are
called on, in ways that changed from Keras to Keras; those of a sequential one follow each other. A
model within is a layer with layers of its own.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LONGEST = 1 << 24  # characters
LEARNING = ("Conv2D", "Dense", "Convolution2D")

_DEEPEST = 16
_MOST_LAYERS = 20_000


@dataclass(frozen=True, eq=False)
class Node:
    """A layer.

    Attributes:
        place: where Keras 3 keeps its weights: `("functional", "conv2d_1")`.
        name: its own.
        kind: its class.
        config: its settings.
        sources: the layers whose output it takes.
        call: what it is called with, as Keras writes it.
    """

    place: tuple[str, ...]
    name: str
    kind: str
    config: Mapping[str, Any]
    sources: tuple[Node, ...]
    call: Any = None


def nodes_of(text: str) -> list[Node]:
    """All layers of a model, those of models within too; none where the text is no such thing."""
    if len(text) > LONGEST:
        return []
    try:
        found: list[Node] = []
        _collect(json.loads(text), (), (), found)
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError):
        return []
    return found


def _collect(
    model: Any, place: tuple[str, ...], outside: tuple[Node, ...], found: list[Node]
) -> tuple[Node, ...]:
    """Append the layers of a model that takes `outside`; give those whose output it gives."""
    if len(place) > _DEEPEST:
        raise ValueError("models within models")
    inner = model["config"]
    entries = inner if isinstance(inner, list) else inner["layers"]
    sequential = model["class_name"] == "Sequential"
    counts: Counter[str] = Counter()
    outputs: dict[str, tuple[Node, ...]] = {}
    last = outside
    for entry in entries:
        config, kind = entry["config"], str(entry["class_name"])
        snake = _snake(kind)
        below = (*place, f"{snake}_{counts[snake]}" if counts[snake] else snake)
        counts[snake] += 1
        name = _name(entry)
        sources = last if sequential else _sources(entry.get("inbound_nodes"), outputs)
        if kind == "InputLayer":
            sources = outside
        timed = config["layer"] if kind == "TimeDistributed" else None
        if timed is not None and _is_model(timed):
            last = _collect(timed, (*below, "layer"), sources, found)
        elif _is_model(entry):
            last = _collect(entry, below, sources, found)
        else:
            last = (Node(below, name, kind, config, sources, entry.get("inbound_nodes")),)
            found.extend(last)
        if len(found) > _MOST_LAYERS:
            raise ValueError("too many layers")
        outputs[name] = last
    if sequential or not isinstance(inner, dict):
        return last
    return tuple(n for name in _names_in(inner.get("output_layers")) for n in outputs.get(name, ()))


def _is_model(entry: Any) -> bool:
    config = entry["config"]
    return isinstance(config, list) or "layers" in config


def _name(entry: Any) -> str:
    config = entry["config"]
    named = config if isinstance(config, dict) else {}
    return str(entry.get("name") or named.get("name") or "")


def _sources(inbound: Any, outputs: Mapping[str, tuple[Node, ...]]) -> tuple[Node, ...]:
    nodes = (node for name in _names_in(inbound) for node in outputs.get(name, ()))
    return tuple(dict.fromkeys(nodes))


def _names_in(value: Any, depth: int = 0) -> Iterator[str]:
    """The layers in what any Keras writes: `["name", 0, 0]`, wherever it is nested."""
    if depth > _DEEPEST:
        return
    if isinstance(value, list):
        if len(value) >= 3 and isinstance(value[0], str) and isinstance(value[1], int):
            yield value[0]
            return
        for part in value:
            yield from _names_in(part, depth + 1)
    elif isinstance(value, dict):
        for part in value.values():
            yield from _names_in(part, depth + 1)


def _snake(kind: str) -> str:
    """`BatchNormalization` -> `batch_normalization`, as Keras names what it keeps."""
    words = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", kind))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", words).lower()


def activation(node: Node) -> str:
    """The name of a layer's activation, `linear` where it has none."""
    value = node.config.get("activation")
    if isinstance(value, Mapping):  # a function with a configuration of its own, or a layer
        config = value.get("config")
        if value.get("class_name") == "ReLU" and isinstance(config, Mapping):
            value = "relu" if is_plain_relu(config) else "a ReLU with limits"
        else:
            value = config if isinstance(config, str) else str(value.get("class_name") or "?")
    return str(value or "linear")


def is_plain_relu(config: Mapping[str, Any]) -> bool:
    """Whether a `ReLU` layer of these settings has no slope and no limits."""
    slopes = ("negative_slope", "alpha", "threshold")
    return config.get("max_value") is None and not any(config.get(key) for key in slopes)


def before(node: Node, kinds: Sequence[str]) -> tuple[list[Node], Node | None]:
    """Walk against the data to a layer of some kinds.

    Returns:
        The layers on the way, in the order they are met, and the one that was looked for: None
        where the way forks or ends.
    """
    way: list[Node] = []
    while len(node.sources) == 1 and len(way) < _MOST_LAYERS:
        node = node.sources[0]
        if node.kind in kinds:
            return way, node
        way.append(node)
    return way, None
