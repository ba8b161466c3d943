"""Whether a node of the cluster has what the work takes: packages, inputs, the output's folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from vggfeat.address import is_address
from vggfeat.sources import STDIN


@dataclass(frozen=True)
class Needs:
    """What every node must have. It can be pickled.

    Attributes:
        folder: where the driver is: relative names start there.
        inputs: names of files and folders.
        sign: a file in the output's folder, which tells that it is the driver's; None where that
            is at an address.
        versions: of packages whose code decides on the bits of vectors.
    """

    folder: str
    inputs: tuple[str, ...]
    sign: str | None
    versions: Mapping[str, str]

    def lacking(self) -> str | None:
        """What this process does not find, in words, and what to do."""
        for name, needed in self.versions.items():
            found = _version(name)
            if found != needed:
                has = f"{name} {found}" if found else f"no {name}"
                return f"has {has}, and the driver {needed}: install the same"
        if self.sign and not os.path.lexists(self._place(self.sign)):
            return (
                f"does not see the driver's {os.path.dirname(self._place(self.sign))}: -o must be "
                "a folder that all nodes share, or an address such as s3://bucket/feats/"
            )
        for name in self.inputs:
            if not os.path.lexists(self._place(name)):
                return (
                    f"does not see the driver's {self._place(name)}: inputs must be where all "
                    "nodes find them by the same path, or addresses"
                )
        return None

    def enter(self) -> None:
        """Let relative names of this process start where the driver's do."""
        if os.path.isdir(self.folder):
            os.chdir(self.folder)

    def _place(self, name: str) -> str:
        return os.path.join(self.folder, name)


def needs(names: tuple[str, ...], sign: Path | None, settings: Mapping[str, Any]) -> Needs:
    """For inputs as the user gave them, and the settings of the run.

    Patterns and lists on stdin are not looked at: what they stand for may be many files.
    """
    inputs = [name for name in names if name != STDIN and not is_address(name)]
    told = {name: found for name, found in settings["versions"].items() if name != "python"}
    return Needs(
        os.getcwd(),
        tuple(name for name in inputs if os.path.lexists(name)),
        os.path.abspath(sign) if sign else None,
        {"vggfeat": settings["vggfeat"], **told},
    )


def lacking(needs: Needs) -> str | None:
    """The task that looks."""
    return needs.lacking()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
