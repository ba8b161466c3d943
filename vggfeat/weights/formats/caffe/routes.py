"""What lies between two layers of a Caffe model: by the blobs they name, else by their order.

A layer takes what was given last under the name of its bottom: ReLUs write over their inputs.
Files of weights alone may lack these names, or name blobs that no layer in them gives.
"""

from __future__ import annotations

from collections.abc import Sequence

from vggfeat.weights.formats.caffe.steps import LEARNING, Step

_MOST_STEPS = 64  # between two layers

Route = Sequence[Step]


def between(steps: Sequence[Step], begin: int, end: int) -> Route:
    """What the data of the layer at `begin` goes through before that at `end` takes it.

    Another layer that learns comes first where the one at `end` does not take from `begin`.
    """
    linked = _back(steps, end, begin)
    if linked is not None:
        return linked
    # Layers of side branches stand between others too: what does not fit in is one of them.
    outputs = _outputs(steps[begin])
    return [
        step
        for step in steps[begin + 1 : end]
        if step.kind not in LEARNING or _outputs(step) == outputs
    ]


def before(steps: Sequence[Step], end: int) -> Route:
    """What stands before a layer, as far as blobs are named."""
    return _back(steps, end, None) or []


def behind(steps: Sequence[Step], begin: int) -> Route:
    """What the data of a layer goes through up to the next that learns."""
    tops = set(steps[begin].tops)
    found: list[Step] = []
    for step in steps[begin + 1 :]:
        if len(found) == _MOST_STEPS or (step.kind in LEARNING and not tops):
            break
        takes = not tops or bool(tops & set(step.bottoms[:1]))
        if takes and step.kind not in LEARNING:
            found.append(step)
            tops |= set(step.tops) if tops else set()
    return found


def _back(steps: Sequence[Step], end: int, begin: int | None) -> Route | None:
    """From a layer back to another one, or to the data; None where names do not lead there."""
    found: list[Step] = []
    place = end
    while len(found) < _MOST_STEPS:
        bottoms = steps[place].bottoms
        source = _giver(steps, bottoms[0], place) if bottoms else None
        if source is None:
            return found[::-1] if begin is None else None
        if source == begin:
            return found[::-1]
        found.append(steps[source])
        if steps[source].kind in LEARNING:
            return found[::-1]
        place = source
    return None


def _giver(steps: Sequence[Step], blob: str, before_place: int) -> int | None:
    """The last layer before a place that gives a blob."""
    places = range(before_place - 1, -1, -1)
    return next((place for place in places if blob in steps[place].tops), None)


def _outputs(step: Step) -> int:
    return step.blobs[0].shape[0] if step.blobs and step.blobs[0].shape else 0
