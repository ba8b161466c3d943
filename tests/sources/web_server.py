"""A web server for tests, whose faults are those of servers without ranges, lengths or stamps."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Web:
    """What is served, by path, and how.

    Attributes:
        statuses: what the next requests of a path are answered with, one each; 200 as usual.
        cut: how many of the next whole answers break off in their middle, by path.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    statuses: dict[str, list[int]] = field(default_factory=dict)
    cut: dict[str, int] = field(default_factory=dict)
    ranges: bool = True
    lengths: bool = True
    tags: bool = True
    address: str = ""
    requests: list[tuple[str, str, str]] = field(default_factory=list)


@contextlib.contextmanager
def serving(web: Web) -> Iterator[Web]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, *, body: bool) -> None:
            web.requests.append((self.command, self.path, self.headers.get("Range", "")))
            path = self.path.partition("?")[0]
            status = web.statuses[path].pop(0) if web.statuses.get(path) else 200
            data = web.files.get(path)
            if data is None and status == 200:
                status = 404
            if status != 200:
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            assert data is not None
            data = self.ranged(data)
            if web.ranges:
                self.send_header("Accept-Ranges", "bytes")
            if web.tags:
                self.send_header("ETag", f'"{hash(web.files[path])}"')
            if web.lengths:
                self.send_header("Content-Length", str(len(data)))
            else:
                self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            if body:
                self.write(path, data)

        def ranged(self, data: bytes) -> bytes:
            asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            if not (asked and web.ranges):
                self.send_response(200)
                return data
            first = int(asked[1])
            last = min(int(asked[2] or len(data)), len(data) - 1)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
            return data[first : last + 1]

        def write(self, path: str, data: bytes) -> None:
            breaks = web.cut.get(path, 0) > 0
            if breaks:
                web.cut[path] -= 1
                data = data[: len(data) // 2]
            if web.lengths:
                self.wfile.write(data)
            else:
                end = b"" if breaks else b"0\r\n\r\n"
                self.wfile.write(b"%x\r\n%b\r\n%b" % (len(data), data, end))
            self.close_connection = breaks

    class Server(ThreadingHTTPServer):
        def handle_error(self, *args: object) -> None:
            """A client that goes away is none of the server's business."""

    with Server(("127.0.0.1", 0), Handler) as server:
        web.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield web
        server.shutdown()
        thread.join()
