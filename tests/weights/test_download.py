"""Downloads, from a real server that breaks off, ignores ranges, lies and serves something else."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.weights.servers import Server, serving
from vggfeat import WeightsError
from vggfeat.weights import transfer
from vggfeat.weights.download import download
from vggfeat.weights.published import PublishedFile

CONTENT = bytes(range(256)) * 20_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving(CONTENT) as server:
        yield server


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that would have been waited."""
    waits: list[float] = []
    monkeypatch.setattr(transfer, "sleep", waits.append)
    return waits


def fetch(
    server: Server, target: Path, size: int | None = None, url: str | None = None
) -> list[tuple[int, int | None]]:
    progress: list[tuple[int, int | None]] = []
    file = PublishedFile(url or server.url, f"sha256:{SHA256}", size)
    download(file, target, lambda done, total: progress.append((done, total)))
    return progress


def starts(server: Server) -> list[int]:
    return [int(wanted[len("bytes=") : -1]) if wanted else 0 for wanted in server.requests]


def test_the_file_arrives_whole_and_alone(server: Server, tmp_path: Path) -> None:
    progress = fetch(server, tmp_path / "new" / "vgg16.h5")
    assert (tmp_path / "new" / "vgg16.h5").read_bytes() == CONTENT
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["vgg16.h5"]
    assert progress[-1] == (len(CONTENT), len(CONTENT))


def test_a_broken_connection_is_taken_up_where_it_broke(server: Server, tmp_path: Path) -> None:
    server.break_after = [3_000_000, 1_000_000]
    fetch(server, tmp_path / "a.h5")
    assert (tmp_path / "a.h5").read_bytes() == CONTENT
    first, second, third = starts(server)
    assert first == 0 < second <= 3_000_000 < third <= 4_000_000


