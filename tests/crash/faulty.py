"""The real command with faults: `python -m tests.crash.faulty kill-after@17 extract imgs -o f.npy`.

What can go wrong is in spec.py.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from tests.crash.layer import Layer, report
from tests.crash.spec import Spec, parse
from vggfeat import cli
from vggfeat.engines import ncnn


def run(spec: Spec, args: Sequence[str]) -> NoReturn:
    """Run the command in this process, which ends with it."""
    output = args[args.index("-o") + 1]
    if spec.computed:
        _count_computed(spec.computed)
    layer = Layer(Path(os.path.realpath(output)).parent, spec)
    if spec.clock:
        _set_clock(spec.clock)
    layer.install()
    sys.argv = ["vggfeat", *args]
    try:
        cli.main()
    finally:
        if spec.listing:
            report(layer.calls)


def _count_computed(file: Path) -> None:
    fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    real, write = ncnn.NcnnEngine.image_stage, os.write

    def image_stage(self: ncnn.NcnnEngine, image: Any) -> Any:
        write(fd, b".")
        return real(self, image)

    ncnn.NcnnEngine.image_stage = image_stage  # type: ignore[method-assign]


def _set_clock(seconds: int) -> None:
    def shifted(real: Callable[[], Any], by: int) -> Callable[[], Any]:
        return lambda: real() + by

    time.time = shifted(time.time, seconds)
    time.time_ns = shifted(time.time_ns, seconds * 10**9)


if __name__ == "__main__":
    run(parse(sys.argv[1]), sys.argv[2:])
