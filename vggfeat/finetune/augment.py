"""What training sees of a picture: another part of it each time, and now and then its mirror.

As VGG was trained (section 3.1 of the paper): a random 224x224 of the picture at a random scale,
and a random flip. The smaller side is between 224 and 320 pixels, around the 256 of `preprocess`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vggfeat.decode import opened, reasons
from vggfeat.preprocess import to_rgb, upright
from vggfeat.vgg16 import SIZE

_SMALLEST, _LARGEST = SIZE, 320  # pixels of the smaller side


def augmented(data: bytes, generator: np.random.Generator) -> NDArray[np.uint8]:
    """A random view of a picture: uint8 `[224,224,3]`, RGB.

    JPEGs that are much larger are shrunk while they are decoded.

    Args:
        data: the whole content of its file.
        generator: decides; the same state gives the same view.

    Raises:
        ImageError: it is no whole image, or too large a one.
    """
    resize, x, y, flip = generator.random(4)
    with reasons(), opened(data, _LARGEST) as file:
        image = to_rgb(upright(file))
        side = min(image.size) * SIZE / (_SMALLEST + resize * (_LARGEST - _SMALLEST))
        left, top = x * (image.width - side), y * (image.height - side)
        box = (left, top, left + side, top + side)
        view = np.asarray(image.resize((SIZE, SIZE), Image.Resampling.BILINEAR, box=box))
    return view[:, ::-1] if flip < 0.5 else view
