"""Files at addresses, `s3://bucket/a.jpg`: their file systems, what may pass, and what may be told.

Credentials are those that the packages below fsspec find for themselves: in the environment, in
profiles, in fsspec's configuration. Passwords and signatures in an address are used, never told.
"""

from __future__ import annotations

import logging
import os
import random
import re
import sys
import threading
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from vggfeat.address import is_address, shown
from vggfeat.errors import VggfeatError
from vggfeat.trouble import describe, is_transient

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

A = TypeVar("A")

__all__ = ["describe", "filesystem", "forget", "is_address", "is_transient", "retrying", "shown"]

WAITS = (0.5, 1.5, 4.0, 12.0)  # seconds between tries

# The package behind a protocol, and the extra of vggfeat that brings it.
_PACKAGES = {
    "s3": ("s3fs", "s3"),
    "s3a": ("s3fs", "s3"),
    "gs": ("gcsfs", "gcs"),
    "gcs": ("gcsfs", "gcs"),
    "az": ("adlfs", "azure"),
    "abfs": ("adlfs", "azure"),
    "abfss": ("adlfs", "azure"),
    "adl": ("adlfs", "azure"),
    "hf": ("huggingface_hub", "hf"),
    "http": ("aiohttp", "http"),
    "https": ("aiohttp", "http"),
}

# What stands for "in what is at the address behind it": `zip://a.jpg::s3://bucket/x.zip`.
_WITHIN = re.compile(r"[a-z0-9+.-]+://.*::([a-z0-9+.-]+://|/)", re.IGNORECASE)

_log = logging.getLogger(__name__)

# What they say of their own accord is said by us, in one line.
for _name in ("asyncio", "azure", "botocore", "fsspec", "gcsfs", "huggingface_hub", "s3fs"):
    logging.getLogger(_name).addHandler(logging.NullHandler())


def filesystem(address: str) -> tuple[AbstractFileSystem, str]:
    """The file system of an address, and its path there. For the thread that asks.

    It keeps no listings, so that it tells what is there now.

    Raises:
        VggfeatError: the protocol is not known, its package not installed, or the configuration
            does not serve it.
    """
    protocol, _, rest = address.partition("://")
    protocol = protocol.lower()
    address = f"{protocol}://{rest}"
    if _WITHIN.match(address) and "::" not in protocol:
        raise VggfeatError(f"{shown(address)}: addresses within others are not read: name the last")
    try:
        if "::" in protocol:
            from fsspec.core import url_to_fs

            found, path = url_to_fs(address)
            return found, path
        from fsspec import get_filesystem_class

        made_by = get_filesystem_class(protocol)
        options = made_by._get_kwargs_from_urls(address)
        # Asynchronous ones serve all threads, and others are not made for several.
        thread = 0 if made_by.async_impl else threading.get_ident()
        hashable = tuple(sorted(options.items()))
        return _filesystem(protocol, hashable, os.getpid(), thread), made_by._strip_protocol(
            address
        )
    except ImportError as error:
        raise VggfeatError(_missing_package(protocol, error)) from error
    except Exception as error:
        if not isinstance(error, ValueError) or "not known" not in str(error).lower():
            raise VggfeatError(f"{shown(address)}: {describe(error)}") from error
        raise VggfeatError(f"{shown(address)}: no protocol {protocol}:// is known") from error


@lru_cache(maxsize=256)
def _filesystem(
    protocol: str, options: tuple[tuple[str, Any], ...], pid: int, thread: int
) -> AbstractFileSystem:
    from fsspec import get_filesystem_class
    from fsspec.config import conf

    chosen: dict[str, Any] = {"use_listings_cache": False, "skip_instance_cache": True}
    if protocol in ("http", "https") and not ({"http", "https"} & conf.keys()):
        from aiohttp import ClientTimeout

        chosen["client_kwargs"] = {
            "trust_env": True,  # proxies, and .netrc
            "timeout": ClientTimeout(total=None, sock_connect=30, sock_read=60),
        }
        # Else lengths would be those of what a server has compressed.
        chosen["headers"] = {"Accept-Encoding": "identity"}
    if protocol in ("s3", "s3a") and not _chooses_tries(conf):
        # It would ask five times for each of the five times that s3fs does, and we do.
        chosen["config_kwargs"] = {"retries": {"max_attempts": 0}}
    return get_filesystem_class(protocol)(**(chosen | dict(options)))


def _chooses_tries(conf: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether the user says how often botocore asks."""
    names = ("AWS_MAX_ATTEMPTS", "AWS_RETRY_MODE")
    return any(name in os.environ for name in names) or any(
        "config_kwargs" in conf.get(protocol, {}) for protocol in ("s3", "s3a")
    )


def _forget_threads() -> None:
    """Let a forked process start fsspec's thread anew, which fsspec of 2025 does not see to."""
    if asyn := sys.modules.get("fsspec.asyn"):
        asyn.reset_lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)


def forget() -> None:
    """Open file systems anew, by the environment as it is then."""
    _filesystem.cache_clear()


def _missing_package(protocol: str, error: ImportError) -> str:
    if protocol in _PACKAGES:
        package, extra = _PACKAGES[protocol]
        return f"{protocol}:// needs {package}: pip install 'vggfeat[{extra}]'"
    return f"{protocol}:// needs a package that is not installed: {error}"


def retrying(what: Callable[[], A], *, where: str) -> A:
    """What a call gives, tried again after a while where it fails for a reason that may pass.

    Args:
        where: the address, for the log.

    Raises:
        Exception: the call's own, where it lasts, or at the last try.
    """
    waits = iter(WAITS)
    while True:
        try:
            return what()
        except Exception as error:
            wait = next(waits, None)
            if wait is None or not is_transient(error):
                raise
            wait *= random.uniform(0.75, 1.25)
            _log.debug("%s: %s; again in %.1f s", shown(where), describe(error), wait)
        time.sleep(wait)
