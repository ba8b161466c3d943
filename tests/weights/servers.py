"""A real HTTP server on this machine, with the faults that real ones have."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Server(ThreadingHTTPServer):
    """Serves one content at every path, but for `/moved/...`, which leads away.

    Attributes:
        break_after: lengths after which the next answers break off, one for each request.
        hold_after: length after which an answer pauses until `release` is set.
        ranges: whether it understands Range.
        shift: how far before the asked one its partial answers begin.
        status: what it answers instead of the content, if set.
        statuses: what it answers to the next requests instead of the content.
        headers: what it adds to each answer.
        lie: how many bytes more than there are Content-Length says; None leaves it out.
        moved: where `/moved/...` leads.
        requests: the Range header of each request so far.
        paths: what each asked for.
    """

    daemon_threads = True

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = content
        self.break_after: list[int] = []
        self.hold_after: int | None = None
        self.release = threading.Event()
        self.ranges = True
        self.shift = 0
        self.status: int | None = None
        self.statuses: list[int] = []
        self.headers: dict[str, str] = {}
        self.lie: int | None = 0
        self.moved = ""
        self.requests: list[str | None] = []
        self.paths: list[str] = []

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def url(self) -> str:
        return f"{self.base}/vgg16.h5"

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that go away are part of the tests."""


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server = self.server
        wanted = self.headers.get("Range")
        server.requests.append(wanted)
        server.paths.append(self.path)
        status = server.statuses.pop(0) if server.statuses else server.status
        start = int(re.findall(r"\d+", wanted)[0]) if wanted and server.ranges else 0
        if self.path.startswith("/moved/"):
            self._head(302, {"Location": server.moved, "Content-Length": "0"})
        elif status:
            self._head(status, {"Content-Length": "0"})
        elif start and start >= len(server.content):
            self._head(416, {"Content-Length": "0"})
        else:
            self._content(start)

    def _content(self, start: int) -> None:
        server = self.server
        begin = max(start - server.shift, 0)
        body = server.content[begin:]
        answer = {"Content-Length": str(len(body) + server.lie)} if server.lie is not None else {}
        if start:
            whole = len(server.content)
            answer["Content-Range"] = f"bytes {begin}-{whole - 1}/{whole}"
        self._head(206 if start else 200, answer)
        body = body[: server.break_after.pop(0)] if server.break_after else body
        if server.hold_after is not None:
            self.wfile.write(body[: server.hold_after])
            self.wfile.flush()
            server.release.wait(60)
            body = body[server.hold_after :]
        self.wfile.write(body)

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in (headers | self.server.headers).items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, message: str, *args: object) -> None:
        pass


@contextlib.contextmanager
def serving(content: bytes) -> Iterator[Server]:
    with Server(content) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01], daemon=True)
        thread.start()
        yield server
        server.release.set()
        server.shutdown()
        thread.join()


def keras_that_publishes(server: Server, folder: Path) -> str:
    """A Keras whose published file is what a server serves: what `PYTHONPATH` has to be."""
    source = folder / "keras" / "src" / "applications" / "vgg16.py"
    source.parent.mkdir(parents=True)
    (folder / "keras" / "__init__.py").touch()
    source.write_text(
        f"WEIGHTS_PATH = ('{server.url[:8]}'\n    '{server.url[8:]}')\n"
        f"get_file('x', WEIGHTS_PATH, file_hash='{hashlib.md5(server.content).hexdigest()}')\n"
    )
    return os.pathsep.join([str(folder), str(Path(__file__).parent.parent.parent)])
