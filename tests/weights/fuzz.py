"""Mutated files of every form: each is read, or refused in one sentence, soon, in little memory.

    python -m tests.weights.fuzz --count 100000 [--seed 0] [FORM...]

The files are of the smallest network there is, so that mutations fall on structure rather than on
numbers. Each form runs in a process of its own, with a limit on its memory; a crash, a time-out or
another exception ends it, and the mutated file is kept.
"""

from __future__ import annotations

import argparse
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from tests import networks
from tests.weights.written import WRITERS
from vggfeat import WeightsError, vgg16
from vggfeat.weights import formats

Done = subprocess.CompletedProcess[str]

MEMORY = 2 << 30  # bytes that a reader may take beyond what the process has at the start
SECONDS = 20  # that a single file may take
TINY = {name: 8 if name in vgg16.FULLY_CONNECTED else 1 for name in vgg16.LAYERS}
_NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, (1 << 63) - 1, -1)


def mutated(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
        if not changed:
            break
        _MUTATIONS[chance.randrange(len(_MUTATIONS))](changed, chance)
    return bytes(changed)


def _flip(data: bytearray, chance: random.Random) -> None:
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _byte(data: bytearray, chance: random.Random) -> None:
    data[chance.randrange(len(data))] = chance.randrange(256)


def _number(data: bytearray, chance: random.Random) -> None:
    size = chance.choice((1, 2, 4, 8))
    value = chance.choice(_NUMBERS) % (1 << 8 * size)
    at = chance.randrange(len(data))
    data[at : at + size] = value.to_bytes(size, chance.choice(("little", "big")))[: len(data) - at]


def _cut(data: bytearray, chance: random.Random) -> None:
    del data[chance.randrange(len(data)) :]


def _remove(data: bytearray, chance: random.Random) -> None:
    at = chance.randrange(len(data))
    del data[at : at + chance.choice((1, 2, 8, 64, 1024))]


def _repeat(data: bytearray, chance: random.Random) -> None:
    at = chance.randrange(len(data))
    data[at:at] = data[at : at + chance.choice((1, 8, 64, 1024))] * chance.choice((1, 2, 50))


def _swap(data: bytearray, chance: random.Random) -> None:
    size = chance.choice((1, 4, 16, 128))
    a, b = (chance.randrange(len(data)) for _ in range(2))
    data[a : a + size], data[b : b + size] = data[b : b + size], data[a : a + size]


_MUTATIONS = (_flip, _flip, _byte, _number, _number, _cut, _remove, _repeat, _swap)


def run(form: str, count: int, seed: int, path: Path) -> Iterator[str]:
    """Read so many mutated copies of a file; yields a sentence for each that was not handled.

    What is left in the folder `work` when it ends is the last file, for a crash to be looked into.
    """
    whole = path.parent
    folder = whole.parent
    formats.read(path, scale="caffe")  # what is mutated can be read to begin with
    files = sorted(file for file in whole.rglob("*") if file.is_file())
    originals = {file.relative_to(whole): file.read_bytes() for file in files}
    work = folder / "work"
    shutil.copytree(whole, work)
    read = work / path.relative_to(whole)
    chance = random.Random(seed)
    limit_memory()
    for number in range(count):
        name = chance.choice(list(originals))
        (work / name).write_bytes(mutated(originals[name], chance))
        started = time.monotonic()
        signal.alarm(SECONDS)
        try:
            formats.read(read, scale="caffe")
        except WeightsError as error:
            if "\n" in str(error).strip() or len(str(error)) > 1000:
                yield f"{form} {number}: not one sentence: {str(error)[:300]!r}"
        except Exception as error:
            yield f"{form} {number}: {type(error).__name__}: {error}"
        finally:
            signal.alarm(0)
        if time.monotonic() - started > SECONDS / 2:
            yield f"{form} {number}: {time.monotonic() - started:.1f} s"
        (work / name).write_bytes(originals[name])


def limit_memory() -> None:
    """Let this process take no more than `MEMORY` beyond what it has mapped by now."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))


def _too_slow(signum: int, frame: FrameType | None) -> None:
    raise TimeoutError(f"more than {SECONDS} s")


def fuzz(form: str, count: int, seed: int, folder: Path, **options: Any) -> Done:
    """Write a form into a folder, and have a process of its own read mutated copies of it.

    `options` are those of `subprocess.run`. The libraries that write are not in that process.
    """
    (folder / "whole").mkdir()
    path = WRITERS[form](networks.layers(TINY), folder / "whole" / "network")
    arguments = ["--child", path, form, "--count", str(count), "--seed", str(seed)]
    command = [sys.executable, "-m", "tests.weights.fuzz", *arguments]
    return subprocess.run(command, check=False, text=True, **options)


def _child(form: str, count: int, seed: int, path: Path) -> int:
    signal.signal(signal.SIGALRM, _too_slow)
    started = time.monotonic()
    bad = 0
    for problem in run(form, count, seed, path):
        bad += 1
        print(problem, flush=True)
        if bad > 20:
            break
    # Not what getrusage tells: that counts the process that started this one as well.
    status = Path("/proc/self/status").read_text("ascii")
    peak = int(status.partition("VmHWM:")[2].split()[0]) >> 10
    seconds = time.monotonic() - started
    print(
        f"{form}: {count:,} files, {bad} not handled, {seconds:.0f} s, peak {peak} MB", flush=True
    )
    return 1 if bad else 0


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("forms", nargs="*", metavar="FORM", help=", ".join(WRITERS))
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        return _child(options.forms[0], options.count, options.seed, options.child)
    failed = 0
    for form in options.forms or WRITERS:
        folder = Path(tempfile.mkdtemp(prefix=f"fuzz-{form}-"))
        try:
            done = fuzz(form, options.count, options.seed, folder)
        except pytest.skip.Exception as reason:
            print(f"{form}: {reason}")
            continue
        if done.returncode in (0, 1):
            shutil.rmtree(folder)
        else:
            print(f"{form}: the process ended with {done.returncode}: {folder} is kept")
        failed += done.returncode != 0
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
