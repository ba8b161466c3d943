"""A fine-tuning that is going on: a folder beside the output, from which the next run goes on.

    flowers.keras.part/
      settings.json      what is being made
      features.npy ...   of all pictures, for the start
      3.safetensors      what learns, as it was after epoch 3
      history.csv        the epochs that are done
      result.keras       what has come of it, until it takes its place

A file is written whole, and the history last: an epoch that it tells of can be gone on from.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from vggfeat.errors import VggfeatError, describe_os_error
from vggfeat.finetune.history import Row, best, from_csv, to_csv
from vggfeat.finetune.settings import Settings
from vggfeat.whole import put, whole

_SETTINGS = "settings.json"

State = Mapping[str, NDArray[Any]]


class Unfinished:
    """The folder of one output.

    Args:
        output: the file that is to be made.
        settings: what is being made. What was begun with others is begun anew.
        fresh: begin anew in any case.
        on_note: told, in words, that it is begun anew or gone on with.

    Raises:
        VggfeatError: something else has its name, or it cannot be written.
    """

    def __init__(
        self, output: Path, settings: Settings, *, fresh: bool, on_note: Callable[[str], None]
    ) -> None:
        self._output = output
        self.folder = _folder(output)
        self._settings = self.folder / _SETTINGS
        self._history = self.folder / "history.csv"
        with self._writing():
            self._begin(settings, fresh, on_note)
        self.history = self._read_history()
        if self.history:
            on_note(f"{output}: goes on after epoch {self.history[-1].epoch}")

    @property
    def features(self) -> Path:
        """Where those of all pictures are to be."""
        return self.folder / "features.npy"

    @property
    def result(self) -> Path:
        """Where the network is written before it takes its place."""
        return self.folder / "result.keras"

    def keep(self, state: State, row: Row) -> None:
        """Let an epoch be done. Raises VggfeatError where it cannot be written."""
        history = [*self.history, row]
        with self._writing():
            part = self.folder / "writing"
            save_file(dict(state), part)
            put(part, self._state(row.epoch))
            with whole(self._history) as file:
                file.write(to_csv(history).encode())
            self.history = history
            needed = {self._state(row.epoch), self._state(best(history).epoch)}
            for old in set(self.folder.glob("*.safetensors")) - needed:
                old.unlink()

    def state(self, epoch: int) -> State:
        """What was kept after the last or the best epoch."""
        path = self._state(epoch)
        try:
            return load_file(path)
        except (OSError, SafetensorError) as error:
            raise VggfeatError(
                f"{path}: cannot be read ({error}): begin anew with --fresh"
            ) from error

    def _state(self, epoch: int) -> Path:
        return self.folder / f"{epoch}.safetensors"

    def _begin(self, settings: Settings, fresh: bool, on_note: Callable[[str], None]) -> None:
        if self.folder.exists() and not self._settings.is_file() and any(self.folder.iterdir()):
            raise VggfeatError(f"{self.folder}: is in the way, and not vggfeat's: move it away")
        self.folder.mkdir(exist_ok=True)
        if self._settings.exists():
            other = settings.difference(_json(self._settings))
            if other is None and not fresh:
                return
            if other is not None and not fresh:
                on_note(f"{self._output}: what an unfinished run has left is not used: {other}")
            self._history.unlink(missing_ok=True)
            for path in self.folder.glob("*.safetensors"):
                path.unlink()
        with whole(self._settings) as file:
            file.write(json.dumps(settings.as_dict(), indent=2).encode())

    def _read_history(self) -> list[Row]:
        try:
            return from_csv(self._history.read_text())
        except FileNotFoundError:
            return []
        except (OSError, ValueError, TypeError) as error:
            raise VggfeatError(
                f"{self._history}: cannot be read ({error}): begin anew with --fresh"
            ) from error

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except (OSError, SafetensorError) as error:
            reason = describe_os_error(error) if isinstance(error, OSError) else error
            raise VggfeatError(f"{self.folder}: cannot be written: {reason}") from error


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except ValueError:
        return None


def remove(output: Path) -> None:
    """The output is made: nothing is unfinished any more."""
    if (_folder(output) / _SETTINGS).is_file():
        shutil.rmtree(_folder(output), ignore_errors=True)


def _folder(output: Path) -> Path:
    return output.with_name(f"{output.name}.part")
