"""The manifest, which tells that all parts belong together, and of what.

`_vggfeat.json` is written last, and becomes `_unfinished.json` before a part is replaced or
removed. Either of them says that a folder is vggfeat's.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from vggfeat.dataset.folder import Folder
from vggfeat.dataset.job import Job
from vggfeat.dataset.part import Record, part_name
from vggfeat.sinks.index import encode_about

MANIFEST = "_vggfeat.json"
UNFINISHED = "_unfinished.json"
_TOLD = {"vggfeat", "format", "dtype", "layers", "versions", "parts"}


class Looked(NamedTuple):
    """When a part was looked at last, and found up to date.

    Attributes:
        nbytes: of its files of rows.
        rows: how many it has.
        failed: images that have none.
        passing: how many of those failed for reasons that may pass.
        made_ns: `Made.began_ns` of the part, which this is about.
        digest: of its inputs.
        looked_ns: when it was looked at.
    """

    nbytes: int
    rows: int
    failed: int
    passing: int
    made_ns: int
    digest: str
    looked_ns: int


class Manifest(NamedTuple):
    """What is told of a folder.

    Attributes:
        about: the content of the file.
        is_whole: whether all parts belong together, as far as they have the sizes that are told.
    """

    about: dict[str, Any]
    is_whole: bool

    @property
    def runs(self) -> list[dict[str, Any]]:
        runs = self.about.get("runs")
        return runs if isinstance(runs, list) else []

    def looked(self) -> dict[str, Looked]:
        """By the names of the parts."""
        found: dict[str, Looked] = {}
        with suppress(KeyError, TypeError, AttributeError):  # of another version, or damaged
            for told in self.about["parts"]:
                found[told["name"]] = Looked(
                    int(told["bytes"]), int(told["rows"]), int(told["failed"]),
                    int(told["passing"]),
                    int(told["began_ns"]), str(told["digest"]), int(told["looked_ns"]),
                )  # fmt: skip
        return found


def read(folder: Folder) -> Manifest | None:
    """What is told of a folder; None where nothing is, or it is damaged. Raises VggfeatError."""
    for name in (MANIFEST, UNFINISHED):
        with suppress(FileNotFoundError):
            about = _decoded(folder.read(name))
            if about is not None:
                return Manifest(about, name == MANIFEST and {"rows", "failed"} <= about.keys())
    return None


def _decoded(data: bytes) -> dict[str, Any] | None:
    """None where it is damaged."""
    with suppress(ValueError):
        about = json.loads(data)
        if isinstance(about, dict) and about.keys() >= _TOLD:
            return about
    return None


def unseal(folder: Folder, job: Job) -> None:
    """Let nobody take the parts for whole any more: one of them is to be replaced or removed."""
    data = encode_about(job.settings | {"parts": [], "runs": []})
    if folder.size(MANIFEST) is not None:
        try:
            told = folder.read(MANIFEST)
        except FileNotFoundError:  # another process was faster, and has done it all
            return
        folder.put_bytes(UNFINISHED, data if _decoded(told) is None else told)
        folder.remove(MANIFEST)
    elif folder.size(UNFINISHED) is None:
        folder.put_bytes(UNFINISHED, data)


def seal(folder: Folder, job: Job, records: Iterable[Record], about: Mapping[str, Any]) -> None:
    """Write the manifest.

    Args:
        records: of all parts, in order.
        about: what it is to tell beside the settings and the parts.
    """
    listed = list(records)
    told = job.settings | {
        "rows": sum(record.rows for record in listed),
        "failed": sum(record.failed for record in listed),
        "runs": about["runs"],
        "parts": [_told(record) for record in listed],
    }
    folder.put_bytes(MANIFEST, encode_about(told))
    if folder.size(UNFINISHED) is not None:
        folder.remove(UNFINISHED)


def _told(record: Record) -> dict[str, Any]:
    return {
        "name": part_name(record.number),
        "rows": record.rows,
        "failed": record.failed,
        "passing": record.passing,
        "bytes": record.nbytes,
        "digest": record.digest,
        "began_ns": record.made_ns,
        "looked_ns": record.began_ns,
    }
