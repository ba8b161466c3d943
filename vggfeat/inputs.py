"""What a network takes: the order of its channels, and what was done to the pixels.

Keras' `preprocess_input` (keras/src/applications/imagenet_utils.py) names three of the scales:
`caffe`, `torch` and `tf`. `unit` is pixels in 0..1, `raw` pixels as they are.
"""

from __future__ import annotations

from dataclasses import dataclass

RGB, BGR = "rgb", "bgr"
CHANNELS = (RGB, BGR)

Triple = tuple[float, float, float]

# Of Oxford's training; TF-Slim rounds it to 116.78 and 103.94.
OXFORD_MEAN: Triple = (123.68, 116.779, 103.939)
_TORCH_MEAN: Triple = (0.485 * 255, 0.456 * 255, 0.406 * 255)
_TORCH_STD: Triple = (0.229 * 255, 0.224 * 255, 0.225 * 255)

# Mean and divisor by scale, both RGB and of pixels in 0..255: a network takes
# (pixel - mean) / divisor.
SCALES: dict[str, tuple[Triple, Triple]] = {
    "caffe": (OXFORD_MEAN, (1.0, 1.0, 1.0)),
    "torch": (_TORCH_MEAN, _TORCH_STD),
    "tf": ((127.5, 127.5, 127.5), (127.5, 127.5, 127.5)),
    "unit": ((0.0, 0.0, 0.0), (255.0, 255.0, 255.0)),
    "raw": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}


@dataclass(frozen=True)
class Input:
    """conv1_1 takes (pixel - mean) / divisor, with the channels in one order.

    Attributes:
        channels: `rgb` or `bgr`.
        mean: by channel R, G, B, of pixels in 0..255.
        divisor: likewise.
    """

    channels: str
    mean: Triple
    divisor: Triple

    @property
    def scale(self) -> str:
        """Its name among `SCALES`, else `other`."""
        for name, (mean, divisor) in SCALES.items():
            if _near(self.mean, mean) and _near(self.divisor, divisor):
                return name
        return "other"

    def __str__(self) -> str:
        if self.scale != "other":
            return f"{self.channels.upper()}, {self.scale} scale"
        mean, divisor = (",".join(f"{v:g}" for v in part) for part in (self.mean, self.divisor))
        return f"{self.channels.upper()}, (pixel - [{mean}]) / [{divisor}]"


def of_scale(channels: str, scale: str) -> Input:
    """The input of a named scale: `of_scale("bgr", "caffe")`."""
    return Input(channels, *SCALES[scale])


def _near(found: Triple, expected: Triple) -> bool:
    """As near as the roundings of a mean or deviation that others write down."""
    return all(abs(a - b) < 0.01 for a, b in zip(found, expected, strict=True))
