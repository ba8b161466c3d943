"""One run of `extract`: sources, weights, engine and sink put together."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from vggfeat import activations, engines, pipeline, sinks
from vggfeat.activations import Activation
from vggfeat.computation import Computation
from vggfeat.errors import UsageError
from vggfeat.finish import Finish
from vggfeat.into_file import into_file
from vggfeat.preprocess import preprocessing
from vggfeat.remote import is_address
from vggfeat.report import Report
from vggfeat.vgg16 import SIZE, WIDTHS
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
    column: str | None = None,
    shard: str | None = None,
    ray: str | None = None,
    watcher: Watcher | None = None,
) -> Report:
    """Extract the features of images, as the command `vggfeat extract` does.

    What an earlier run has made of unchanged images, under the same settings, is kept.

    Args:
        inputs: files, folders, archives, tables and addresses, one or several; `-` for a list of
            them on stdin.
        output: the file to write, `-` for stdout; with `/` at its end a folder of parts. Files
            and folders may be at addresses.
        weights: a name in the store, a file of any known form, or `Weights`; None for the
            default.
        layer: `conv1_1` to `conv5_3`, `pool1` to `pool5`, `fc6`, `fc7`, `fc8` or `prob`; behind it
            `:linear` for what is before its ReLU, and of maps `:avg`, `:max` or `:flat`. Several
            go into files of their own, `feats.fc7.npy` and so on, or into columns of Parquet
            parts.
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
        form: `npy`, `csv` ...; None to go by the output's name. Of parts `parquet` or `npy`; None
            for `parquet`.
        fresh: compute all images, whatever earlier runs have made.
        wait: where another run is writing the output, wait for its end.
        dry_run: tell the watcher what would be done, and do nothing.
        strict: end at the first image that fails, without an output.
        nul_separated: paths on stdin end in NUL, not in a newline.
        column: of tables among the inputs, the one that holds images or paths; None to find it.
        shard: `3/16` to compute only the parts that the fourth of sixteen processes takes.
        ray: have the parts computed by a Ray cluster: `host:port` of its head, or `auto` for the
            one that is running, else one that is started here for the time of the run.
        watcher: told how it goes.

    Raises:
        OutputBusyError: another run is writing the output.
        VggfeatError: it could not run. An image that fails is counted in the report instead.
    """
    watcher = watcher or Watcher()
    given = [inputs] if isinstance(inputs, (str, os.PathLike)) else inputs
    names = [os.fspath(name) for name in given]
    target = os.fspath(output)
    asked = activations.parse_all([layer] if isinstance(layer, str) else layer)
    pipeline.check_counts(batch_size, workers)
    prepared = preprocessing(resize, fast_decode, size)
    finish = Finish(normalize, dtype)

    def load() -> Computation:
        chosen = chosen_for(watcher, weights)
        engines.check_reaches(chosen, asked, size)
        return Computation(
            chosen, asked, prepared, finish, engine, precision, devices, batch_size, workers
        )

    if _is_folder(target, form):
        return _into_folder(
            names, target, asked, size, dtype, load, watcher, devices,
            form=form, shard=shard, ray=ray, fresh=fresh, wait=wait, dry_run=dry_run,
            strict=strict, nul_separated=nul_separated, column=column,
        )  # fmt: skip
    if shard is not None or ray is not None:
        raise UsageError(
            f"{'--shard' if shard is not None else '--ray'} is for a folder of parts: end -o in /"
        )
    return into_file(
        names, target, [str(activation) for activation in asked], load, watcher,
        form=sinks.form_of(target, form), fresh=fresh, wait=wait, dry_run=dry_run, strict=strict,
        nul_separated=nul_separated, column=column,
    )  # fmt: skip


def _is_folder(output: str, form: str | None) -> bool:
    """Whether an output is a folder of parts. Raises UsageError where that is in doubt."""
    if output.endswith(("/", os.sep)):
        return True
    if form is None and not is_address(output) and os.path.isdir(output):
        raise UsageError(f"{output}: is a folder: write {output}/ for parts in it")
    return False


def _into_folder(
    names: Sequence[str],
    output: str,
    asked: Sequence[Activation],
    size: int,
    dtype: str,
    load: Callable[[], Computation],
    watcher: Watcher,
    devices: str | Sequence[int],
    *,
    form: str | None,
    shard: str | None,
    ray: str | None,
    **given: bool | str | None,
) -> Report:
    """A run whose output is a folder of parts."""
    from vggfeat.dataset import extract as dataset
    from vggfeat.dataset.forms import form_of
    from vggfeat.dataset.shard import ALL, shard_of

    if ray is not None and shard is not None:
        raise UsageError("--shard with --ray: Ray deals the parts out by itself")
    if ray is not None and devices != "all":
        raise UsageError("--devices with --ray: Ray gives out the GPUs")
    own = ALL if shard is None else shard_of(shard)
    options = dataset.Options(form_of(output, form), own, ray, **given)  # type: ignore[arg-type]
    # Of the full network, so that parts are the same whatever the weights' widths.
    rows = [sinks.RowType(activation.shape(WIDTHS, size), dtype) for activation in asked]
    return dataset.extract(names, output, rows, load, options, watcher)
