"""Preprocessing in a process of its own, and decoders that do harm."""

from __future__ import annotations

import ctypes  # noqa: F401  # what images execute
import mmap
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.cli.command import bare_environment
from vggfeat import apart
from vggfeat.apart import preprocess_apart
from vggfeat.errors import ImageError, TransientImageError
from vggfeat.preprocess import ImageData, Preprocessing

PIXELS = np.zeros((224, 224, 3), np.uint8)


class Hostile(Preprocessing):
    """Executes the image."""

    def __call__(self, image: ImageData) -> NDArray[np.uint8]:
        exec(image, globals())  # type: ignore[arg-type]
        return PIXELS


class NeverThere(Preprocessing):
    """Cannot be had in another process."""

    def __reduce__(self) -> Any:
        return os._exit, (9,)


def is_gone(name: str) -> None:
    raise ImageError(name)


def is_gone_for_now(name: str) -> None:
    raise TransientImageError(name)


def reserve(size: int) -> None:
    """Take address space, which the system gives without limit as long as nothing is in it."""
    no_reserve = getattr(mmap, "MAP_NORESERVE", 0x4000)
    try:
        mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | no_reserve)
    except OSError as error:
        raise MemoryError from error


@pytest.fixture(scope="module")
def china() -> bytes:
    folder = Path(__file__).parent.parent / "sample_images"
    return next(folder.rglob("china.jpg")).read_bytes()


@pytest.mark.parametrize(("fast_decode", "size"), [(False, 224), (True, 224), (False, 97)])
def test_pixels_are_those_of_this_process(china: bytes, fast_decode: bool, size: int) -> None:
    preprocessing = Preprocessing(300, fast_decode, size)
    expected, found = preprocessing(china), preprocess_apart(china, preprocessing)
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("data", [b"", b"no image", b"\xff\xd8\xff\xe0 and nothing more"])
def test_reasons_are_those_of_this_process(data: bytes) -> None:
    with pytest.raises(ImageError) as expected:
        Preprocessing()(data)
    with pytest.raises(ImageError, match=f"^{re.escape(str(expected.value))}$") as found:
        preprocess_apart(data, Preprocessing())
    assert type(found.value) is type(expected.value)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("ctypes.string_at(0)", r"its decoder crashed \(SIGSEGV\)"),
        ("os.abort()", r"its decoder crashed \(SIGABRT\)"),
        ("print('P' + 224 * 224 * 3 * 'x', flush=True); os._exit(7)",
         r"its decoder ended the process \(exit code 7\)"),
        ("os._exit(0)", r"its decoder ended the process \(exit code 0\)"),
        ("is_gone('no good: ä \\udcff')", r"no good: ä \\udcff"),
    ],
)  # fmt: skip
def test_a_decoder_that_dies_costs_its_image(code: str, reason: str) -> None:
    with pytest.raises(ImageError, match=f"^{reason}$") as raised:
        preprocess_apart(code.encode(), Hostile())
    assert type(raised.value) is ImageError


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "not enough memory to decode it"),
        ("reserve(1 << 40)", "not enough memory to decode it"),
        ("os.kill(os.getpid(), signal.SIGTERM)", "its decoding was ended by SIGTERM"),
        ("is_gone_for_now('busy')", "busy"),
    ],
)
def test_what_comes_from_outside_may_pass(code: str, reason: str) -> None:
    with pytest.raises(TransientImageError, match=f"^{reason}$"):
        preprocess_apart(code.encode(), Hostile())


@pytest.mark.parametrize("name", ["SECONDS", "_PATIENCE"])
def test_a_decoder_that_takes_too_long_is_ended(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, name, 1)
    code = b"while True: pass" if name == "SECONDS" else b"import time; time.sleep(1000)"
    with pytest.raises(ImageError, match="decoding it took longer than 60 s") as raised:
        preprocess_apart(code, Hostile())
    assert type(raised.value) is ImageError


def test_the_time_in_which_the_process_waits_does_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(apart, "SECONDS", 1)
    found = preprocess_apart(b"import time; time.sleep(1.5)", Hostile())
    np.testing.assert_array_equal(found, PIXELS)


def test_what_decoders_print_is_no_answer(capfd: pytest.CaptureFixture[str]) -> None:
    code = b"os.write(1, b'E'); print('E', flush=True); os.write(2, b'E')"
    np.testing.assert_array_equal(preprocess_apart(code, Hostile()), PIXELS)
    assert capfd.readouterr() == ("", "")


def test_a_process_that_does_not_start_is_no_fault_of_the_image(
    china: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(TransientImageError, match="started to decode it: exit code 9"):
        preprocess_apart(china, NeverThere())
    monkeypatch.setattr("vggfeat.limited._PYTHON", ("/nowhere/python",))
    with pytest.raises(TransientImageError, match="started to decode it: No such file"):
        preprocess_apart(china, Preprocessing())


def test_a_large_image_that_nobody_reads_is_no_broken_pipe() -> None:
    with pytest.raises(TransientImageError, match="no process could be started"):
        preprocess_apart(bytes(1 << 24), NeverThere())


@pytest.mark.parametrize("options", [[], ["-I"], ["-P"]], ids=str)
def test_the_environment_and_the_folder_do_not_matter(
    options: list[str], tmp_path: Path, china: bytes
) -> None:
    if options == ["-P"] and sys.version_info < (3, 11):
        pytest.skip("no option of this Python")
    for name in ("vggfeat", "numpy", "PIL"):
        (tmp_path / name).mkdir()
    for name in ("json.py", "runpy.py", "pickle.py"):
        (tmp_path / name).write_text("raise SystemExit(99)")
    (tmp_path / "china.jpg").write_bytes(china)
    program = (
        "import sys; sys.path = [folder for folder in sys.path if folder]\n"
        "from vggfeat.apart import preprocess_apart\n"
        "from vggfeat.preprocess import Preprocessing\n"
        "sys.stdout.buffer.write(preprocess_apart(open('china.jpg', 'rb').read(), Preprocessing()))"
    )
    done = subprocess.run(
        [sys.executable, *options, "-c", program],
        cwd=tmp_path,
        env=bare_environment(PYTHONPATH=os.pathsep.join(map(os.path.abspath, sys.path))),
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == Preprocessing()(china).tobytes()


def test_a_process_that_is_stopped_for_a_while_goes_on() -> None:
    """Both it and its parent, as by Ctrl-Z: patience is for time in which they could run."""
    program = (
        "from tests.test_apart import Hostile, apart\n"
        "apart.limited._STEP, apart._PATIENCE = 0.1, 2.5\n"
        "print('begins', flush=True)\n"
        "code = b'import time\\nwhile time.process_time() < 0.7: pass'\n"
        "print(apart.preprocess_apart(code, Hostile()).shape)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"begins\n"
    time.sleep(0.2)
    os.killpg(process.pid, signal.SIGSTOP)
    time.sleep(2.6)
    os.killpg(process.pid, signal.SIGCONT)
    assert process.communicate(timeout=30)[0] == b"(224, 224, 3)\n"
