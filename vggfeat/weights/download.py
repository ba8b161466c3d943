"""One file over HTTP: resumed, checked, and there whole or not at all."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import requests

from vggfeat.errors import WeightsError, describe_os_error
from vggfeat.weights.published import PublishedFile, md5

_ATTEMPTS = 5
_TIMEOUT = 30  # seconds without a byte
_CHUNK = 1 << 16  # what a connection that breaks off can lose

# Called with the bytes that are there and the bytes that there will be (None: not said).
OnProgress = Callable[[int, "int | None"], None]


def download(file: PublishedFile, target: Path, on_progress: OnProgress) -> None:
    """Fetch a published file to `target`.

    What has come is kept in `target` with `.part` added, and a broken connection, or a later
    call, goes on from there. Proxies are taken from the environment.

    Raises:
        WeightsError: it cannot be had, or what came has another hash.
    """
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _fetch_with_retries(file, part, on_progress)
        found = md5(part)
        if found != file.md5:
            part.unlink()
            raise WeightsError(
                f"{file.url}: what came has the md5 {found}, expected {file.md5}; it was deleted. "
                "Something between here and there answers in its place: try another network"
            )
        part.replace(target)
    except requests.RequestException as error:
        raise WeightsError(
            f"{file.url}: cannot be downloaded ({_reason(error)}). Run the same again to go on, "
            "or fetch it elsewhere and: vggfeat weights import FILE"
        ) from error
    except OSError as error:
        raise WeightsError(f"{part}: cannot be written: {describe_os_error(error)}") from error


def _fetch_with_retries(file: PublishedFile, part: Path, on_progress: OnProgress) -> None:
    for attempt in range(1, _ATTEMPTS + 1):
        before = part.stat().st_size if part.exists() else 0
        try:
            _fetch(file.url, part, on_progress)
            return
        except (
            requests.ConnectionError,
            requests.Timeout,
            requests.exceptions.ChunkedEncodingError,
        ):
            progressed = part.exists() and part.stat().st_size > before
            if attempt == _ATTEMPTS:
                raise
            time.sleep(0.1 if progressed else 2**attempt / 4)


def _fetch(url: str, part: Path, on_progress: OnProgress) -> None:
    """Ask for what is missing of the part and add it."""
    there = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity"}
    if there:
        headers["Range"] = f"bytes={there}-"
    with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as response:
        if response.status_code == requests.codes.requested_range_not_satisfiable:
            return  # all of it is there already
        response.raise_for_status()
        resumed = response.status_code == requests.codes.partial_content
        there = there if resumed else 0
        length = response.headers.get("Content-Length")
        total = there + int(length) if length else None
        with open(part, "ab" if resumed else "wb") as out:
            for chunk in response.iter_content(_CHUNK):
                out.write(chunk)
                there += len(chunk)
                on_progress(there, total)
        if total is not None and there < total:
            raise requests.ConnectionError(f"it broke off after {there:,} of {total:,} bytes")


def _reason(error: requests.RequestException) -> str:
    if isinstance(error, requests.Timeout):
        return f"no answer within {_TIMEOUT} s"
    if isinstance(error, requests.HTTPError):
        return f"the server answers {error.response.status_code} {error.response.reason}"
    cause: BaseException = error
    while (deeper := cause.__cause__ or cause.__context__) is not None:
        cause = deeper
    return describe_os_error(cause) if isinstance(cause, OSError) else str(cause)
