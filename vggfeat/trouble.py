"""What is wrong with a file at an address: whether it may pass, and the reason in words."""

from __future__ import annotations

import errno
import re
import socket
from collections.abc import Iterator

from vggfeat.address import shown

_WITHIN_TEXT = re.compile(r"[a-z][a-z0-9+.-]+://[^\s'\"<>]+", re.IGNORECASE)
# 416: there is less than a listing has told.
_PASSING_STATUS = {408, 416, 425, 429, 500, 502, 503, 504, 509, 520, 521, 522, 523, 524, 529}
_PASSING_ERRNO = {
    getattr(errno, name)
    for name in (
        "EBUSY EREMOTEIO EAGAIN EINTR ECONNRESET ECONNREFUSED ECONNABORTED ETIMEDOUT EPIPE ESTALE"
        " ENETUNREACH ENETDOWN ENETRESET EHOSTUNREACH EHOSTDOWN ESHUTDOWN"
    ).split()
    if hasattr(errno, name)
}
# By name, so that nothing has to be imported: of aiohttp, botocore, urllib3, requests, httpx,
# google-auth, azure-core, http.client, and s3fs, gcsfs and fsspec themselves.
_PASSING_TYPES = {
    "TimeoutError", "FSTimeoutError", "ConnectionError", "IncompleteRead", "RemoteDisconnected",
    "ClientConnectionError", "ClientPayloadError", "HTTPClientError", "ResponseParserError",
    "ResponseStreamingError", "IncompleteReadError", "ChunkedEncodingError", "ProtocolError",
    "Timeout", "TransportError", "ServiceRequestError", "ServiceResponseError",
    "ChecksumError", "ShortBodyError",
}  # fmt: skip
_LASTING_TYPES = {"FileExpired", "UnsupportedProtocol", "InvalidURL", "SSLCertVerificationError",
                  "RefreshError", "DefaultCredentialsError"}  # fmt: skip
_NO_SUCH_HOST = {
    getattr(socket, name)
    for name in ("EAI_NONAME", "EAI_NODATA", "EAI_FAIL")
    if hasattr(socket, name)
}
_NO_HOST_IN_TEXT = re.compile("Name or service not known|nodename nor servname provided")


class ShortBodyError(OSError):
    """An answer broke off."""

    def __init__(self, came: int, told: int) -> None:
        super().__init__(f"it broke off after {came:,} of {told:,} bytes")


def is_transient(error: BaseException) -> bool:
    """Whether the same may do in a while: no answer, a broken one, or the word to come again."""
    if _is_garbled(error):
        return True
    for link in _chain(error):
        if (status := _status(link)) is not None:
            return status in _PASSING_STATUS
        names = {base.__name__ for base in type(link).__mro__}
        if names & _LASTING_TYPES or _no_such_host(link):
            return False
        if names & _PASSING_TYPES or (isinstance(link, OSError) and link.errno in _PASSING_ERRNO):
            return True
    return False


def describe(error: BaseException) -> str:
    """The reason in words, without passwords and signatures."""
    if _is_garbled(error):
        return "its answer broke off, or is garbled"
    links = list(_chain(error))
    status = next((found for link in links if (found := _status(link)) is not None), None)
    # fsspec's http takes whatever goes wrong for a file that is not there.
    error = _undisguised(error) if status is None else error
    types = {base.__name__ for base in type(error).__mro__}
    if "NoCredentialsError" in types:  # botocore
        reason = (
            "no credentials were found: give them as AWS's own tools take them (AWS_PROFILE, for "
            "example), or set FSSPEC_S3_ANON=true where everybody may read"
        )
    elif any(map(_no_such_host, links)):
        reason = "no such host, or no network"
    elif status == 404 or (status is None and "FileNotFoundError" in types):
        reason = "not found"
    elif status in (401, 403) or (status is None and "PermissionError" in types):
        reason = _with_words("access denied", error)
    elif status is not None:
        reason = _with_words(f"the server answers {status}", error)
    elif "TooManyRedirects" in types:
        reason = "redirected again and again"
    elif types & {"TimeoutError", "Timeout"}:
        reason = "no answer in time"
    else:
        reason = _words(error) or _in_words(type(error).__name__)
    return reason


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error, and what caused it."""
    link: BaseException | None = error
    for _ in range(8):
        if link is None:
            return
        yield link
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)


def _is_garbled(error: BaseException) -> bool:
    """Whether aiohttp could make nothing of an answer, for which it has a status of its own."""
    return any(
        base.__name__ == "HttpProcessingError"
        for link in _chain(error)
        for base in type(link).__mro__
    )


def _undisguised(error: BaseException) -> BaseException:
    cause = error.__cause__
    of_client = {"ClientError", *_PASSING_TYPES} & {base.__name__ for base in type(cause).__mro__}
    return cause if cause and of_client and isinstance(error, FileNotFoundError) else error


def _status(error: BaseException) -> int | None:
    """What a server has answered, where the error tells it: each package has its own place."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):  # botocore
        found = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    else:
        found = getattr(response, "status_code", None)
        for name in ("status", "status_code", "code"):
            found = getattr(error, name, None) if found is None else found
    text = str(found)
    return int(text) if text.isdecimal() and 400 <= int(text) < 600 else None


def _no_such_host(error: BaseException) -> bool:
    inner = getattr(error, "os_error", error)  # aiohttp
    if isinstance(inner, socket.gaierror):
        return inner.errno in _NO_SUCH_HOST
    return bool(_NO_HOST_IN_TEXT.search(" ".join(map(str, error.args))))  # httpx


def _with_words(reason: str, error: BaseException) -> str:
    words = _words(error)
    plain = words.rstrip(".").lower()
    if not words or len(words) > 200 or plain in ("forbidden", "access denied", "unauthorized"):
        return reason
    if _WITHIN_TEXT.fullmatch(words) or words.isdecimal():
        return reason
    return f"{reason}: {words}"


def _words(error: BaseException) -> str:
    """The first line of what an error says."""
    if getattr(getattr(error, "os_error", error), "errno", None) == errno.ECONNREFUSED:
        return "connection refused"
    said = getattr(error, "strerror", None) or getattr(error, "message", None) or str(error)
    said = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
    line = next((line.strip() for line in said.splitlines() if line.strip()), "")
    return _WITHIN_TEXT.sub(lambda found: shown(found[0]), line)


def _in_words(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name.removesuffix("Error")).lower() or name
