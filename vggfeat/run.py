"""One run of `extract`: sources, weights, engine and sink put together."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from vggfeat import activations, engines, pipeline, sinks
from vggfeat.engines.advice import advice
from vggfeat.errors import UsageError
from vggfeat.extraction import Extraction, no_images
from vggfeat.finish import Finish
from vggfeat.outcome import Outcome
from vggfeat.pace import Pace
from vggfeat.preprocess import preprocessing
from vggfeat.report import Report, Written
from vggfeat.settings import settings
from vggfeat.sinks.earlier import engine_of
from vggfeat.sinks.files import FileSink
from vggfeat.sinks.lock import locked
from vggfeat.sinks.stdout import StdoutSink
from vggfeat.sinks.strangers import check_free
from vggfeat.sinks.vectors import file_names
from vggfeat.sources import ImageRef, open_inputs
from vggfeat.suspects import Suspects
from vggfeat.vgg16 import SIZE
from vggfeat.watcher import Watcher
from vggfeat.weights import Weights, chosen_for


def extract(
    inputs: Sequence[str | os.PathLike[str]] | str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    weights: str | os.PathLike[str] | Weights | None = None,
    layer: str | Sequence[str] = "fc7",
    size: int = SIZE,
    normalize: str | None = None,
    dtype: str = "float32",
    engine: str = "auto",
    precision: str = "float32",
    devices: str | Sequence[int] = "all",
    batch_size: int | None = None,
    workers: int | None = None,
    resize: int | None = None,
    fast_decode: bool = False,
    form: str | None = None,
    fresh: bool = False,
    wait: bool = False,
    dry_run: bool = False,
    strict: bool = False,
    nul_separated: bool = False,
    watcher: Watcher | None = None,
) -> Report:
    """Extract the features of images into a file, as the command `vggfeat extract` does.

    What an earlier run has made of unchanged images, under the same settings, is kept.

    Args:
        inputs: files and folders, one or several; `-` for a list of paths on stdin.
        output: the file to write, `-` for stdout.
        weights: a name in the store, a file of any known form, or `Weights`; None for the
            default.
        layer: `conv1_1` to `conv5_3`, `pool1` to `pool5`, `fc6`, `fc7`, `fc8` or `prob`; behind it
            `:linear` for what is before its ReLU, and of maps `:avg`, `:max` or `:flat`. Several
            go into files of their own, `feats.fc7.npy` and so on.
        size: of the central square that the network sees, in pixels. From 224 on fc6 and what
            follows it are averaged over all positions of its 7x7 window.
        normalize: `l2` for rows of length one.
        dtype: `float32` or `float16`.
        engine: `ncnn` or `tensorflow`; `auto` for that of the rows that are there, else the best.
        precision: `float32`, `tf32`, `bfloat16` or `float16`: what the network is computed in.
        devices: `all` GPUs, or their numbers: `0,1`.
        batch_size: images that an engine or GPU computes at once; None for what serves it best.
            It changes speed and memory, and on a GPU the last bits of the vectors.
        workers: threads that decode; None for as many as there are processors to use.
        resize: length of the smaller side before the central square is cut out, in pixels; None
            for 256, or as much more as the size is larger than 224.
        fast_decode: shrink large JPEGs while they are decoded, which moves their pixels a little.
        form: `npy` or `csv`; None to go by the output's name.
        fresh: compute all images, whatever earlier runs have made.
        wait: where another run is writing the output, wait for its end.
        dry_run: tell the watcher what would be done, and do nothing.
        strict: end at the first image that fails, without an output.
        nul_separated: paths on stdin end in NUL, not in a newline.
        watcher: told how it goes.

    Raises:
        OutputBusyError: another run is writing the output.
        VggfeatError: it could not run. An image that fails is counted in the report instead.
    """
    watcher = watcher or Watcher()
    names = [inputs] if isinstance(inputs, (str, os.PathLike)) else inputs
    asked = activations.parse_all([layer] if isinstance(layer, str) else layer)
    layers = [str(activation) for activation in asked]
    pipeline.check_counts(batch_size, workers)
    prepared = preprocessing(resize, fast_decode, size)
    finish = Finish(normalize, dtype)
    target = Path(os.path.realpath(output)) if os.fspath(output) != sinks.STDOUT else None
    form = sinks.form_of(os.fspath(output), form)
    if target is not None:
        check_free(target, form, layers)
    elif len(layers) > 1:
        raise UsageError("several layers are several files: give -o a name, not stdout")
    with locked(target, layers, wait=wait, on_wait=watcher.note) if target else nullcontext():
        if target is not None:  # as it is when others have ended
            check_free(target, form, layers)
        images = open_inputs([os.fspath(name) for name in names], nul_separated=nul_separated)
        if images.total == 0:
            raise no_images(images)
        chosen = chosen_for(watcher, weights)
        engines.check_reaches(chosen, asked, size)

        def told(engine: str) -> dict[str, Any]:
            return settings(
                form, asked, prepared, engine, chosen,
                precision=precision, normalize=normalize, dtype=dtype,
            )  # fmt: skip

        before = None
        if engine == "auto" and target is not None and not fresh:
            before = engine_of(target, told(engine))
        computing = engines.resolve(
            engine, chosen, asked, size, precision=precision, devices=devices, before=before
        )
        made = told(computing)
        shapes = [tuple(layer["shape"]) for layer in made["layers"]]
        sink: sinks.Sink = (
            FileSink(target, made, fresh=fresh, on_note=watcher.note)
            if target
            else StdoutSink(sinks.form(form), sinks.RowType(shapes[0], dtype))
        )

        def compute(unknown: Iterable[ImageRef], suspects: Suspects) -> Iterator[list[Outcome]]:
            built = engines.create(
                computing, chosen, asked, size,
                precision=precision, devices=devices, batch_size=batch_size, note=watcher.note,
            )  # fmt: skip
            if said := advice(engine, built, precision):
                watcher.note(said)
            return pipeline.run(
                unknown, prepared, built, batch_size, workers,
                lambda image: sink.contents, suspects, finish, pace,
            )  # fmt: skip

        versions = {"vggfeat": made["vggfeat"], **made["versions"]}
        pace = Pace()
        run = Extraction(images, sink, watcher, versions, strict=strict, pace=pace)
        report = run.foresee() if dry_run else run.carry_out(compute, target)
        files = file_names(target, layers) if target else [sinks.STDOUT]
        written = map(Written, layers, files, shapes)
        return report._replace(output=os.fspath(output), layers=tuple(written), dtype=dtype)
