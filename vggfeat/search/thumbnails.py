"""Small pictures that stand in a page itself."""

from __future__ import annotations

import base64
import io
from typing import NamedTuple

from vggfeat.decode import opened, reasons
from vggfeat.errors import ImageError, describe_os_error
from vggfeat.preprocess import to_rgb, upright
from vggfeat.sources import ref

SIDE = 192  # pixels of the longer side at the most
_QUALITY = 82


class Thumbnail(NamedTuple):
    """A JPEG as a `data:` address, and its size in pixels."""

    address: str
    width: int
    height: int


def thumbnail(path: str) -> Thumbnail | str:
    """The picture in a file, upright and small; in words why there is none, where there is none."""
    try:
        found = ref(path)
        if found is None:
            return "not to be found by itself, in its archive"
        data = found.read().data
        assert isinstance(data, bytes)
        with reasons(), opened(data, SIDE) as image:
            small = to_rgb(upright(image))
            small.thumbnail((SIDE, SIDE))
    except OSError as error:
        return describe_os_error(error)
    except (ImageError, ValueError) as error:  # ValueError: a NUL within the path
        return str(error)
    file = io.BytesIO()
    small.save(file, "JPEG", quality=_QUALITY, optimize=True)
    encoded = base64.b64encode(file.getvalue()).decode()
    return Thumbnail(f"data:image/jpeg;base64,{encoded}", *small.size)
