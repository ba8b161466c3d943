"""How long and how large a run is that has nothing to do: `python -m tests.crash.large`."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.crash import scene
from tests.crash.server import ROOT

_CONTENTS = 10


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.crash.large", description=__doc__)
    parser.add_argument("--images", type=int, default=100_000)
    images = parser.parse_args().images
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = {**os.environ, **scene.environment(folder), "PYTHONPATH": str(ROOT)}
        _fill(folder, images)
        for inputs, what in [
            ("few", f"{_CONTENTS} images, computed"),
            ("few", f"{_CONTENTS} images, nothing to do"),
            ("many", f"{images:,} images of the same contents, hashed"),
            ("many", f"{images:,} images, nothing to do"),
        ]:
            seconds, memory = _measured(folder, ["extract", inputs, "-o", "f.npy"], environment)
            print(f"{seconds:6.2f} s, {memory / 1e6:4.0f} MB at the peak: {what}", flush=True)


def _fill(folder: Path, images: int) -> None:
    for name in ("few", "many"):
        (folder / name).mkdir()
    for number in range(_CONTENTS):
        path = folder / "few" / f"{number}.png"
        path.write_bytes(scene.picture(number))
        os.utime(path, (scene.LONG_AGO, scene.LONG_AGO))
    for number in range(images):
        os.link(folder / "few" / f"{number % _CONTENTS}.png", folder / "many" / f"{number}.png")


def _measured(folder: Path, args: list[str], environment: dict[str, str]) -> tuple[float, int]:
    """Seconds, and bytes of memory at the peak."""
    started = time.monotonic()
    command = [sys.executable, "-m", "vggfeat", *args, "-q"]
    process = subprocess.Popen(command, cwd=folder, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0
    return time.monotonic() - started, usage.ru_maxrss * 1024


if __name__ == "__main__":
    main()
