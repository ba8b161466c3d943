"""How far a Caffe model is VGG16, by what it says of windows and of what lies between layers.

What lies between convolutions may be what VGG16 has there, or what does nothing to features;
anything else is refused. Above pool5 another layer ends what is taken. A file may hold nothing
but layers with weights, and need not say their windows: then it cannot tell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vggfeat import vgg16
from vggfeat.errors import WeightsError
from vggfeat.weights.formats.caffe import batch_norm, routes
from vggfeat.weights.formats.caffe.routes import Route
from vggfeat.weights.formats.caffe.steps import Step, Window
from vggfeat.weights.layers import Layer

_SOURCES = ("Data", "DummyData", "HDF5Data", "ImageData", "Input", "MemoryData", "WindowData")
# Nothing to features: what gives them, hands them on or drops some of them in training.
_PASSING = ("Dropout", "Silence", "Split", *_SOURCES)
_FLATTENING = ("Flatten", "Reshape")  # blobs are in the order C,H,W whatever their sides are

_CONVOLUTION: Window = {
    "kernel": (3, 3), "stride": (1, 1), "dilation": (1, 1), "group": (1,), "pad": (1, 1),
}  # fmt: skip
# fc6 and fc7 as convolutions: at 224 pixels padding does not change the middle.
_CONNECTED: Window = {"stride": (1, 1), "dilation": (1, 1), "group": (1,)}
_POOLING: Window = {
    "global_pooling": ("false",), "method": ("MAX",), "kernel": (2, 2), "stride": (2, 2),
    "pad": (0, 0),
}  # fmt: skip

_LAST = vgg16.CONVOLUTIONS[-1]
_POOLED = {list(block)[-1] for block in vgg16.BLOCKS}


@dataclass(frozen=True)
class _Course:
    """What a route does: whether it has a ReLU, how many pools, and what VGG16 does not do."""

    relu: bool
    pools: int
    unlike: str = ""


def sound(
    chosen: Mapping[str, Layer], places: Mapping[str, int], steps: Sequence[Step]
) -> tuple[dict[str, Layer], tuple[str, ...]]:
    """The layers that are VGG16's, with what normalises their outputs, and what is to be noted.

    Args:
        places: where among the steps each layer is.

    Raises:
        WeightsError: the convolutions do not make a VGG16's.
    """
    notes = _of_start(routes.before(steps, places[vgg16.CONVOLUTIONS[0]]))
    drawn = _is_drawn(steps)
    kept: dict[str, Layer] = {}
    names = list(chosen)
    for name, follower in zip(names, [*names[1:], ""], strict=True):
        step = steps[places[name]]
        if text := _unlike_window(step, _windows(name)):
            if name in vgg16.CONVOLUTIONS:
                raise WeightsError(f"no VGG16: {name} has {text}")
            break
        route = (
            routes.between(steps, places[name], places[follower])
            if follower
            else routes.behind(steps, places[name])
        )
        layer, rest = batch_norm.folded(chosen[name], step, route)
        course = _course(rest, follower)
        if name in vgg16.CONVOLUTIONS[:-1]:
            _check(name, course, drawn=drawn)
        elif name == _LAST:
            kept[name] = layer
            _check_relu(course, drawn=drawn)
            if course.unlike or (drawn and follower and course.pools != 1):
                return kept, (*notes, *_of_pool(rest))
            continue
        elif name != "fc8" and _is_another(course, follower or rest, drawn=drawn):
            break
        kept[name] = layer
        if name in vgg16.FULLY_CONNECTED and (course.unlike or (drawn and course.pools)):
            break
    return kept, notes


def _windows(name: str) -> Window:
    return _CONVOLUTION if name in vgg16.CONVOLUTIONS else _CONNECTED


def _is_drawn(steps: Sequence[Step]) -> bool:
    """Whether a file lists what learns nothing too, so that what it lacks is not there."""
    kinds = {step.kind for step in steps}
    told = any(step.kind == "Convolution" and step.window for step in steps)
    return "Pooling" in kinds or (told and "ReLU" in kinds)


def _of_start(route: Route) -> tuple[str, ...]:
    """What is to be said of what stands before conv1_1. Raises WeightsError: that was learned."""
    for step in route:
        if step.blobs:
            raise WeightsError(f"no VGG16: {_named(step)} stands before conv1_1")
    others = [s for s in route if s.bottoms and s.kind not in (*_PASSING, "Slice")]
    return tuple(
        f"what {_named(step)} does to pixels before conv1_1 is not done here" for step in others
    )


def _check(name: str, course: _Course, *, drawn: bool) -> None:
    """See that what follows a convolution, not the last one, is what VGG16 has there."""
    expected = int(name in _POOLED)
    if course.unlike:
        raise WeightsError(f"no VGG16: {course.unlike}")
    if drawn and not course.relu:
        raise WeightsError(f"no VGG16: {name} is followed by no ReLU")
    if drawn and course.pools != expected:
        raise WeightsError(
            f"no VGG16: {name} is followed by {course.pools} max pools, expected {expected}"
        )


def _check_relu(course: _Course, *, drawn: bool) -> None:
    """See that conv5_3 has its ReLU, if anything follows it."""
    if course.relu:
        return
    if course.unlike:
        raise WeightsError(f"no VGG16: {course.unlike}")
    if drawn and course.pools:
        raise WeightsError(f"no VGG16: {_LAST} is followed by no ReLU")


def _is_another(course: _Course, ahead: Route | str, *, drawn: bool) -> bool:
    """Whether fc6 or fc7 has no ReLU, or something else in its place."""
    return not course.relu and bool(course.unlike or (drawn and ahead))


def _course(route: Route, follower: str) -> _Course:
    """Go along a route, up to what VGG16 does not do."""
    relu, pools = False, 0
    for step in route:
        unlike = ""
        if step.kind == "ReLU":
            unlike = f"has slope {step.slope:g} below zero, expected 0" if step.slope else ""
            relu = relu or not unlike
        elif step.kind == "Pooling":
            differing = _unlike_window(step, _POOLING)
            unlike = f"has {differing}" if differing else ""
            pools += not unlike
        elif step.kind not in _PASSING and not (
            step.kind in _FLATTENING and follower not in vgg16.CONVOLUTIONS
        ):
            unlike = f"stands before {follower}" if follower else "stands behind the last layer"
        if unlike:
            return _Course(relu, pools, f"{_named(step)} {unlike}")
    return _Course(relu, pools)


def _unlike_window(step: Step, expected: Window) -> str:
    for name, values in expected.items():
        found = step.window.get(name, values)
        if found != values:
            return f"{name} {_text(found)}, expected {_text(values)}"
    return ""


def _text(values: tuple[int | str, ...]) -> str:
    return "x".join(map(str, values if len(set(values)) > 1 else values[:1]))


def _of_pool(route: Route) -> tuple[str, ...]:
    """What is to be said where something else than pool5 follows conv5_3."""
    other = next((s for s in route if "pool" in s.kind.lower()), None)
    if other is None or not _unlike_pool(other):
        return ()
    return (
        f"pool5 is VGG16's 2x2 max pooling here, where the file has {_named(other)}"
        f"{_unlike_pool(other)}",
    )


def _unlike_pool(step: Step) -> str:
    if step.kind != "Pooling":
        return " in its place"
    text = _unlike_window(step, _POOLING)
    return f" with {text}" if text else ""


def _named(step: Step) -> str:
    return f"{step.name} ({step.kind})"
