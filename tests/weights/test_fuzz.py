"""Some mutated files of each form; `python -m tests.weights.fuzz` tries as many as one likes."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.weights.written import WRITERS

COUNT = 200
SLOW = {"keras_h5": 20, "keras_3": 20}  # each file takes a process of its own


@pytest.mark.parametrize("form", WRITERS)
def test_mutated_files_are_read_or_refused_in_one_sentence(form: str) -> None:
    count = SLOW.get(form, COUNT)
    done = subprocess.run(
        [sys.executable, "-m", "tests.weights.fuzz", "--count", str(count), form],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "Skipped" in done.stderr:
        pytest.skip("the library that writes it is not installed")
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert re.search(rf"^{form}: {count} files, 0 not handled", done.stdout, re.M)
