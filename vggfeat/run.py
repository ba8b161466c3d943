"""One run of `extract`: sources, weights, engine and sink put together."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from vggfeat import engines, pipeline, sinks
from vggfeat.engines import Engine
from vggfeat.errors import VggfeatError
from vggfeat.outcome import Failure, Outcome
from vggfeat.preprocess import RESIZE, Preprocessing
from vggfeat.sinks.files import FileSink, check_free
from vggfeat.sinks.stdout import StdoutSink
from vggfeat.sources import Inputs, open_inputs
from vggfeat.vgg16 import SIZE
from vggfeat.watcher import Watcher
from vggfeat.weights import Weights, chosen_for


class Report(NamedTuple):
    """What a run did.

    Attributes:
        output: the file, `-` for stdout.
        rows: images that became vectors.
        failed: images that did not: `feats.failed.csv` has their names and reasons.
        shape: of one image's features.
        seconds: from the first image to the last row, without loading weights and engine.
        skipped: what was passed over in folders, in words.
    """

    output: str
    rows: int
    failed: int
    shape: tuple[int, ...]
    seconds: float
    skipped: str


def extract(
    inputs: Sequence[str | os.PathLike[str]] | str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    weights: str | os.PathLike[str] | Weights | None = None,
    layer: str = "fc7",
    engine: str = "auto",
    batch_size: int | None = None,
    workers: int | None = None,
    resize: int = RESIZE,
    fast_decode: bool = False,
    form: str | None = None,
    strict: bool = False,
    nul_separated: bool = False,
    watcher: Watcher | None = None,
) -> Report:
    """Extract the features of images into a file, as the command `vggfeat extract` does.

    Args:
        inputs: files and folders, one or several; `-` for a list of paths on stdin.
        output: the file to write, `-` for stdout.
        weights: a name in the store, a file of any known form, or `Weights`; None for the
            default.
        layer: `fc7`, `fc6` or `pool5`, each after its ReLU.
        engine: `auto`, `ncnn` or `tensorflow`.
        batch_size: images computed at once; None for what serves the engine best. It changes
            speed and memory, not the vectors.
        workers: threads that decode; None for as many as there are processors to use.
        resize: length of the smaller side before the central 224x224 is cut out, in pixels.
        fast_decode: shrink large JPEGs while they are decoded, which moves their pixels a little.
        form: `npy` or `csv`; None to go by the output's name.
        strict: end at the first image that fails, without an output.
        nul_separated: paths on stdin end in NUL, not in a newline.
        watcher: told how it goes.

    Raises:
        VggfeatError: it could not run. An image that fails is counted in the report instead.
    """
    watcher = watcher or Watcher()
    names = [inputs] if isinstance(inputs, (str, os.PathLike)) else inputs
    pipeline.check_counts(batch_size, workers)
    preprocessing = Preprocessing(resize, fast_decode)
    target = Path(os.path.realpath(output)) if os.fspath(output) != sinks.STDOUT else None
    form = sinks.form_of(os.fspath(output), form)
    if target is not None:
        check_free(target)
    images = open_inputs([os.fspath(name) for name in names], nul_separated=nul_separated)
    if images.total == 0:
        raise _no_images(images)
    chosen = chosen_for(watcher, weights)
    built = engines.create(engine, chosen, layer)
    if built.name == "tensorflow" and engine == "auto" and not engines.gpu.usable():
        watcher.note("ncnn, the faster engine for CPUs, is not installed: pip install ncnn")
    writer = sinks.form(form)
    sink: sinks.Sink = (
        FileSink(target, writer, built.shape) if target else StdoutSink(writer, built.shape)
    )
    try:
        watcher.start(images.total)
        outcomes = pipeline.run(images, preprocessing, built, batch_size, workers)
        report = _write(outcomes, sink, watcher, strict)
        report = report._replace(output=os.fspath(output), shape=built.shape)
        if report.rows + report.failed == 0:
            raise _no_images(images)
        if images.taken != report.rows + report.failed:
            raise AssertionError(f"{report} of {images.taken} inputs")
        sink.publish(_about(report, form, layer, preprocessing, built, chosen))
    except BaseException:
        if kept := sink.keep():
            watcher.note(kept)
        raise
    finally:
        watcher.stop()
    return report._replace(skipped=str(images.skipped))


def _write(
    batches: Iterable[list[Outcome]], sink: sinks.Sink, watcher: Watcher, strict: bool
) -> Report:
    """Drain the pipeline into the sink."""
    started = time.monotonic()
    rows = failed = 0
    for outcomes in batches:
        failures = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
        if failures and strict:
            raise VggfeatError(f"{failures[0].name}: {failures[0].reason} (--strict)")
        sink.write(outcomes)
        for failure in failures:
            watcher.failed(failure)
        failed += len(failures)
        rows += len(outcomes) - len(failures)
        watcher.advance(len(outcomes))
    return Report("", rows, failed, (), time.monotonic() - started, "")


def _no_images(images: Inputs) -> VggfeatError:
    skipped = f" (skipped: {images.skipped})" if str(images.skipped) else ""
    return VggfeatError(f"no images in {', '.join(images.names)}{skipped}")


def _about(
    report: Report,
    form: str,
    layer: str,
    preprocessing: Preprocessing,
    engine: Engine,
    weights: Weights,
) -> dict[str, object]:
    """What made an output: all that a row depends on, and what the run counted."""
    return {
        "vggfeat": version("vggfeat"),
        "output": Path(os.path.realpath(report.output)).name,
        "format": form,
        "rows": report.rows,
        "failed": report.failed,
        "shape": list(report.shape),
        "dtype": "float32",
        "layer": layer,
        "weights": {"fingerprint": weights.fingerprint, **weights.origin.as_dict()},
        "preprocessing": {
            "decode": "fast" if preprocessing.fast_decode else "exact",
            "resize": preprocessing.resize,
            "crop": SIZE,
            "resample": "bilinear",
            "channels": "rgb",
            "mean": [round(float(value), 3) for value in weights.tensors["mean"]],
        },
        "engine": engine.name,
        "versions": {
            engine.name: engine.version,
            "numpy": version("numpy"),
            "pillow": version("pillow"),
            "python": platform.python_version(),
        },
        "finished": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "seconds": round(report.seconds, 3),
    }
