"""Files that change: told by their stamps, and never read half."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vggfeat.errors import TransientImageError
from vggfeat.sources import open_inputs
from vggfeat.sources.files import LocalFile


def test_a_file_that_changes_while_it_is_read_is_no_image_for_the_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = tmp_path / "a.jpg"
    image.write_bytes(b"before")
    (ref,) = open_inputs([str(image)])
    real = os.fstat
    stats = 0

    def changing(fd: int) -> os.stat_result:
        nonlocal stats
        stats += 1
        if stats == 2:
            os.utime(image, ns=(1, 1))
        return real(fd)

    monkeypatch.setattr(os, "fstat", changing)
    with pytest.raises(TransientImageError, match="it changed while it was read"):
        ref.read()


@pytest.mark.parametrize("written", [b"", b"cut", b"longer than it was"])
def test_a_file_of_another_length_than_told_is_no_image_for_the_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: bytes
) -> None:
    image = tmp_path / "a.jpg"
    image.write_bytes(written)
    told = os.stat_result((33188, 1, 1, 1, 0, 0, 10, 0, 0, 0))
    (ref,) = open_inputs([str(image)])
    monkeypatch.setattr(os, "fstat", lambda fd: told)
    with pytest.raises(TransientImageError):
        ref.read()


def test_what_is_gone_has_no_stamp(tmp_path: Path) -> None:
    for name in (str(tmp_path / "gone.jpg"), "with a NUL\0.jpg"):
        assert LocalFile(name).stamp() is None
