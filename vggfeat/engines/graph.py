"""VGG16 as TensorFlow operations."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

from vggfeat import vgg16
from vggfeat.activations import AVG, FLAT, MAX, Activation

# Gives the tensor of a name: `conv1_1/kernel`, `conv1_1/bias`, `mean` ...
Tensors = Callable[[str], Any]


def features(
    tf: Any, images: Any, tensors: Tensors, activations: Sequence[Activation]
) -> list[Any]:
    """uint8 `[n,size,size,3]` RGB -> float32 `[n,*shape]` of each activation.

    fc6 and on are matrix products, one a position where pool5 is larger than 7x7: their mean is
    the activation (the dense evaluation of section 3.2 of the paper).
    """
    taking_part = {layer for activation in activations for layer in activation.parts}
    found = dict(_maps(tf, images, tensors, taking_part))
    if "fc6" in taking_part:
        found |= _vectors(tf, found[Activation("pool5")], tensors, taking_part)
    return [_pooled(tf, found[part.unpooled], part) for part in activations]


def _maps(
    tf: Any, images: Any, tensors: Tensors, taking_part: Collection[str]
) -> Iterator[tuple[Activation, Any]]:
    """All maps, as far as layers take part. What is not used TensorFlow does not compute."""
    x = tf.cast(images, tf.float32) - tensors("mean")
    for number, block in enumerate(vgg16.BLOCKS, start=1):
        for layer in block:
            if layer not in taking_part:
                return
            x = tf.nn.conv2d(x, tensors(f"{layer}/kernel"), strides=1, padding="SAME")
            x = tf.nn.bias_add(x, tensors(f"{layer}/bias"))
            yield Activation(layer, linear=True), x
            x = tf.nn.relu(x, name=layer)
            yield Activation(layer), x
        x = tf.nn.max_pool2d(x, ksize=2, strides=2, padding="VALID", name=f"pool{number}")
        yield Activation(f"pool{number}"), x


def _vectors(
    tf: Any, pool5: Any, tensors: Tensors, taking_part: Collection[str]
) -> dict[Activation, Any]:
    """fc6 and on: float32 `[n,4096]`, the mean over all positions of fc6 on pool5."""
    found = {}
    x, side = _windows(tf, pool5)
    x = tf.reshape(x, [-1, tensors("fc6/kernel").shape[0]])
    for layer in vgg16.FULLY_CONNECTED:
        if layer not in taking_part:
            break
        x = tf.nn.bias_add(tf.matmul(x, tensors(f"{layer}/kernel")), tensors(f"{layer}/bias"))
        found[Activation(layer, linear=layer in vgg16.WITH_RELU)] = x
        if layer in vgg16.WITH_RELU:
            x = found[Activation(layer)] = tf.nn.relu(x)
    if side > 1:
        for activation, x in found.items():
            found[activation] = _mean(tf, tf.reshape(x, [-1, side, side, x.shape[1]]))
    if Activation("fc8") in found:
        found[Activation("prob")] = tf.nn.softmax(found[Activation("fc8")])
    return found


def _windows(tf: Any, pool5: Any) -> tuple[Any, int]:
    """What fc6 covers at each of its positions, and how many of these there are to a side."""
    extent = vgg16.POOLED_SIZE
    side = pool5.shape[1] - extent + 1
    if side == 1:
        return pool5, side
    step = [1, 1, 1, 1]
    return tf.image.extract_patches(pool5, [1, extent, extent, 1], step, step, "VALID"), side


def _pooled(tf: Any, x: Any, activation: Activation) -> Any:
    if activation.pooling == AVG:
        return _mean(tf, x)
    if activation.pooling == MAX:
        return tf.reduce_max(x, axis=[1, 2])
    if activation.pooling == FLAT:
        return tf.reshape(x, [-1, x.shape[1] * x.shape[2] * x.shape[3]])
    return x


def _mean(tf: Any, x: Any) -> Any:
    """Over the positions of a map. One axis after the other: shorter sums round less."""
    return tf.reduce_mean(tf.reduce_mean(x, axis=2), axis=1)
