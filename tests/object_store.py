"""An object store for tests: moto's S3 behind a door where faults are made.

    from tests.object_store import object_store, store  # noqa: F401  # in a conftest.py

    def test_it(store: Store) -> None:
        bucket = store.bucket()                          # new and empty
        store.put(f"s3://{bucket}/a.jpg", b"...")
        store.fail(2, method="GET", path=r"/a\\.jpg", how=503)     # the next two of those
        store.fail(1, path=r"/a\\.jpg", how="truncate", after=3)   # the fourth from now

What runs in the test or below it (in processes too) finds the store by its environment.
"""

from __future__ import annotations

import itertools
import os
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest

from vggfeat import remote

# Of all stores of a process: below they are one.
_NUMBERS = itertools.count()

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "AKIATESTTESTTESTTEST",
    "AWS_SECRET_ACCESS_KEY": "not-to-be-told",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_MAX_ATTEMPTS": "1",  # botocore's own tries, so that ours are seen
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}

TRUNCATE, RESET = "truncate", "reset"
_CODES = {
    500: "InternalError", 503: "SlowDown", 403: "AccessDenied", 404: "NoSuchKey",
    412: "PreconditionFailed",
}  # fmt: skip


class Request(NamedTuple):
    """One that has come: `GET`, `/bucket/key?query`, and its Range header."""

    method: str
    path: str
    range: str


@dataclass
class Fault:
    """What happens to some of the requests to come.

    Attributes:
        left: how many more it happens to.
        after: how many such requests pass before.
        how: a status to answer with, `truncate` (half of the body), `reset` (the connection,
            without an answer), or a function that is called before the request passes.
        done: to how many it has happened.
    """

    left: int
    method: str
    path: re.Pattern[str]
    how: int | str | Callable[[], None]
    after: int = 0
    done: int = 0

    def takes(self, request: Request) -> bool:
        if not self.left or not re.fullmatch(self.method, request.method):
            return False
        if not self.path.search(request.path):
            return False
        if self.after:
            self.after -= 1
            return False
        self.left -= 1
        self.done += 1
        return True


@dataclass
class Store:
    """The store, its contents and its faults."""

    endpoint: str
    requests: list[Request] = field(default_factory=list)
    _faults: list[Fault] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def fail(
        self,
        times: int = 1,
        *,
        method: str = "GET",
        path: str = "",
        how: int | str | Callable[[], None] = 500,
        after: int = 0,
    ) -> Fault:
        """Let requests fail: the next so many whose method and path (by regex) fit."""
        fault = Fault(times, method, re.compile(path), how, after)
        with self._lock:
            self._faults.append(fault)
        return fault

    def calm(self) -> None:
        """No more faults, and no requests are remembered."""
        with self._lock:
            self._faults.clear()
            self.requests.clear()

    def met(self, method: str = "GET", path: str = "") -> list[Request]:
        """The requests so far whose method and path (by regex) fit."""
        with self._lock:
            return [
                request
                for request in self.requests
                if re.fullmatch(method, request.method) and re.search(path, request.path)
            ]

    def bucket(self) -> str:
        """A new bucket's name."""
        name = f"bucket-{os.getpid()}-{next(_NUMBERS)}"
        _backend().create_bucket(name, "us-east-1")
        return name

    def put(self, address: str, data: bytes) -> None:
        _backend().put_object(*_parted(address), data)

    def get(self, address: str) -> bytes:
        found = _backend().get_object(*_parted(address))
        assert found is not None, f"{address} is not there"
        return bytes(found.value)

    def delete(self, address: str) -> None:
        _backend().delete_object(*_parted(address))

    def keys(self, bucket: str) -> list[str]:
        """All keys of a bucket, in order."""
        return sorted(_backend().get_bucket(bucket).keys)

    def fault_of(self, request: Request) -> Fault | None:
        with self._lock:
            self.requests.append(request)
            return next((fault for fault in self._faults if fault.takes(request)), None)


def _backend() -> Any:
    from moto.core import DEFAULT_ACCOUNT_ID
    from moto.s3.models import s3_backends

    return s3_backends[DEFAULT_ACCOUNT_ID]["aws"]


def _parted(address: str) -> tuple[str, str]:
    bucket, _, key = address.removeprefix("s3://").partition("/")
    return bucket, key


class _Door:
    """Before the store, as a WSGI application."""

    def __init__(self, application: Any, store: Store) -> None:
        self._application = application
        self._store = store

    def __call__(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        query = environ.get("QUERY_STRING", "")
        request = Request(
            environ["REQUEST_METHOD"],
            environ["PATH_INFO"] + (f"?{query}" if query else ""),
            environ.get("HTTP_RANGE", ""),
        )
        fault = self._store.fault_of(request)
        if fault is None:
            return self._application(environ, start)  # type: ignore[no-any-return]
        if callable(fault.how):
            fault.how()
            return self._application(environ, start)  # type: ignore[no-any-return]
        if isinstance(fault.how, int):
            code = _CODES.get(fault.how, "Error")
            body = f"<Error><Code>{code}</Code><Message>{code}!</Message></Error>".encode()
            length = [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))]
            start(f"{fault.how} {code}", length)
            return [] if request.method == "HEAD" else [body]
        if fault.how == TRUNCATE:
            body = b"".join(self._application(environ, start))
            return [body[: len(body) // 2]]
        _reset(environ["werkzeug.socket"])
        return []


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.shutdown(socket.SHUT_RD)
    connection.close()


@pytest.fixture(scope="session")
def object_store() -> Iterator[Store]:
    """One server for all tests of a process."""
    pytest.importorskip("s3fs")
    pytest.importorskip("moto.server")
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        def log(self, *args: Any) -> None:
            pass

    made = Store("")
    door = _Door(DomainDispatcherApplication(create_backend_app), made)
    server = make_server("127.0.0.1", 0, door, threaded=True, request_handler=Quiet)
    made.endpoint = f"http://127.0.0.1:{server.port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    remote.forget()
    yield made
    remote.forget()
    server.shutdown()
    thread.join()


@pytest.fixture
def store(object_store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """The store, in the environment of the test; between tries nobody waits long."""
    for name, value in (ENVIRONMENT | {"AWS_ENDPOINT_URL": object_store.endpoint}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    import s3fs

    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)  # likewise
    monkeypatch.setattr(remote, "WAITS", (0.01,) * len(remote.WAITS))
    object_store.calm()
    yield object_store
    object_store.calm()
