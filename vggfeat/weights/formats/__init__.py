"""Every form in which VGG16 is published: one module each, and the table that lists them.

A form is a module with

- `NAME`, `FILES` and `ABOUT`: what it is called, the names of its files, and what is known
  of it, in words for the README's table;
- `recognise(path)`, which looks at the content and not at the suffix;
- `find(path)`, which gives the network that the file holds, nothing of it converted yet.

What `find` raises needs no path, and need not be a `WeightsError` where a file is damaged.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from vggfeat.errors import WeightsError, describe_os_error
from vggfeat.inputs import CHANNELS, SCALES
from vggfeat.weights import recognition
from vggfeat.weights.canonical import Weights
from vggfeat.weights.convert import conv1_1, convert
from vggfeat.weights.evidence import Evidence
from vggfeat.weights.formats import (
    caffe,
    canonical,
    frozen,
    keras,
    npy,
    npz,
    onnx,
    safetensors,
    torch,
)
from vggfeat.weights.formats.tensorflow import saved_model, slim, tarball
from vggfeat.weights.layers import Network
from vggfeat.weights.origin import Origin


class Form(Protocol):
    """What the module of a form has."""

    NAME: str
    FILES: str
    ABOUT: str

    def recognise(self, path: Path) -> bool: ...

    def find(self, path: Path) -> Network: ...


FORMS: tuple[Form, ...] = (
    keras,
    saved_model,
    slim,
    tarball,
    torch,
    safetensors,
    npz,
    npy,
    caffe,
    onnx,
    frozen,
)


_LONGEST = 900  # characters of a message
SETTLED = (
    "what it takes was settled when it was imported: import the original file with --channels, "
    "--scale or --ema"
)


def read(
    path: Path, *, channels: str | None = None, scale: str | None = None, ema: bool = False
) -> Weights:
    """Read weights of any form that is known.

    Args:
        path: a file, or what else a form takes: for TF-Slim checkpoints a prefix or folder.
        channels: `rgb` or `bgr`, where the user knows what conv1_1 takes.
        scale: likewise, a name of `inputs.SCALES`.
        ema: take the exponential moving averages that a checkpoint holds.

    Raises:
        WeightsError: there is nothing, nothing known, or no VGG16 at the path; or neither its
            form nor its numbers decide what it takes, and the user has not said it.
    """
    try:
        if canonical.recognise(path):
            if channels or scale or ema:
                raise WeightsError(SETTLED)
            return canonical.read(path)
        network = find(path, ema=ema)
        return _converted(path, network, channels, scale)
    except WeightsError as error:
        said = _printable(str(error).removeprefix(f"{path}: "))
        raise WeightsError(f"{path}: {said}") from error.__cause__
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {describe_os_error(error)}") from error
    except Exception as error:  # whatever a reader stumbles over in a file made by anyone
        raise WeightsError(
            f"{path}: damaged, or not what it looks like ({type(error).__name__}: "
            f"{_printable(str(error))})"
        ) from error


def find(path: Path, *, ema: bool = False) -> Network:
    """The network at a path, by the first form that recognises it.

    Raises:
        WeightsError: nothing is there, nothing known, or no VGG16.
        Exception: a file is damaged in a way that its form's reader does not look for.
    """
    form = next((form for form in FORMS if form.recognise(path)), None)
    if form is slim:
        return slim.find(path, ema=ema)
    if ema:
        raise WeightsError("moving averages are a matter of TensorFlow checkpoints")
    if form is not None:
        return form.find(path)
    if not path.exists():
        raise WeightsError("no such file")
    known = ", ".join(name for name, _, _ in listed())
    raise WeightsError(f"not a form of weights that vggfeat knows ({known})")


def _converted(path: Path, network: Network, channels: str | None, scale: str | None) -> Weights:
    decision = recognition.decide(network, *conv1_1(network), channels, scale)
    if decision.taken is None:
        raise WeightsError(_asked_for(network, decision.evidence))
    tensors = dict(convert(network, decision.taken))
    origin = Origin(
        f"{network.form} {path.name}",
        recognition.training_of(tensors, decision.evidence),
        decision.taken.channels,
        decision.taken.scale,
        str(decision.taken),
        decision.how,
        (*network.notes, *decision.warnings),
    )
    return Weights(tensors, origin)


def _asked_for(network: Network, evidence: Evidence | None) -> str:
    scale = f"--scale {'|'.join(SCALES)} to vggfeat weights import"
    if evidence is not None:
        return (
            f"a VGG16 ({network.form}) that takes {evidence.channels.upper()}, as conv1_1 tells, "
            f"but neither form nor numbers tell the scale of its pixels: say it with {scale}"
        )
    return (
        f"a VGG16 ({network.form}), but neither its form nor its numbers tell what pixels it "
        f"takes: say it with --channels {'|'.join(CHANNELS)} {scale}"
    )


def _printable(text: str) -> str:
    """One line of it, whatever a file has put into the names that it quotes."""
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}..."


def listed() -> list[tuple[str, str, str]]:
    """Name, files and description of each form."""
    forms = [(form.NAME, form.FILES, form.ABOUT) for form in FORMS]
    return [*forms, (canonical.NAME, canonical.FILES, canonical.ABOUT)]


def table() -> str:
    """All forms as a table in Markdown: the README's."""
    rows = [("form", "files", "what is read"), ("---", "---", "---"), *listed()]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
