"""One file from one address: resumed, tried again, and never more of it than there can be."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from http.client import IncompleteRead
from pathlib import Path
from time import sleep

import requests
from urllib3.exceptions import HTTPError as BrokenBody

from vggfeat.errors import describe_os_error

_ATTEMPTS = 5  # in a row of which none brings anything to speak of
_PROGRESS = 1 << 20
_TIMEOUT = 30  # seconds without a byte
_CHUNK = 1 << 16  # what a connection that breaks off can lose
_LONGEST_WAIT = 120  # seconds that a server can ask for
_MOST = 1 << 31  # bytes of a file whose size is not known
_BUSY = {408, 425, 429, 500, 502, 503, 504}

# Called with the bytes that are there and the bytes that there will be (None: not said).
OnProgress = Callable[[int, "int | None"], None]


class UnavailableError(Exception):
    """An address that does not give the file, and why, in words."""


class _BusyError(Exception):
    """A server that can be asked again, after some seconds where it says so."""

    def __init__(self, response: requests.Response) -> None:
        super().__init__(f"the server answers {response.status_code} {response.reason}")
        self.wait = _retry_after(response.headers.get("Retry-After", ""))


def fetch(
    url: str,
    part: Path,
    size: int | None,
    check_room: Callable[[int, int], None],
    on_progress: OnProgress,
) -> None:
    """Add to a part of a file what is missing of it. Proxies are taken from the environment.

    Args:
        size: of the whole file, if it is known.
        check_room: called before anything is written, with the bytes that are there and that
            there will be.

    Raises:
        UnavailableError: it cannot be had; the part holds what has come.
        OSError: the part cannot be written.
    """
    failures = 0
    while True:
        before = _length(part)
        wait = None
        try:
            return _fetch_once(url, part, size, check_room, on_progress)
        except _BusyError as error:
            reason, wait = str(error), error.wait
            if wait is not None and wait > _LONGEST_WAIT:
                raise UnavailableError(f"{reason}, for {wait:.0f} s more") from error
        except (
            requests.ConnectionError,
            requests.Timeout,
            requests.exceptions.ChunkedEncodingError,
            BrokenBody,
        ) as error:
            reason = _reason(error)
        except requests.RequestException as error:
            raise UnavailableError(_reason(error)) from error
        failures = 1 if _length(part) >= before + _PROGRESS else failures + 1
        if failures == _ATTEMPTS:
            raise UnavailableError(reason)
        sleep(2**failures / 4 if wait is None else wait)


def _fetch_once(
    url: str,
    part: Path,
    size: int | None,
    check_room: Callable[[int, int], None],
    on_progress: OnProgress,
) -> None:
    there = _length(part)
    if size is not None and there >= size:
        return
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={there}-"} if there else {})
    with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as response:
        if response.status_code == requests.codes.requested_range_not_satisfiable and there:
            return  # all of it is there already, as far as this server knows
        if response.status_code in _BUSY:
            raise _BusyError(response)
        response.raise_for_status()
        begin = _begin(response, there)
        total = _total(response, begin)
        _check_answer(response, total, size)
        total = size if total is None else total
        if total is not None:
            check_room(there, total)
        end = _write(response, part, there - begin, total, on_progress)
        if total is not None and end < total:
            raise requests.ConnectionError(f"it broke off after {end:,} of {total:,} bytes")


def _begin(response: requests.Response, there: int) -> int:
    """Where in the file the answer begins."""
    if response.status_code != requests.codes.partial_content:
        return 0
    said = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    begin = int(said[1]) if said else there
    if begin > there:
        raise UnavailableError("the server answers with another part than it was asked for")
    return begin


def _total(response: requests.Response, begin: int) -> int | None:
    """The length of the whole file, where the answer tells it."""
    length = response.headers.get("Content-Length", "")
    return begin + int(length) if length.isdecimal() else None


def _check_answer(response: requests.Response, total: int | None, size: int | None) -> None:
    """Refuse, before anything is written, what can only be something else."""
    if response.headers.get("Content-Type", "").startswith("text/html"):
        raise UnavailableError("a web page comes in the file's place")
    if total is None:
        return
    if size is not None and total != size:
        raise UnavailableError(f"what is there has {total:,} bytes, expected {size:,}")
    if total > _MOST:
        raise UnavailableError(f"what is there has {total:,} bytes, which is no VGG16")


def _write(
    response: requests.Response,
    part: Path,
    known: int,
    total: int | None,
    on_progress: OnProgress,
) -> int:
    """Add the answer, without the bytes at its beginning that are known, to the part.

    Returns:
        the length of the part.
    """
    most = _MOST if total is None else total
    with open(part, "ab") as out:
        # Not decoded: some servers call a .tar.gz a compressed .tar.
        for chunk in response.raw.stream(_CHUNK, decode_content=False):
            new, known = chunk[known:], max(known - len(chunk), 0)
            if out.tell() + len(new) > most:
                raise UnavailableError(f"more than {most:,} bytes come")
            out.write(new)
            if new:
                on_progress(out.tell(), total)
        return out.tell()


def _length(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _retry_after(value: str) -> float | None:
    """The seconds that a header asks to wait: a number, or a date."""
    if value.strip().isdecimal():
        return float(value)
    try:
        return max((parsedate_to_datetime(value) - datetime.now(timezone.utc)).total_seconds(), 0)
    except (TypeError, ValueError):
        return None


def _reason(error: Exception) -> str:
    if isinstance(error, requests.Timeout):
        return f"no answer within {_TIMEOUT} s"
    if isinstance(error, requests.HTTPError):
        return f"the server answers {error.response.status_code} {error.response.reason}"
    cause: BaseException = error
    while (deeper := cause.__cause__ or cause.__context__) is not None:
        cause = deeper
    if isinstance(cause, IncompleteRead):
        return "the connection broke off"
    return describe_os_error(cause) if isinstance(cause, OSError) else str(cause)
