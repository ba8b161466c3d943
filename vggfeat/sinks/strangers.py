"""What is at an output's place and not vggfeat's: never replaced."""

from __future__ import annotations

from pathlib import Path

from vggfeat.errors import VggfeatError, describe_os_error
from vggfeat.sinks.index import beside, read_about


def check_free(output: Path, form: str) -> None:
    """See that nothing of another's would be replaced by an output and its companions.

    Args:
        output: the file that is to be written.
        form: the name of the form in which.

    Raises:
        VggfeatError: something at its place was not written by vggfeat, or is another output's.
    """
    if not output.parent.is_dir():
        raise VggfeatError(f"{output}: there is no folder {output.parent}")
    if output.exists() and not output.is_file():
        raise VggfeatError(f"{output}: is there and is not a file")
    about_path, index, failed = beside(output)
    if output == about_path or about_path.stem.endswith((".index", ".failed")):
        raise VggfeatError(f"{output}: is a name for what stands beside outputs: choose another -o")
    try:
        about = read_about(about_path)
    except FileNotFoundError:
        strangers = [path for path in (output, index, failed) if path.exists()]
    except OSError as error:
        raise VggfeatError(f"{about_path}: cannot be read: {describe_os_error(error)}") from error
    else:
        strangers = [about_path] if about is None else []
        if about is not None and about.get("output") != output.name:
            raise VggfeatError(
                f"{output}: {about_path.name} beside it belongs to {about.get('output')}; "
                "choose a name that differs before the dot"
            )
        if about is not None and about.get("format") != form:
            raise VggfeatError(
                f"{output}: is {about.get('format')} there: add --format {about.get('format')}, or "
                "choose another -o"
            )
    if strangers:
        raise VggfeatError(
            f"{strangers[0]}: was not written by vggfeat, so it is not replaced: move it away "
            "or choose another -o"
        )
