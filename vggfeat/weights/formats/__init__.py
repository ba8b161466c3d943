"""Every form in which VGG16 is published: one file each, and the table that lists them.

A form is a module with `NAME`, `recognise(path)`, which looks at the content and not at the
suffix, and `read(path)`, which gives the canonical weights.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from vggfeat.errors import WeightsError, describe_os_error
from vggfeat.weights.canonical import Weights
from vggfeat.weights.formats import canonical, keras, slim


class Form(Protocol):
    NAME: str

    def recognise(self, path: Path) -> bool: ...

    def read(self, path: Path) -> Weights: ...


FORMS: tuple[Form, ...] = (canonical, keras, slim)


def read(path: Path, *, ema: bool = False) -> Weights:
    """Read weights of any form that is known.

    Args:
        path: a file, or for TF-Slim checkpoints the prefix or folder of one.
        ema: take the exponential moving averages that a checkpoint holds.

    Raises:
        WeightsError: there is nothing, nothing known, or no VGG16 at the path.
    """
    try:
        form = next((form for form in FORMS if form.recognise(path)), None)
        if form is slim:
            return slim.read(path, ema=ema)
        if ema:
            raise WeightsError(f"{path}: moving averages are a matter of TF-Slim checkpoints")
        if form is not None:
            return form.read(path)
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {describe_os_error(error)}") from error
    if not path.exists():
        raise WeightsError(f"{path}: no such file")
    known = ", ".join(form.NAME for form in FORMS)
    raise WeightsError(f"{path}: not a form of weights that vggfeat knows ({known})")
