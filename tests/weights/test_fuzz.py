"""Some mutated files of each form; `python -m tests.weights.fuzz` tries as many as one likes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.weights import fuzz
from tests.weights.written import WRITERS

COUNT = 200
SLOW = {"keras_h5": 10, "keras_3": 10}  # each file takes a process of its own


@pytest.mark.parametrize("form", WRITERS)
def test_mutated_files_are_read_or_refused_in_one_sentence(form: str, tmp_path: Path) -> None:
    count = SLOW.get(form, COUNT)
    done = fuzz.fuzz(form, count, 0, tmp_path, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert re.search(rf"^{form}: {count} files, 0 not handled", done.stdout, re.M)
