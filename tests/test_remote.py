"""Addresses: what is one, what may be told of it, and what is tried again."""

from __future__ import annotations

import errno
import multiprocessing
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import aiohttp
import botocore.exceptions
import fsspec
import pytest
import requests

from vggfeat import remote
from vggfeat.errors import VggfeatError
from vggfeat.trouble import ShortBodyError


@pytest.mark.parametrize(
    "address",
    ["s3://b/a.jpg", "gs://b", "hf://datasets/a/b", "https://h/a.jpg", "memory://a", "file:///a",
     "HTTP://h/a", "abfss://c@account.dfs.core.windows.net/a", "simplecache::s3://b/a"],
)  # fmt: skip
def test_what_has_a_protocol_is_an_address(address: str) -> None:
    assert remote.is_address(address)


@pytest.mark.parametrize(
    "path", ["a.jpg", "/a/b.jpg", "C:\\a.jpg", "C://a.jpg", "a:b.jpg", "./s3://b", "s3:/b", "-", ""]
)
def test_paths_are_no_addresses(path: str) -> None:
    assert not remote.is_address(path)


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("s3://bucket/a?b.jpg", "s3://bucket/a?b.jpg"),
        ("https://h/a.jpg?id=17&size=2", "https://h/a.jpg?id=17&size=2"),
        ("https://user:pass@h/a.jpg", "https://h/a.jpg"),
        ("ftp://user@h/a@b.jpg", "ftp://h/a@b.jpg"),
        ("https://h/a?X-Amz-Date=1&X-Amz-Signature=s&id=3&X-Amz-Security-Token=t", "https://h/a?id=3"),
        ("https://h/a?AWSAccessKeyId=k&Signature=s&Expires=1", "https://h/a"),
        ("https://h/a?X-Goog-Credential=k&X-Goog-Signature=s", "https://h/a"),
        ("https://acc.blob/a?sv=2020&se=x&sr=b&sp=r&sig=s", "https://acc.blob/a"),
        ("https://h/a?sp=1&se=2", "https://h/a?sp=1&se=2"),
        ("https://h/a?access_token=t&api_key=k&password=p&n=1", "https://h/a?n=1"),
        ("https://h/a?%58-amz-signature=s", "https://h/a"),
        ("/local/a.jpg?token=1", "/local/a.jpg?token=1"),
    ],
)  # fmt: skip
def test_passwords_and_signatures_are_not_told(address: str, told: str) -> None:
    assert remote.shown(address) == told


def test_nor_are_they_in_reasons() -> None:
    error = OSError("cannot read https://me:pw@host/a.jpg?X-Amz-Signature=abc&id=1 now")
    assert remote.describe(error) == "cannot read https://host/a.jpg?id=1 now"


# What may pass


def of_http(status: int) -> Exception:
    return aiohttp.ClientResponseError(None, (), status=status, message="words")  # type: ignore[arg-type]


def of_boto(status: int, code: str) -> Exception:
    told = {
        "Error": {"Code": code, "Message": code},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return botocore.exceptions.ClientError(told, "GetObject")  # type: ignore[arg-type]


def of_requests(status: int) -> Exception:
    response = requests.Response()
    response.status_code = status
    return requests.HTTPError(response=response)


def caused(error: Exception, by: Exception) -> Exception:
    error.__cause__ = by
    return error


@pytest.mark.parametrize(
    "error",
    [
        of_http(500), of_http(503), of_http(429), of_http(408),
        of_boto(503, "SlowDown"), of_boto(500, "InternalError"),
        of_requests(502),
        caused(FileNotFoundError("https://h/a"), of_http(503)),
        TimeoutError(), ConnectionResetError(), ConnectionRefusedError(),
        fsspec.exceptions.FSTimeoutError(), aiohttp.ClientPayloadError(),
        aiohttp.ServerDisconnectedError(), requests.ConnectionError(), requests.Timeout(),
        botocore.exceptions.ReadTimeoutError(endpoint_url="http://h"),
        OSError(errno.EBUSY, "SlowDown"), OSError(errno.ETIMEDOUT, ""),
        ShortBodyError(1, 2),
        caused(ValueError("wrapped"), ConnectionResetError()),
    ],
)  # fmt: skip
def test_what_may_pass(error: Exception) -> None:
    assert remote.is_transient(error)


@pytest.mark.parametrize(
    "error",
    [
        of_http(404), of_http(403), of_http(401), of_http(400), of_http(501),
        of_boto(404, "NoSuchKey"), of_boto(403, "AccessDenied"), of_requests(410),
        FileNotFoundError(), PermissionError(), ValueError("words"), OSError(errno.ENOSPC, ""),
        botocore.exceptions.NoCredentialsError(),
        socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
    ],
)  # fmt: skip
def test_what_lasts(error: Exception) -> None:
    assert not remote.is_transient(error)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (of_http(404), "not found"),
        (caused(FileNotFoundError("https://h/a"), of_http(404)), "not found"),
        (caused(FileNotFoundError("https://h/a"), of_http(403)), "access denied"),
        (FileNotFoundError("bucket/a.jpg"), "not found"),
        (PermissionError("Forbidden"), "access denied"),
        (PermissionError("The key is not known."), "access denied: The key is not known."),
        (
            botocore.exceptions.NoCredentialsError(),
            "no credentials were found: give them as AWS's own tools take them (AWS_PROFILE, for "
            "example), or set FSSPEC_S3_ANON=true where everybody may read",
        ),
        (OSError("[Errno -2] Name or service not known"), "no such host, or no network"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed"), "connection refused"),
        (caused(FileNotFoundError("a"), TimeoutError()), "no answer in time"),
        (caused(FileNotFoundError("a"), KeyError("a")), "not found"),
        (TimeoutError(), "no answer in time"),
        (socket.gaierror(socket.EAI_NONAME, "x"), "no such host, or no network"),
        (OSError(errno.EBUSY, "Please reduce your rate."), "Please reduce your rate."),
        (ShortBodyError(1000, 2000), "it broke off after 1,000 of 2,000 bytes"),
        (ConnectionResetError(), "connection reset"),
        (ValueError("two\nlines"), "two"),
    ],
)  # fmt: skip
def test_reasons_are_words(error: Exception, words: str) -> None:
    assert remote.describe(error) == words


