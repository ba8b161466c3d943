"""An output's files here and at an address: which are the same, and which way the others go."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from vggfeat.errors import OutputBusyError, VggfeatError
from vggfeat.sinks.index import beside
from vggfeat.sinks.part import put as put_file
from vggfeat.sinks.part import writing
from vggfeat.sinks.published import about_at, usable
from vggfeat.sinks.store import Store
from vggfeat.sinks.strangers import check_same
from vggfeat.sinks.vectors import file_names

_TAKES_TIME = 64 << 20  # bytes
_UNFINISHED = "unfinished"  # files, in the feats.json that stands there while they are replaced


class Copies:
    """The files of an output here, and those at its address.

    Beside the folder of the former stands which of them have been the same, at which state of
    both: as tag of the one, size and time of the other.

    Args:
        store: where the address is.
        output: the output here, alone in its folder.
        layers: of which layers it is to be.
        form: the name of the form in which.
        on_note: told what takes time, in words.
    """

    def __init__(
        self,
        store: Store,
        output: Path,
        layers: Sequence[str],
        form: str,
        on_note: Callable[[str], None],
    ) -> None:
        self._store = store
        self._output = output
        self._form = form
        self._on_note = on_note
        self._folder = output.parent
        self._about, *others = (path.name for path in beside(output))
        self._companions = others
        self._vectors = file_names(output, layers)
        self._there: set[str] = set()  # files of vectors that feats.json tells of
        self._told = self._folder.with_name(f"{self._folder.name}.json")
        self._same: dict[str, Any] = {}
        with suppress(OSError, ValueError, TypeError):
            self._same = dict(json.loads(self._told.read_bytes()))

    def fetch(self) -> None:
        """Have here what others have put there since. Raises VggfeatError."""
        data = self._store.read(self._about)
        about = self._read(data)
        here = about_at(self._here(self._about))
        if about is None or about.get(_UNFINISHED):
            if here is None:
                self._forget()
            return
        if here and not all(self._here(layer["file"]).exists() for layer in here["layers"]):
            here = None
        known = self._same.get(self._about)
        if here and known and known[0] == self._store.tag(self._about):
            return  # what is here may be later: it could not be put there
        if usable(about) and (here is None or here["generation"] != about["generation"]):
            self._fetch([*self._there, *self._companions])
        put_file(self._here(self._about), data or b"")
        self._keep(self._about)

    def _read(self, data: bytes | None) -> dict[str, Any] | None:
        """What is told of the output that is there; None if nothing is.

        Raises:
            VggfeatError: something else is there.
        """
        if data is None:
            self._check_free([*self._vectors, *self._companions])
            return None
        try:
            about = json.loads(data)
            if "vggfeat" not in about:
                raise ValueError("another's")
        except (ValueError, TypeError):
            raise self._strange(self._about) from None
        check_same(self._output, self._form, self._here(self._about), about)
        self._there = set(_files(about))
        self._check_free([name for name in self._vectors if name not in self._there])
        return dict(about)

    def _check_free(self, names: Sequence[str]) -> None:
        for name in names:
            if self._store.tag(name) is not None:
                raise self._strange(name)

    def _strange(self, name: str) -> VggfeatError:
        return VggfeatError(
            f"{self._here(name)}: was not written by vggfeat, so it is not replaced: move it away "
            "or choose another -o"
        )

    def _fetch(self, names: Sequence[str]) -> None:
        there = {name: tag for name in names if (tag := self._store.tag(name)) is not None}
        wanted = [name for name in there if not self._is_same(name, there[name])]
        self._note("fetching", sum(self._store.size(name) for name in wanted))
        with writing(self._output):
            # Until it is back, what is here is not whole.
            self._here(self._about).unlink(missing_ok=True)
            for name in set(names) - there.keys():
                self._here(name).unlink(missing_ok=True)
            for name in wanted:
                self._here(name).unlink(missing_ok=True)  # readers keep what they have open
                self._store.get(name, self._here(name))
                self._keep(name)

    def _forget(self) -> None:
        """Remove what was left of fetching that was cut off."""
        with writing(self._output):
            for name in (*self._vectors, *self._companions):
                self._here(name).unlink(missing_ok=True)

    def put(self) -> None:
        """Have there what is here. Raises VggfeatError."""
        about = about_at(self._here(self._about))
        if about is None:
            return
        here = [*_files(about), *filter(lambda name: self._here(name).exists(), self._companions)]
        before = {*self._there, *self._companions} - set(here)
        gone = [name for name in before if self._store.tag(name) is not None]
        changed = [name for name in here if not self._is_same(name)]
        if changed or gone:
            self._replace(changed, gone, about)
            if not all(map(self._is_same, here)):
                raise OutputBusyError(f"{self._output}: another vggfeat is writing it")
        if changed or gone or not self._is_same(self._about):
            self._store.put(self._about, self._here(self._about))
            self._keep(self._about)

    def _replace(self, changed: Sequence[str], gone: Sequence[str], about: dict[str, Any]) -> None:
        """Put some files there and remove others, while feats.json says that it is being done."""
        self._note("putting", sum(self._here(name).stat().st_size for name in changed))
        files = sorted(self._there.union(_files(about)))
        told = {"output": about["output"], "format": about["format"], _UNFINISHED: files}
        told = {"vggfeat": version("vggfeat"), **told}
        self._store.write(self._about, json.dumps(told).encode())
        for name in changed:
            self._store.put(name, self._here(name))
            self._keep(name)
        for name in gone:
            self._store.remove(name)

    def _note(self, what: str, size: int) -> None:
        if size >= _TAKES_TIME:
            self._on_note(f"{self._output}: {what} {size / 1e9:.1f} GB")

    def _here(self, name: str) -> Path:
        return self._folder / name

    def _is_same(self, name: str, tag: str | None = None) -> bool:
        """Whether a file is there as it is here, as far as both tell without being read."""
        known = self._same.get(name)
        return known is not None and known == self._state(name, tag)

    def _state(self, name: str, tag: str | None = None) -> list[Any] | None:
        try:
            info = self._here(name).stat()
        except FileNotFoundError:
            return None
        return [tag or self._store.tag(name), info.st_size, info.st_mtime_ns]

    def _keep(self, name: str) -> None:
        """Remember that a file is there as it is here."""
        self._same[name] = self._state(name)
        put_file(self._told, json.dumps(self._same).encode())


def _files(about: dict[str, Any]) -> list[str]:
    """The names of the files of vectors that `feats.json` tells of, or stands there for."""
    if _UNFINISHED in about:
        return [str(name) for name in about[_UNFINISHED]]
    return [layer["file"] for layer in (usable(about) or {"layers": []})["layers"]]