def test_a_later_call_goes_on_with_what_an_earlier_one_got(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a.h5.part").write_bytes(CONTENT[:1_234_567])
    fetch(server, tmp_path / "a.h5")
    assert server.requests == ["bytes=1234567-"]
    assert (tmp_path / "a.h5").read_bytes() == CONTENT


@pytest.mark.parametrize("size", [None, len(CONTENT)])
def test_a_part_that_is_whole_already_only_needs_its_name(
    server: Server, tmp_path: Path, size: int | None
) -> None:
    (tmp_path / "a.h5.part").write_bytes(CONTENT)
    fetch(server, tmp_path / "a.h5", size)
    assert (tmp_path / "a.h5").read_bytes() == CONTENT
    assert len(server.requests) == (0 if size else 1)


@pytest.mark.parametrize("size", [None, len(CONTENT)])
@pytest.mark.parametrize("rubbish", [b"?" * 1000, CONTENT + b"?"])
def test_a_part_that_is_damaged_is_fetched_anew(
    server: Server, tmp_path: Path, rubbish: bytes, size: int | None
) -> None:
    (tmp_path / "a.h5.part").write_bytes(rubbish)
    fetch(server, tmp_path / "a.h5", size)
    assert (tmp_path / "a.h5").read_bytes() == CONTENT


def test_a_server_without_ranges_takes_nothing_from_what_is_there(
    server: Server, tmp_path: Path
) -> None:
    server.ranges = False
    (tmp_path / "a.h5.part").write_bytes(CONTENT[:4_000_000])
    server.break_after = [3_000_000] * 5
    with pytest.raises(WeightsError, match="broke off"):
        fetch(server, tmp_path / "a.h5")
    assert (tmp_path / "a.h5.part").read_bytes() == CONTENT[:4_000_000]
    fetch(server, tmp_path / "a.h5")
    assert (tmp_path / "a.h5").read_bytes() == CONTENT


def test_an_answer_that_begins_earlier_than_asked_is_fitted_in(
    server: Server, tmp_path: Path
) -> None:
    (tmp_path / "a.h5.part").write_bytes(CONTENT[:3_000_000])
    server.shift = 100_001
    fetch(server, tmp_path / "a.h5")
    assert (tmp_path / "a.h5").read_bytes() == CONTENT


def test_an_answer_that_begins_later_than_asked_is_refused(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a.h5.part").write_bytes(CONTENT[:3_000_000])
    server.shift = -10
    with pytest.raises(WeightsError, match="another part than it was asked for"):
        fetch(server, tmp_path / "a.h5")
    assert (tmp_path / "a.h5.part").read_bytes() == CONTENT[:3_000_000]


def test_another_content_is_refused_and_deleted(server: Server, tmp_path: Path) -> None:
    server.content = CONTENT[:-1] + b"?"
    with pytest.raises(WeightsError, match=f"has the sha256 .*, expected {SHA256}; it was deleted"):
        fetch(server, tmp_path / "a.h5")
    assert not list(tmp_path.iterdir())


def test_another_size_is_refused_before_anything_is_written(server: Server, tmp_path: Path) -> None:
    server.content = CONTENT + b"?"
    with pytest.raises(WeightsError, match="has 5,120,001 bytes, expected 5,120,000"):
        fetch(server, tmp_path / "a.h5", len(CONTENT))
    assert not list(tmp_path.iterdir())
    (tmp_path / "a.h5.part").write_bytes(CONTENT[:4_000_000])
    with pytest.raises(WeightsError, match="has 5,120,001 bytes, expected 5,120,000"):
        fetch(server, tmp_path / "a.h5", len(CONTENT))
    assert (tmp_path / "a.h5.part").read_bytes() == CONTENT[:4_000_000]


def test_a_web_page_in_its_place_costs_nothing_of_what_is_there(
    server: Server, tmp_path: Path
) -> None:
    (tmp_path / "a.h5.part").write_bytes(CONTENT[:4_000_000])
    server.headers = {"Content-Type": "text/html; charset=utf-8"}
    with pytest.raises(WeightsError, match="a web page comes in the file's place"):
        fetch(server, tmp_path / "a.h5")
    server.headers = {}
    fetch(server, tmp_path / "a.h5")
    assert starts(server)[-1] == 4_000_000


def test_a_length_that_is_said_too_long_is_survived(server: Server, tmp_path: Path) -> None:
    server.lie = 1000
    fetch(server, tmp_path / "a.h5")
    assert (tmp_path / "a.h5").read_bytes() == CONTENT


def test_a_length_that_is_said_too_short_is_noticed(server: Server, tmp_path: Path) -> None:
    server.lie = -1000
    with pytest.raises(WeightsError, match="has the sha256"):
        fetch(server, tmp_path / "a.h5")
    assert not list(tmp_path.iterdir())


def test_no_length_is_no_hindrance(server: Server, tmp_path: Path) -> None:
    server.lie = None
    assert fetch(server, tmp_path / "a.h5")[-1] == (len(CONTENT), None)
    server.break_after = [3_000_000]
    assert fetch(server, tmp_path / "b.h5", len(CONTENT))[-1] == (len(CONTENT), len(CONTENT))
    assert starts(server) == [0, 0, 3_000_000]


def test_no_more_comes_than_there_can_be(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.lie = None
    with pytest.raises(WeightsError, match="more than 1,000,000 bytes come"):
        fetch(server, tmp_path / "a.h5", 1_000_000)
    assert (tmp_path / "a.h5.part").stat().st_size <= 1_000_000
    monkeypatch.setattr(transfer, "_MOST", 2_000_000)
    with pytest.raises(WeightsError, match="more than 2,000,000 bytes come"):
        fetch(server, tmp_path / "b.h5")
    assert (tmp_path / "b.h5.part").stat().st_size <= 2_000_000


def test_a_length_beyond_reason_is_refused(server: Server, tmp_path: Path) -> None:
    server.lie = 1 << 40
    with pytest.raises(WeightsError, match="which is no VGG16"):
        fetch(server, tmp_path / "a.h5")


def test_a_server_that_always_breaks_off_ends_in_one_sentence(
    server: Server, tmp_path: Path, waits: list[float]
) -> None:
    server.break_after = [1000] * 100
    with pytest.raises(WeightsError, match="cannot be downloaded.*broke off.*to go on"):
        fetch(server, tmp_path / "a.h5")
    assert len(server.requests) == 5
    assert waits == [0.5, 1, 2, 4]
    assert not (tmp_path / "a.h5").exists()


def test_a_long_file_over_a_bad_line_arrives(server: Server, tmp_path: Path) -> None:
    server.content = CONTENT * 4
    server.break_after = [1_200_000] * 15
    progress: list[int] = []
    digest = f"sha256:{hashlib.sha256(server.content).hexdigest()}"
    download(PublishedFile(server.url, digest), tmp_path / "a.h5", lambda d, t: progress.append(d))
    assert (tmp_path / "a.h5").read_bytes() == server.content
    assert len(server.requests) == 16
    assert progress == sorted(progress)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_busy_server_is_asked_again(
    server: Server, tmp_path: Path, waits: list[float], status: int
) -> None:
    server.statuses = [status, status]
    fetch(server, tmp_path / "a.h5")
    assert len(server.requests) == 3
    assert waits == [0.5, 1]


def test_a_server_is_asked_again_when_it_says(
    server: Server, tmp_path: Path, waits: list[float]
) -> None:
    server.statuses, server.headers = [503], {"Retry-After": "17"}
    fetch(server, tmp_path / "a.h5")
    then = format_datetime(datetime.now(timezone.utc) + timedelta(seconds=90))
    server.statuses, server.headers = [429], {"Retry-After": then}
    fetch(server, tmp_path / "b.h5")
    server.statuses, server.headers = [429], {"Retry-After": "soon"}
    fetch(server, tmp_path / "c.h5")
    assert waits == [17, pytest.approx(90, abs=10), 0.5]


def test_a_server_that_asks_for_an_hour_is_not_waited_for(
    server: Server, tmp_path: Path, waits: list[float]
) -> None:
    server.statuses, server.headers = [503], {"Retry-After": "3600"}
    with pytest.raises(WeightsError, match="503 Service Unavailable, for 3600 s more"):
        fetch(server, tmp_path / "a.h5")
    assert (waits, len(server.requests)) == ([], 1)


def test_a_missing_file_is_not_asked_for_again(server: Server, tmp_path: Path) -> None:
    server.status = 404
    with pytest.raises(WeightsError, match="the server answers 404 Not Found"):
        fetch(server, tmp_path / "a.h5")
    assert len(server.requests) == 1


def test_a_redirect_is_followed_when_resuming_too(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a.h5.part").write_bytes(CONTENT[:1000])
    server.moved = server.url
    fetch(server, tmp_path / "a.h5", url=f"{server.base}/moved/vgg16.h5")
    assert (tmp_path / "a.h5").read_bytes() == CONTENT
    assert server.requests == ["bytes=1000-"] * 2


@pytest.mark.parametrize("to", ["file:///etc/passwd", "/moved/again"])
def test_a_redirect_to_a_file_or_in_circles_is_refused(
    server: Server, tmp_path: Path, to: str
) -> None:
    server.moved = to
    with pytest.raises(WeightsError, match="cannot be downloaded"):
        fetch(server, tmp_path / "a.h5", url=f"{server.base}/moved/vgg16.h5")
    assert not list(tmp_path.iterdir())


def test_proxies_are_taken_from_the_environment(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", server.base)
    fetch(server, tmp_path / "a.h5", url="http://weights.invalid/vgg16.h5")
    assert server.paths == ["http://weights.invalid/vgg16.h5"]


def test_no_network_is_one_sentence_with_a_way_out(tmp_path: Path) -> None:
    with serving(b"") as server:
        pass
    with pytest.raises(WeightsError, match="Connection refused.*vggfeat weights import FILE"):
        fetch(server, tmp_path / "a.h5")


def test_a_mirror_goes_first(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(CONTENT) as mirror:
        monkeypatch.setenv("VGGFEAT_MIRROR", f"{mirror.base}/weights/")
        fetch(server, tmp_path / "a.h5")
        assert mirror.paths == ["/weights/vgg16.h5"]
    assert server.requests == []


def test_where_a_mirror_fails_the_published_address_goes_on(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(CONTENT) as mirror:
        monkeypatch.setenv("VGGFEAT_MIRROR", mirror.base)
        mirror.break_after = [1_000_000, 0, 0, 0, 0]
        fetch(server, tmp_path / "a.h5")
        assert (tmp_path / "a.h5").read_bytes() == CONTENT
        assert starts(server)[0] > 0
        mirror.content = CONTENT[::-1]
        fetch(server, tmp_path / "b.h5")
        assert (tmp_path / "b.h5").read_bytes() == CONTENT
        server.status = mirror.status = 404
        with pytest.raises(WeightsError, match=f"{mirror.url}: .*404.*; {server.url}: .*404"):
            fetch(server, tmp_path / "c.h5")


def test_a_target_that_cannot_be_written_is_one_sentence(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(WeightsError, match="cannot be written"):
        fetch(server, tmp_path / "file" / "a.h5")


def test_a_disk_without_room_is_told_before_anything_is_written(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.h5.part").write_bytes(CONTENT[:120_000])
    free = SimpleNamespace(free=9_999_999)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: free)
    file = PublishedFile(server.url, f"sha256:{SHA256}")
    with pytest.raises(WeightsError, match="10,120,000 bytes .* 9,999,999 are free: make room"):
        download(file, tmp_path / "a.h5", lambda done, total: None, copies=1)
    assert (tmp_path / "a.h5.part").stat().st_size == 120_000
    free.free = 10_120_000
    download(file, tmp_path / "a.h5", lambda done, total: None, copies=1)
    assert (tmp_path / "a.h5").read_bytes() == CONTENT


def test_a_disk_that_fills_up_is_one_sentence_and_the_part_stays(
    server: Server, tmp_path: Path
) -> None:
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, hard))
    try:
        with pytest.raises(WeightsError, match="cannot be written: .*; what has come is kept"):
            fetch(server, tmp_path / "a.h5")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (tmp_path / "a.h5.part").read_bytes() == CONTENT[:2_000_000]
    fetch(server, tmp_path / "a.h5")
    assert starts(server)[-1] == 2_000_000
    assert (tmp_path / "a.h5").read_bytes() == CONTENT
