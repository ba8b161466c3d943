"""Files that may go, of pictures that are nearly the same: none goes that would be missed."""

from __future__ import annotations

import os
from collections.abc import Sequence

from vggfeat.search.gallery import Gallery


class Spare:
    """Files of pictures that may be removed, since the first of their group stays.

    A path may mean another file today than it did to `extract`, and two paths may mean one file.
    So a picture is withheld if it, or the first of its group, is missing or has changed; and a
    second path of the first one's own file is no spare picture.

    Attributes:
        withheld: how many pictures have been.
    """

    def __init__(self, gallery: Gallery) -> None:
        self._gallery = gallery
        self.withheld = 0

    def of(self, group: Sequence[str]) -> list[str]:
        """The paths that may go of a group's, the first of which stays."""
        first, *others = group
        kept = os.path.realpath(first)
        named = {_named(path): path for path in others if os.path.realpath(path) != kept}
        stays = self._gallery.unchanged(first)
        spare = [path for path in named.values() if stays and self._gallery.unchanged(path)]
        self.withheld += len(named) - len(spare)
        return spare


def _named(path: str) -> str:
    """The name itself that removing a path removes, by whatever way it is reached."""
    folder, name = os.path.split(path)
    return os.path.join(os.path.realpath(folder), name)
