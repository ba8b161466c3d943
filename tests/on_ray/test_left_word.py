"""What an actor that dies leaves for the one that takes its place."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
from pathlib import Path

import pytest

from vggfeat.errors import VggfeatError
from vggfeat.ray import attempts, local
from vggfeat.ray.attempts import attempt
from vggfeat.ray.suspected import suspects

forked = multiprocessing.get_context("fork")


def dies(target: object, *args: object) -> None:
    process = forked.Process(target=target, args=args)  # type: ignore[arg-type]
    process.start()
    process.join()
    assert process.exitcode == 9


def die_decoding(folder: Path, name: str) -> None:
    with suspects(folder) as noted, noted.decoding(name):
        os._exit(9)


def die_trying(folder: Path, name: str, attempt_of: str) -> None:
    attempts._THIS_PROCESS = attempt_of
    with attempt(folder, name, "died over it"):
        os._exit(9)


def test_who_comes_back_suspects_what_all_were_decoding(tmp_path: Path) -> None:
    with suspects(tmp_path):  # another actor, alive
        dies(die_decoding, tmp_path, "a.jpg")
    dies(die_decoding, tmp_path, "b.jpg")  # takes the first file again, and dies as well
    with suspects(tmp_path) as noted:
        assert {"a.jpg", "b.jpg"} == noted.names
    with suspects(tmp_path), suspects(tmp_path):  # all is decided now
        pass
    with suspects(tmp_path) as noted:
        assert not noted.names


def test_what_is_not_decided_stays_suspected(tmp_path: Path) -> None:
    dies(die_decoding, tmp_path, "a.jpg")
    with contextlib.suppress(KeyError), suspects(tmp_path):
        raise KeyError
    with suspects(tmp_path) as noted:
        assert noted.names == {"a.jpg"}


def test_a_part_is_given_up_when_process_after_process_has_died(tmp_path: Path) -> None:
    for number in range(attempts.MOST):
        dies(die_trying, tmp_path, "run.3", str(number))
        with attempt(tmp_path, "run.4", ""):  # others go on
            pass
    with (
        pytest.raises(VggfeatError, match="^4 processes died over it"),
        attempt(tmp_path, "run.3", "died over it"),
    ):
        pass


def test_a_call_that_is_only_sent_again_does_not_count(tmp_path: Path) -> None:
    with contextlib.ExitStack() as held:
        for _ in range(attempts.MOST + 2):
            held.enter_context(attempt(tmp_path, "run.0", ""))
    assert not list(tmp_path.iterdir())


def test_the_folder_is_this_users_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    one, other = local.folder("/a/feats/"), local.folder("/b/feats/")
    assert one
    assert other
    assert one != other
    assert one == local.folder("/a/feats/")
    assert one.parent.stat().st_mode & 0o077 == 0
    one.parent.rename(tmp_path / "gone")
    one.parent.write_bytes(b"")  # somebody else's
    assert local.folder("/a/feats/") is None
