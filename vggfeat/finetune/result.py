"""What is left of a fine-tuning: a plain Keras file, and the files beside it.

The Keras file has an entry of vggfeat's, `vggfeat.json`, which Keras passes over: class names
travel with it, and by it the next run knows what it would make.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vggfeat.errors import UsageError, VggfeatError, describe_os_error
from vggfeat.exports.keras_model import save
from vggfeat.finetune.history import Row, best, to_csv
from vggfeat.finetune.plot import plot
from vggfeat.finetune.settings import Settings
from vggfeat.finetune.start import Start
from vggfeat.head import file as heads
from vggfeat.head.data import fingers
from vggfeat.preprocess import Preprocessing
from vggfeat.recipe import Recipe
from vggfeat.sinks.index import encode_failed
from vggfeat.weights import formats
from vggfeat.whole import put, whole

SUFFIX = ".keras"
ENTRY = "vggfeat.json"


class Companions(NamedTuple):
    """Beside `flowers.keras`: `flowers.finetune.json`, `flowers.history.csv` ..."""

    about: Path
    history: Path
    plot: Path
    head: Path
    failed: Path


def companions(output: Path) -> Companions:
    ends = (".finetune.json", ".history.csv", ".history.png", ".head", ".unread.csv")
    return Companions(*(output.with_name(output.stem + end) for end in ends))


def check_place(output: Path) -> None:
    """See that the result can be put there.

    Raises:
        UsageError: its name is not one of Keras' files.
        VggfeatError: there is no folder for it, or something else is there.
    """
    if output.suffix != SUFFIX:
        raise UsageError(f"{output}: the name of a Keras file must end in {SUFFIX}")
    if not output.parent.is_dir():
        raise VggfeatError(f"{output}: cannot be written: there is no folder {output.parent}")
    if about_of(output):
        return
    # A run that was cut off at its very end has left all but the model.
    begun = _ours(companions(output).about)
    for path in (output, *(() if begun else companions(output))):
        if path.exists():
            raise VggfeatError(
                f"{path}: vggfeat did not make it, so it is not replaced: move it away or choose "
                "another -o"
            )


def about_of(output: Path) -> dict[str, Any] | None:
    """What is told in a file that an earlier run has made; None of another file or none."""
    try:
        with zipfile.ZipFile(output) as archive:
            return _read_about(archive.read(ENTRY))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise VggfeatError(f"{output}: cannot be read: {describe_os_error(error)}") from error
    except (zipfile.BadZipFile, KeyError):
        return None


def _ours(path: Path) -> bool:
    try:
        return _read_about(path.read_bytes()) is not None
    except OSError:
        return False


def _read_about(told: bytes) -> dict[str, Any] | None:
    try:
        about = json.loads(told)
    except ValueError:
        return None
    return about if isinstance(about, dict) and "settings" in about else None


def about(settings: Settings, start: Start, history: Sequence[Row]) -> dict[str, Any]:
    """What is told of a result."""
    return {
        "classes": list(settings.classes),
        "settings": settings.as_dict(),
        "learned_from": len(start.learned),
        "judged_by": len(start.judging),
        "failed": len(start.failed),
        "epochs": history[-1].epoch,
        "start": history[0]._asdict(),
        "best": best(history)._asdict(),
        "versions": {name: version(name) for name in ("vggfeat", "keras", "numpy", "pillow")},
    }


def write(
    output: Path,
    part: Path,
    model: Any,
    about: dict[str, Any],
    history: Sequence[Row],
    start: Start,
) -> None:
    """Write all files, each whole or not at all: the model first, as `part`, since it is what a
    disk may have no room for, and to its place last, since with it all is done.

    Raises:
        VggfeatError: one cannot be written.
    """
    told = json.dumps(about, indent=2).encode() + b"\n"
    files = companions(output)
    try:
        save(model, part)
        with zipfile.ZipFile(part, "a") as archive:
            archive.writestr(ENTRY, told)
        for path, content in (
            (files.about, told),  # the first one, by which the others are known as ours
            (files.history, to_csv(history).encode()),
            (files.failed, encode_failed(start.failed)),
        ):
            if content:
                with whole(path) as file:
                    file.write(content)
            else:
                path.unlink(missing_ok=True)
        with whole(files.plot) as file:
            plot(history, file)
        heads.write(_head(model, part, output.name, about, start), files.head)
        put(part, output)
    except OSError as error:
        raise VggfeatError(f"{output}: cannot be written: {describe_os_error(error)}") from error


def _head(model: Any, part: Path, name: str, about: dict[str, Any], start: Start) -> heads.Head:
    """The classes as a head on what the result, as `--weights`, gives up to its last layer."""
    settings = about["settings"]
    made = formats.read(part)
    kernel, bias = model.get_layer("predictions").get_weights()
    source = made.source.replace(part.name, name)
    recipe = Recipe(made.fingerprint, source, settings["layer"], Preprocessing())
    told = {name: about[name] for name in ("settings", "best")}
    return heads.Head(
        kernel, bias, tuple(about["classes"]), recipe, told, np.unique(fingers(start.contents))
    )