# Tries


def failing(times: int, error: Exception) -> tuple[Callable[[], str], list[int]]:
    calls: list[int] = []

    def call() -> str:
        calls.append(1)
        if len(calls) <= times:
            raise error
        return "done"

    return call, calls


@pytest.fixture
def no_waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waited: list[float] = []
    monkeypatch.setattr(remote.time, "sleep", waited.append)
    return waited


def test_what_may_pass_is_tried_again_after_longer_and_longer(no_waits: list[float]) -> None:
    call, calls = failing(4, ConnectionResetError())

    assert remote.retrying(call, where="s3://b/a") == "done"
    assert len(calls) == 5
    assert no_waits == sorted(no_waits)
    assert 13 < sum(no_waits) < 23


def test_after_the_last_try_the_error_is_the_calls_own(no_waits: list[float]) -> None:
    call, calls = failing(9, error := ConnectionResetError())

    with pytest.raises(ConnectionResetError) as caught:
        remote.retrying(call, where="s3://b/a")
    assert caught.value is error
    assert len(calls) == 5


def test_what_lasts_is_not_tried_again(no_waits: list[float]) -> None:
    call, calls = failing(9, FileNotFoundError())

    with pytest.raises(FileNotFoundError):
        remote.retrying(call, where="s3://b/a")
    assert (len(calls), no_waits) == (1, [])


# File systems


def test_an_unknown_protocol_is_told() -> None:
    with pytest.raises(VggfeatError, match="^foo://a: no protocol foo:// is known$"):
        remote.filesystem("foo://a")


def test_addresses_within_others_are_refused() -> None:
    with pytest.raises(VggfeatError, match="^zip://a.jpg::/x.zip: addresses within others"):
        remote.filesystem("zip://a.jpg::/x.zip")


def test_protocols_are_known_in_any_case() -> None:
    fsspec.filesystem("memory").pipe("/case.jpg", b"abc")
    files, path = remote.filesystem("MEMORY://case.jpg")
    assert files.cat_file(path) == b"abc"


@pytest.mark.parametrize(("environment", "tries"), [({}, 0), ({"AWS_MAX_ATTEMPTS": "4"}, None)])
def test_tries_are_not_multiplied_by_those_of_botocore(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], tries: int | None
) -> None:
    pytest.importorskip("s3fs")
    monkeypatch.delenv("AWS_MAX_ATTEMPTS", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    remote.forget()
    files, _ = remote.filesystem("s3://bucket/a.jpg")
    remote.forget()

    assert files.config_kwargs.get("retries", {}).get("max_attempts") == tries


def test_libraries_print_nothing_of_their_own() -> None:
    said = subprocess.run(
        [sys.executable, "-c", "import logging, vggfeat.remote\n"
         "logging.getLogger('gcsfs').exception('a traceback')"],
        capture_output=True, check=True,
    )  # fmt: skip
    assert said.stderr == b""


def test_a_missing_package_is_told_with_what_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(protocol: str) -> None:
        raise ImportError("No module named 'gcsfs'")

    monkeypatch.setattr(fsspec, "get_filesystem_class", missing)
    with pytest.raises(VggfeatError) as caught:
        remote.filesystem("gs://a")
    assert str(caught.value) == "gs:// needs gcsfs: pip install 'vggfeat[gcs]'"


def test_threads_share_a_file_system_that_is_made_for_it() -> None:
    found = []
    for address in ("https://h/a", "https://h/b"):
        thread = threading.Thread(target=lambda a=address: found.append(remote.filesystem(a)))
        thread.start()
        thread.join()

    assert found[0][0] is found[1][0]
    assert [path for _, path in found] == ["https://h/a", "https://h/b"]


def test_a_file_system_sees_what_has_come_since_the_last_listing(tmp_path: Path) -> None:
    files, path = remote.filesystem(f"file://{tmp_path}")
    assert files.ls(path) == []
    (tmp_path / "a.jpg").touch()
    assert len(files.ls(path)) == 1


def _in_child(address: str, answer: multiprocessing.connection.Connection) -> None:
    files, path = remote.filesystem(address)
    answer.send(files.cat_file(path))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork")
def test_a_forked_process_has_file_systems_of_its_own() -> None:
    from tests.sources.web_server import Web, serving

    with serving(Web({"/a.jpg": b"abc"})) as web:
        files, path = remote.filesystem(f"{web.address}/a.jpg")
        assert files.cat_file(path) == b"abc"
        ours, theirs = multiprocessing.Pipe()
        child = multiprocessing.get_context("fork").Process(
            target=_in_child, args=(f"{web.address}/a.jpg", theirs)
        )
        child.start()
        assert ours.poll(20)
        assert ours.recv() == b"abc"
        child.join()
