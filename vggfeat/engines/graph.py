"""VGG16 as TensorFlow operations, for the engine and for the frozen graph alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vggfeat import vgg16

# Gives the tensor of a name: `conv1_1/kernel`, `conv1_1/bias`, `mean` ...
Tensors = Callable[[str], Any]


def pool5(tf: Any, images: Any, tensors: Tensors) -> Any:
    """uint8 `[n,224,224,3]` RGB -> float32 `[n,7,7,512]`."""
    x = tf.cast(images, tf.float32) - tensors("mean")
    for number, block in enumerate(vgg16.BLOCKS, start=1):
        for layer in block:
            x = tf.nn.conv2d(x, tensors(f"{layer}/kernel"), strides=1, padding="SAME")
            x = tf.nn.relu(tf.nn.bias_add(x, tensors(f"{layer}/bias")), name=layer)
        x = tf.nn.max_pool2d(x, ksize=2, strides=2, padding="VALID", name=f"pool{number}")
    return x


def features(tf: Any, images: Any, tensors: Tensors, layer: str) -> Any:
    """Up to `layer`, with fc6 and fc7 as matrix products: float32 `[n,4096]` (or pool5's map)."""
    x = pool5(tf, images, tensors)
    if layer == "pool5":
        return x
    x = tf.reshape(x, [-1, tensors("fc6/kernel").shape[0]])
    for name in _connected_up_to(layer):
        x = tf.matmul(x, tensors(f"{name}/kernel"))
        x = tf.nn.relu(tf.nn.bias_add(x, tensors(f"{name}/bias")))
    return x


def outputs_as_convolutions(tf: Any, images: Any, tensors: Tensors, layer: str) -> dict[str, Any]:
    """fc6 and on up to `layer` in the form of TF-Slim's nets/vgg.py, each squeezed to `[n,4096]`.

    fc6 is a 7x7 VALID convolution over pool5, fc7 a 1x1 one, so `tensors` gives their kernels
    as `[7,7,512,4096]` and `[1,1,4096,4096]`. Axes 1 and 2, of length one, are squeezed; axis 0
    is the batch and stays even where it is one.
    """
    x = pool5(tf, images, tensors)
    outputs = {}
    for name in _connected_up_to(layer):
        x = tf.nn.conv2d(x, tensors(f"{name}/kernel"), strides=1, padding="VALID")
        x = tf.nn.relu(tf.nn.bias_add(x, tensors(f"{name}/bias")))
        outputs[name] = tf.squeeze(x, axis=[1, 2], name=name)
    return outputs


def _connected_up_to(layer: str) -> list[str]:
    return [name for name in vgg16.OUTPUTS[layer] if name in vgg16.FULLY_CONNECTED]
