"""VGG16 features of images: a frozen network in, one vector an image out.

    from vggfeat import Extractor, extract, load_features

Names are loaded when first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vggfeat.errors import ImageError, VggfeatError, WeightsError
    from vggfeat.extractor import Extractor
    from vggfeat.features import Features, load_features
    from vggfeat.keras_vgg16 import keras_model
    from vggfeat.report import Report
    from vggfeat.run import extract

__all__ = [
    "Extractor",
    "Features",
    "ImageError",
    "Report",
    "VggfeatError",
    "WeightsError",
    "extract",
    "keras_model",
    "load_features",
]

_HOMES = {
    "Extractor": "vggfeat.extractor",
    "Features": "vggfeat.features",
    "ImageError": "vggfeat.errors",
    "Report": "vggfeat.report",
    "VggfeatError": "vggfeat.errors",
    "WeightsError": "vggfeat.errors",
    "extract": "vggfeat.run",
    "keras_model": "vggfeat.keras_vgg16",
    "load_features": "vggfeat.features",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'vggfeat' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
