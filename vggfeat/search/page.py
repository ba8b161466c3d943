"""Pictures side by side in one HTML file, which needs nothing beside it: no script, no network."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import BinaryIO, NamedTuple

from vggfeat.errors import VggfeatError, describe_os_error
from vggfeat.search.thumbnails import SIDE, Thumbnail, thumbnail
from vggfeat.whole import whole

# The policy has browsers refuse whatever is not in the page, should a name ever bring it in.
_HEAD = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; --line: #8884; --dim: #8882; --mark: #2a7de1; }}
body {{ font: 15px/1.4 system-ui, sans-serif; margin: 0 auto; max-width: 1500px; padding: 1.5rem; }}
h1 {{ font-size: 1.4rem; margin: 0; }}
p {{ margin: .3rem 0 0; opacity: .75; }}
section {{ border-top: 1px solid var(--line); margin: 1.3rem -6px 0; padding: 1rem 6px 0;
  content-visibility: auto; contain-intrinsic-size: auto 300px;
  display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax({cell}px, 1fr)); }}
figure {{ margin: 0; min-width: 0; }}
.box {{ background: var(--dim); border-radius: 6px; height: {cell}px; display: flex;
  align-items: center; justify-content: center; overflow: hidden; text-align: center; }}
.box img {{ max-width: 100%; max-height: 100%; width: auto; height: auto; }}
.gone {{ background: #9998; font-size: .85rem; padding: 0 1rem; }}
.first .box {{ outline: 3px solid var(--mark); outline-offset: 2px; }}
figcaption {{ font-size: .85rem; margin-top: .4rem; overflow-wrap: anywhere; }}
figcaption b {{ font-variant-numeric: tabular-nums; margin-right: .4em; }}
.first b {{ color: var(--mark); }}
@media (max-width: 500px) {{ body {{ padding: .8rem; }}
  section {{ grid-template-columns: repeat(2, 1fr); gap: .7rem; }}
  .box {{ height: 42vw; }} }}
</style>
</head>
<body>
<h1>{title}</h1>
<p>{about}</p>
"""
_KEPT = 4096  # thumbnails, of pictures that are in several rows
_FOOT = "</body>\n</html>\n"


class Picture(NamedTuple):
    """One of a row.

    Attributes:
        path: of its file, which may be gone.
        label: what stands before its path.
    """

    path: str
    label: str


class Page:
    """To be filled row by row: thumbnails are made, and written, as they come."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._thumbnail = lru_cache(_KEPT)(thumbnail)

    def add(self, pictures: Sequence[Picture]) -> None:
        """A row, of which the first picture is marked. Raises OSError."""
        self._file.write(b"<section>\n")
        for at, picture in enumerate(pictures):
            small = self._thumbnail(picture.path)
            self._file.write(_figure(picture, small, first=not at).encode())
        self._file.write(b"</section>\n")


@contextlib.contextmanager
def page(path: str, title: str, about: str) -> Iterator[Page]:
    """A page that appears at the path, whole, when the block ends well.

    Args:
        path: of the HTML file.
        title: its heading.
        about: a sentence below it.

    Raises:
        VggfeatError: it cannot be written.
    """
    head = _HEAD.format(title=_text(title), about=_text(about), cell=SIDE)
    try:
        with whole(Path(path)) as file:
            file.write(head.encode())
            yield Page(file)
            file.write(_FOOT.encode())
    except OSError as error:
        raise VggfeatError(f"{path}: cannot be written: {describe_os_error(error)}") from error


def _figure(picture: Picture, small: Thumbnail | str, *, first: bool) -> str:
    path = _text(picture.path)
    if isinstance(small, str):
        box = f'<div class="box gone">{_text(small)}</div>'
    else:
        image = f'src="{small.address}" width="{small.width}" height="{small.height}"'
        box = f'<div class="box"><img {image} alt="{path}"></div>'
    broken = path.replace("/", "/<wbr>")
    caption = f"<figcaption><b>{_text(picture.label)}</b>{broken}</figcaption>"
    marked = ' class="first"' if first else ""
    return f"<figure{marked}>{box}{caption}</figure>\n"


def _text(text: str) -> str:
    """Any name as text of a page: bytes that are no UTF-8 as the sign for those."""
    return escape(os.fsencode(text).decode("utf-8", "replace"))
