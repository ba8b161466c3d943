"""VGG16 as TensorFlow operations."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from vggfeat import vgg16
from vggfeat.activations import AVG, FLAT, MAX, Activation

if TYPE_CHECKING:
    from vggfeat.weights.canonical import Float32

# Gives the tensor of a name: `conv1_1/kernel`, `conv1_1/bias`, `mean` ...
Tensors = Callable[[str], Any]


class Arithmetic(NamedTuple):
    """The numbers that layers are computed in.

    Attributes:
        tf: the tensorflow module.
        dtype: of weights and activations.
        scale: what activations are multiplied by, a power of two. ReLU, pooling and convolution
            keep such a factor where biases have it too, so that no bit depends on it, but numbers
            stay within what the dtype holds.
    """

    tf: Any
    dtype: Any
    scale: float = 1.0

    def held(self, name: str, array: Float32) -> Any:
        """A tensor of the weights, as the layers take it."""
        tensor = self.tf.constant(array)
        if name == "mean":
            return tensor
        is_bias = name.endswith("/bias")
        return self.tf.cast(self._times(tensor, self.scale if is_bias else 1.0), self.dtype)

    def taken(self, pixels: Any) -> Any:
        """float32 pixels, the mean subtracted -> what conv1_1 takes."""
        return self.tf.cast(self._times(pixels, self.scale), self.dtype)

    def given(self, x: Any) -> Any:
        """An activation as float32."""
        return self._times(self.tf.cast(x, self.tf.float32), 1 / self.scale)

    def _times(self, x: Any, factor: float) -> Any:
        return x if factor == 1.0 else x * factor


def features(
    images: Any,
    tensors: Tensors,
    activations: Sequence[Activation],
    arithmetic: Arithmetic,
    *,
    channels_first: bool = False,
) -> list[Any]:
    """uint8 `[n,size,size,3]` RGB -> float32 `[n,*shape]` of each activation.

    fc6 and on are matrix products: as convolutions they are slower, and their last bits depend on
    the size of the batch. There is one a position where pool5 is larger than 7x7, and their mean
    is the activation (the dense evaluation of section 3.2 of the paper).
    """
    tf = arithmetic.tf
    taking_part = {layer for activation in activations for layer in activation.parts}
    pixels = tf.cast(images, tf.float32) - tensors("mean")
    x = arithmetic.taken(pixels)
    found = dict(_maps(tf, x, tensors, taking_part, channels_first=channels_first))
    vectors = {}
    if "fc6" in taking_part:
        vectors = _vectors(tf, found[Activation("pool5")], tensors, taking_part, arithmetic)
    return [
        _pooled(tf, arithmetic.given(found[part.unpooled]), part) if part.is_map else vectors[part]
        for part in activations
    ]


def _maps(
    tf: Any, x: Any, tensors: Tensors, taking_part: Collection[str], *, channels_first: bool
) -> Iterator[tuple[Activation, Any]]:
    """All maps, as far as layers take part. What is not used TensorFlow does not compute."""
    form = "NCHW" if channels_first else "NHWC"

    def last(x: Any) -> Any:
        return tf.transpose(x, [0, 2, 3, 1]) if channels_first else x

    x = tf.transpose(x, [0, 3, 1, 2]) if channels_first else x
    for number, block in enumerate(vgg16.BLOCKS, start=1):
        for layer in block:
            if layer not in taking_part:
                return
            kernel, bias = tensors(f"{layer}/kernel"), tensors(f"{layer}/bias")
            x = tf.nn.conv2d(x, kernel, strides=1, padding="SAME", data_format=form)
            x = tf.nn.bias_add(x, bias, data_format=form)
            yield Activation(layer, linear=True), last(x)
            x = tf.nn.relu(x, name=layer)
            yield Activation(layer), last(x)
        x = tf.nn.max_pool2d(
            x, ksize=2, strides=2, padding="VALID", data_format=form, name=f"pool{number}"
        )
        yield Activation(f"pool{number}"), last(x)


def _vectors(
    tf: Any, pool5: Any, tensors: Tensors, taking_part: Collection[str], arithmetic: Arithmetic
) -> dict[Activation, Any]:
    """fc6 and on: float32 `[n,4096]`, the mean over all positions of fc6 on pool5."""
    found = {}
    x, side = _windows(tf, pool5)
    x = tf.reshape(x, [-1, tensors("fc6/kernel").shape[0]])
    for layer in vgg16.FULLY_CONNECTED:
        if layer not in taking_part:
            break
        x = tf.nn.bias_add(tf.matmul(x, tensors(f"{layer}/kernel")), tensors(f"{layer}/bias"))
        found[Activation(layer, linear=layer in vgg16.WITH_RELU)] = arithmetic.given(x)
        if layer in vgg16.WITH_RELU:
            x = tf.nn.relu(x)
            found[Activation(layer)] = arithmetic.given(x)
    if side > 1:
        for activation, each in found.items():
            found[activation] = _mean(tf, tf.reshape(each, [-1, side, side, each.shape[1]]))
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
