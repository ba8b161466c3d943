"""Addresses of files, `s3://bucket/a.jpg`, and how much of one may be told."""

from __future__ import annotations

import re
from urllib.parse import unquote

# One letter is a drive: C:\
_ADDRESS = re.compile(r"(?:[a-z0-9+.-]+::)*[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_USER = re.compile(r"(?<=://)[^/?#]*@")
# Of the addresses that S3, Google, Azure, CloudFront and others sign, and what people call theirs.
_SECRET = re.compile(
    r"(x-(amz|goog|oss|ms|cos)-.*|signature|.*-signature|awsaccesskeyid|googleaccessid|expires"
    r"|policy|key-pair-id|sig|hdnts|hdnea|.*token|.*key|.*secret|.*password|passwd|pwd|auth"
    r"|authorization|credentials?|jwt)",
    re.IGNORECASE,
)
_OF_AZURE = frozenset(
    "sv ss srt sp se st spr sr sip si sdd saoid suoid scid skoid sktid skt ske sks skv".split()
)
_SIGNED_BY_AZURE = re.compile(r"[?&]sig=", re.IGNORECASE)


def is_address(name: str) -> bool:
    """Whether it is `protocol://...`, and no path."""
    return bool(_ADDRESS.match(name))


def shown(address: str) -> str:
    """An address as it may be told and kept: without password and signature."""
    if not is_address(address):
        return address
    address = _USER.sub("", address)
    before, mark, query = address.partition("?")
    if not mark:
        return address
    by_azure = bool(_SIGNED_BY_AZURE.search(address))
    kept = [part for part in query.split("&") if not _is_secret(part.split("=")[0], by_azure)]
    return f"{before}?{'&'.join(kept)}" if kept else before


def _is_secret(parameter: str, by_azure: bool) -> bool:
    name = unquote(parameter).lower()
    return bool(_SECRET.fullmatch(name)) or (by_azure and name in _OF_AZURE)
