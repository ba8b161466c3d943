"""Images at web addresses, each by itself, from servers of every kind."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator

import pytest

from tests.sources import on_stdin
from tests.sources.archives import COMPRESSIONS, Members, read, tar, whole, zipped
from tests.sources.web_server import Web, serving
from vggfeat import remote
from vggfeat.errors import TransientImageError
from vggfeat.sources import open_inputs

pytest.importorskip("aiohttp")

MEMBERS: Members = [(f"{n}.jpg", random.Random(n).randbytes(70_000)) for n in range(5)]


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    monkeypatch.setattr(remote, "WAITS", (0.01,) * len(remote.WAITS))
    monkeypatch.setattr("vggfeat.sources.stream._BLOCK", 50_000)
    remote.forget()
    with serving(Web()) as served:
        yield served


@pytest.mark.parametrize("lengths", [True, False])
@pytest.mark.parametrize("ranges", [True, False])
def test_an_image_is_read(web: Web, ranges: bool, lengths: bool) -> None:
    web.ranges, web.lengths = ranges, lengths
    web.files["/a.jpg"] = b"abc"

    assert whole(f"{web.address}/a.jpg?id=1") == [(f"{web.address}/a.jpg?id=1", b"abc")]


def test_a_tag_tells_whether_an_image_has_changed(web: Web) -> None:
    stamps = []
    for content in (b"abc", b"abc", b"xyz"):
        web.files["/a.jpg"] = content
        (image,) = open_inputs([f"{web.address}/a.jpg"])
        stamps.append(image.stamp())
        assert image.read().stamp == stamps[-1]

    assert stamps[0] == stamps[1] != stamps[2]
    assert all(stamp and stamp.size == 3 and stamp.mtime_ns < 0 for stamp in stamps)


def test_where_nothing_tells_there_is_no_stamp(web: Web) -> None:
    web.tags = False
    web.files["/a.jpg"] = b"abc"
    (image,) = open_inputs([f"{web.address}/a.jpg"])

    assert image.stamp() is None
    assert image.read().data == b"abc"


def test_names_keep_no_password_and_no_signature(web: Web) -> None:
    web.files["/a.jpg"] = b"abc"
    host = web.address.removeprefix("http://")
    secret = f"http://me:pass@{host}/a.jpg?X-Amz-Signature=abc&id=1"

    assert whole(secret) == [(f"http://{host}/a.jpg?id=1", b"abc")]
    (failure,) = read(secret.replace("a.jpg", "gone.jpg"))
    assert failure == (f"http://{host}/gone.jpg?id=1", None, "not found")


@pytest.mark.parametrize(("status", "reason"), [(404, "not found"), (403, "access denied")])
def test_what_lasts_fails_at_once(web: Web, status: int, reason: str) -> None:
    web.files["/a.jpg"] = b"abc"
    web.statuses["/a.jpg"] = [status] * 99

    assert read(f"{web.address}/a.jpg")[0].reason == reason
    assert len(web.requests) <= 2  # fsspec asks by HEAD and by GET


@pytest.mark.parametrize("lengths", [True, False])
def test_what_may_pass_is_asked_for_again(web: Web, lengths: bool) -> None:
    web.lengths = lengths
    web.files["/a.jpg"] = b"abcd"
    web.statuses["/a.jpg"] = [503, 500, 429, 500]
    web.cut["/a.jpg"] = 2

    assert whole(f"{web.address}/a.jpg")[0][1] == b"abcd"


def test_what_does_not_pass_is_tried_by_the_next_run(web: Web) -> None:
    web.files["/a.jpg"] = b"abc"
    web.statuses["/a.jpg"] = [503] * 99
    (image,) = open_inputs([f"{web.address}/a.jpg"])

    with pytest.raises(TransientImageError, match="^the server answers 503"):
        image.read()


def test_a_host_that_is_not_there_is_told_in_words() -> None:
    assert read("http://no-such-host.invalid/a.jpg")[0].reason == "no such host, or no network"


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("lengths", [True, False])
@pytest.mark.parametrize("ranges", [True, False])
def test_a_tar_is_read_as_it_comes_and_goes_on_where_it_broke_off(
    web: Web, ranges: bool, lengths: bool, suffix: str
) -> None:
    web.ranges, web.lengths = ranges, lengths
    web.files["/x.tar"] = COMPRESSIONS[suffix](tar(MEMBERS))
    web.cut["/x.tar"] = 2

    assert [data for _, data in whole(f"{web.address}/x.tar?v=2")] == [d for _, d in MEMBERS]


def test_a_tar_that_became_shorter_where_it_broke_off_has_changed(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vggfeat.sources.stream._BLOCK", 1 << 12)
    web.ranges = web.tags = False
    web.files["/x.tar"] = tar([(f"{n}.jpg", b"%d" % n * 3000) for n in range(6)])
    web.cut["/x.tar"] = 1
    images = iter(open_inputs([f"{web.address}/x.tar"]))
    next(images)
    web.files["/x.tar"] = web.files["/x.tar"][:600]

    *_, last = images
    with pytest.raises(TransientImageError):
        last.read()


def test_an_answer_of_another_length_is_garbled(web: Web) -> None:
    web.files["/a.jpg"] = b"abcd"
    web.cut["/a.jpg"] = 99

    assert read(f"{web.address}/a.jpg")[0].reason == "its answer broke off, or is garbled"


def test_nobody_there_is_not_called_not_found() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}/a.jpg"

    assert read(address)[0].reason == "connection refused"


def test_a_zip_needs_ranges(web: Web) -> None:
    web.files["/x.zip"] = zipped(MEMBERS)
    assert [data for _, data in whole(f"{web.address}/x.zip")] == [data for _, data in MEMBERS]

    web.ranges = False
    (failure,) = read(f"{web.address}/x.zip")
    assert failure.reason == (
        "the server gives no parts of a file, by which it has to be read: fetch it first"
    )


def test_a_list_of_addresses_goes_on_after_those_that_fail(web: Web) -> None:
    web.files |= {f"/{n}.jpg": b"%d" % n for n in range(0, 6, 2)}
    lines = [f"{web.address}/{n}.jpg" for n in range(6)]

    with on_stdin("\n".join(lines).encode()):
        found = read("-")

    assert [item.data for item in found] == [b"0", None, b"2", None, b"4", None]
    assert {item.reason for item in found} == {"", "not found"}
