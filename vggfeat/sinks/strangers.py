"""What is at an output's place and not vggfeat's: never replaced."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vggfeat.errors import VggfeatError, describe_os_error
from vggfeat.sinks.index import beside, read_about
from vggfeat.sinks.published import about_at, output_of, replaced_by
from vggfeat.sinks.settle import new
from vggfeat.sinks.vectors import file_names


def check_free(output: Path, form: str, layers: Sequence[str]) -> None:
    """See that nothing of another's would be replaced by an output and its companions.

    Args:
        output: the file that is to be written.
        form: the name of the form in which.
        layers: of which layers, as `--layer` takes them.

    Raises:
        VggfeatError: something at its place was not written by vggfeat, or is another output's.
    """
    if not output.parent.is_dir():
        raise VggfeatError(f"{output}: there is no folder {output.parent}")
    files = [output.with_name(name) for name in file_names(output, layers)]
    for path in files:
        if path.exists() and not path.is_file():
            raise VggfeatError(f"{path}: is there and is not a file")
    about_path, index, failed = beside(output)
    if output == about_path or about_path.stem.endswith((".index", ".failed")):
        raise VggfeatError(f"{output}: is a name for what stands beside outputs: choose another -o")
    try:
        about = read_about(about_path)
    except FileNotFoundError:
        strangers = [path for path in (*files, index, failed) if path.exists()]
    except OSError as error:
        raise VggfeatError(f"{about_path}: cannot be read: {describe_os_error(error)}") from error
    else:
        try:
            ours = _files_of(about, undecided=new(index).exists())
        except (KeyError, TypeError):
            raise VggfeatError(
                f"{about_path}: is of another version of vggfeat, or damaged: move it and what "
                "stands beside it away, or choose another -o"
            ) from None
        strangers = [path for path in files if path.exists() and path.name not in ours]
        if about is None:
            strangers.insert(0, about_path)
        else:
            check_same(output, form, about_path, about)
    if strangers:
        raise VggfeatError(
            f"{strangers[0]}: {_whose(strangers[0])}, so it is not replaced: move it away or "
            "choose another -o"
        )


def check_same(output: Path, form: str, about_path: Path, about: dict[str, Any]) -> None:
    """See that what is told of is this output, in this form. Raises VggfeatError."""
    if about.get("output") != output.name:
        raise VggfeatError(
            f"{output}: {about_path.name} beside it belongs to {about.get('output')}; "
            "choose a name that differs before the dot"
        )
    if about.get("format") != form:
        raise VggfeatError(
            f"{output}: is {about.get('format')} there: add --format {about.get('format')}, or "
            "choose another -o"
        )


def _whose(path: Path) -> str:
    """What keeps a file from being replaced, in words."""
    output = output_of(path)
    if about_at(beside(output).about) is None:
        return "was not written by vggfeat"
    return "is an output by itself" if output == path else f"is a layer of {output.name}"


def _files_of(about: dict[str, Any] | None, *, undecided: bool) -> list[str]:
    """The names of the files of rows that `feats.json` tells of.

    Args:
        undecided: those that it takes the place of may be there still.

    Raises:
        KeyError, TypeError: it tells of none.
    """
    if about is None:
        return []
    listed = [layer["file"] for layer in about["layers"]]
    return listed + replaced_by(about) if undecided else listed
