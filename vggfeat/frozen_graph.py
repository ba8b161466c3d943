"""VGG16 as the TensorFlow operations of a frozen graph, named, with fc6 and on as convolutions.

The form of TF-Slim's nets/vgg.py: fc6 is a 7x7 VALID convolution over pool5, fc7 and fc8 are 1x1
ones. Axes 1 and 2, of length one, are squeezed; axis 0 is the batch and stays even where it is one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from vggfeat import vgg16
from vggfeat.activations import AVG, FLAT, MAX, Activation

if TYPE_CHECKING:
    from vggfeat.head.file import Head

LOGITS, PROBABILITIES, CLASSES = "logits", "probabilities", "classes"

# Gives the constant of a name: `conv1_1/kernel`, `conv1_1/bias`, `mean` ...
Constants = Callable[[str], Any]

_POSITIONS = [1, 2]  # axes


def name_of(activation: Activation) -> str:
    """As TensorFlow takes names: `pool5_avg`."""
    return str(activation).replace(":", "_")


def outputs(
    tf: Any, images: Any, constant: Constants, wanted: Sequence[Activation]
) -> dict[Activation, Any]:
    """Activations of images, each an operation of its name. Nothing above them is made.

    Args:
        images: uint8 `[?,size,size,3]` RGB.
        constant: gives the kernels of fully connected layers as those of convolutions.
    """
    given = {}
    for layer, linear, x in _layers(tf, images, constant, wanted):
        for one in dict.fromkeys(wanted):
            if one.layer == layer:
                given[one] = _finished(tf, linear if one.linear else x, one)
    return given


def _layers(
    tf: Any, images: Any, constant: Constants, wanted: Sequence[Activation]
) -> Iterator[tuple[str, Any, Any]]:
    """Each layer up to the last one that is wanted, before and after its ReLU: `[?,h,w,c]`."""
    x = tf.cast(images, tf.float32) - constant("mean")
    left = {one.layer for one in wanted}
    rectified = {one.layer for one in wanted if not one.linear}
    for layer in vgg16.OUTPUTS:
        linear = x
        if layer in vgg16.LAYERS:
            is_map = layer in vgg16.MAPS
            padding = "SAME" if is_map else "VALID"
            x = tf.nn.conv2d(x, constant(f"{layer}/kernel"), strides=1, padding=padding)
            named = f"{layer}_linear" if is_map else None
            x = linear = tf.nn.bias_add(x, constant(f"{layer}/bias"), name=named)
            if layer in vgg16.WITH_RELU and (left != {layer} or layer in rectified):
                x = tf.nn.relu(x, name=layer if is_map else None)
        elif layer in vgg16.MAPS:
            x = tf.nn.max_pool2d(x, ksize=2, strides=2, padding="VALID", name=layer)
        yield layer, linear, x
        left.discard(layer)
        if not left:
            return


def _finished(tf: Any, x: Any, one: Activation) -> Any:
    """`[?,h,w,c]` as it is asked for."""
    name = name_of(one)
    if one.pooling == FLAT:
        return tf.reshape(x, [-1, x.shape[1] * x.shape[2] * x.shape[3]], name=name)
    if one.pooling == MAX:
        return tf.reduce_max(x, axis=_POSITIONS, name=name)
    if one.pooling == AVG:
        return _average(tf, x, name)
    if one.is_map:
        return x
    if one.layer == "prob":
        return tf.nn.softmax(_vector(tf, x, None), name=name)
    return _vector(tf, x, name)


def _vector(tf: Any, x: Any, name: str | None) -> Any:
    """Of a fully connected layer: its one position, or the average of those of a larger image."""
    if x.shape[1] == 1:
        return tf.squeeze(x, axis=_POSITIONS, name=name)
    return _average(tf, x, name)


def _average(tf: Any, x: Any, name: str | None) -> Any:
    """Over rows, then over what they gave: one sum of 50,000 numbers loses the fifth digit."""
    return tf.reduce_mean(tf.reduce_mean(x, axis=2), axis=1, name=name)


def headed(tf: Any, x: Any, head: Head) -> list[str]:
    """What a head makes of the features that it is over: the names of its outputs."""
    x = tf.reshape(x, [-1, len(head.kernel)])
    if head.recipe.normalize:
        x = tf.nn.l2_normalize(x, axis=1)
    kernel = tf.constant(head.kernel, name="head/kernel")
    logits = tf.nn.bias_add(
        tf.matmul(x, kernel), tf.constant(head.bias, name="head/bias"), name=LOGITS
    )
    tf.nn.softmax(logits, name=PROBABILITIES)
    classes = [name.encode("utf-8", "surrogateescape") for name in head.classes]
    tf.constant(classes, name=CLASSES)
    return [LOGITS, PROBABILITIES]
