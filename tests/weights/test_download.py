"""Downloads, from a real server that breaks off, ignores ranges and serves something else."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.weights.servers import Server, serving
from vggfeat import WeightsError
from vggfeat.weights import download as module
from vggfeat.weights.download import download
from vggfeat.weights.published import PublishedFile

CONTENT = bytes(range(256)) * 20_000


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(CONTENT) as server:
        yield server


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.time, "sleep", lambda seconds: None)


def file(server: Server, content: bytes = CONTENT) -> PublishedFile:
    return PublishedFile(server.url, hashlib.md5(content).hexdigest())


def fetch(server: Server, target: Path) -> list[tuple[int, int | None]]:
    progress: list[tuple[int, int | None]] = []
    download(file(server), target, lambda done, total: progress.append((done, total)))
    return progress


def test_the_file_arrives_whole_and_alone(server: Server, tmp_path: Path) -> None:
    progress = fetch(server, tmp_path / "new" / "vgg16.h5")
    assert (tmp_path / "new" / "vgg16.h5").read_bytes() == CONTENT
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["vgg16.h5"]
    assert progress[-1] == (len(CONTENT), len(CONTENT))


def test_a_broken_connection_is_taken_up_where_it_broke(server: Server, tmp_path: Path) -> None:
    server.break_after = [3_000_000, 1_000_000]
    fetch(server, tmp_path / "a.h5")
    assert (tmp_path / "a.h5").read_bytes() == CONTENT
    assert server.requests[0] is None
    starts = [
        int(wanted.removeprefix("bytes=").rstrip("-")) for wanted in server.requests[1:] if wanted
    ]
    assert len(starts) == 2
    assert 0 < starts[0] <= 3_000_000 < starts[1] <= 4_000_000


def test_a_later_call_goes_on_with_what_an_earlier_one_got(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a.h5.part").write_bytes(CONTENT[:1_234_567])
    fetch(server, tmp_path / "a.h5")
    assert server.requests == ["bytes=1234567-"]
    assert (tmp_path / "a.h5").read_bytes() == CONTENT


def test_a_part_that_is_whole_already_only_needs_its_name(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a.h5.part").write_bytes(CONTENT)
    fetch(server, tmp_path / "a.h5")
    assert (tmp_path / "a.h5").read_bytes() == CONTENT


def test_a_server_without_ranges_starts_again(server: Server, tmp_path: Path) -> None:
    server.ranges = False
    server.break_after = [3_000_000]
    fetch(server, tmp_path / "a.h5")
    assert (tmp_path / "a.h5").read_bytes() == CONTENT


def test_another_content_is_refused_and_deleted(server: Server, tmp_path: Path) -> None:
    server.content = CONTENT[:-1] + b"?"
    with pytest.raises(WeightsError, match="has the md5 .*, expected"):
        fetch(server, tmp_path / "a.h5")
    assert not list(tmp_path.iterdir())


def test_a_server_that_always_breaks_off_ends_in_one_sentence(
    server: Server, tmp_path: Path
) -> None:
    server.break_after = [1000] * 100
    with pytest.raises(WeightsError, match="cannot be downloaded .* to go on"):
        fetch(server, tmp_path / "a.h5")
    assert len(server.requests) == 5
    assert not (tmp_path / "a.h5").exists()


def test_a_missing_file_is_not_asked_for_again(server: Server, tmp_path: Path) -> None:
    server.status = 404
    with pytest.raises(WeightsError, match="the server answers 404 Not Found"):
        fetch(server, tmp_path / "a.h5")
    assert len(server.requests) == 1


def test_no_network_is_one_sentence_with_a_way_out(tmp_path: Path) -> None:
    with serving(b"") as server:
        gone = file(server)
    with pytest.raises(WeightsError, match="Connection refused.*vggfeat weights import FILE"):
        download(gone, tmp_path / "a.h5", lambda done, total: None)


def test_a_target_that_cannot_be_written_is_one_sentence(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(WeightsError, match="cannot be written"):
        fetch(server, tmp_path / "file" / "a.h5")
