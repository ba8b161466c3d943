"""A cluster is found or started, for the time of a run."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Iterator
from typing import Any

from vggfeat.cores import cores
from vggfeat.errors import UsageError, VggfeatError, describe_os_error
from vggfeat.quiet_tensorflow import quietly
from vggfeat.ray.cluster import Cluster, reason
from vggfeat.ray.quiet import hush, own_signals, package

Note = Callable[[str], None]

AUTO, LOCAL = "auto", "local"
_PATIENCE = 5.0  # seconds, for a machine to answer


@contextlib.contextmanager
def connected(address: str | None = None, note: Note = lambda text: None) -> Iterator[Cluster]:
    """A cluster, which is connected to when it is needed first, for the rest of the block.

    Args:
        address: `host:port` of its head; `auto` or None for `$RAY_ADDRESS`, else the one that runs
            on this machine, else one that is started here and ended with the block; `local` for
            that in any case.
        note: told in words what is used.

    Raises:
        UsageError: there can be no cluster at such an address.

    The cluster raises VggfeatError where Ray is not installed, or it is not reached.
    """
    asked = _asked(address or AUTO)
    with contextlib.ExitStack() as opened:
        yield Cluster(lambda: opened.enter_context(_connection(asked, note)))


@contextlib.contextmanager
def _connection(asked: str, note: Note) -> Iterator[Any]:
    ray = package()
    if ray.is_initialized():  # by the program that calls us
        yield ray
        return
    try:
        with own_signals():
            _connect(ray, _reached(asked), note)
        hush(ray)
        yield ray
    finally:
        with own_signals():
            ray.shutdown()


def _asked(address: str) -> str:
    """The address in the one form that is of use: `host:port`, `auto` or `local`."""
    asked = os.environ.get("RAY_ADDRESS") or AUTO if address == AUTO else address
    if asked in (AUTO, LOCAL):
        return asked
    if "://" in asked:
        raise UsageError(
            f"--ray {asked}: Ray Data does not work from outside a cluster: give host:port of its "
            "head on one of its machines, or send the command there: "
            "ray job submit --address http://HEAD:8265 -- vggfeat extract ... --ray"
        )
    host, _, port = asked.rpartition(":")
    if not host or not port.isdecimal():
        raise UsageError(
            f"--ray {asked}: give host:port of the cluster's head, such as 10.0.0.1:6379"
        )
    return asked


def _reached(asked: str) -> str:
    """The address, if there may be a cluster; `local` where none is running."""
    if asked == LOCAL:
        return LOCAL
    if asked == AUTO:
        left = _left_by_ray()  # also by one that has died, for which Ray would wait long
        return AUTO if left and _why_not(left) is None else LOCAL
    if (why := _why_not(asked)) is not None:
        raise VggfeatError(f"no Ray cluster answers at {asked}: {why} (`ray status` tells more)")
    return asked


def _why_not(address: str) -> str | None:
    """Why nothing answers at host:port; None if something does."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _PATIENCE).close()
    except OSError as error:
        return describe_os_error(error)
    except (OverflowError, ValueError) as error:
        return str(error)
    return None


def _left_by_ray() -> str | None:
    """The address of the cluster that was started on this machine last."""
    from ray._private import utils

    found: str | None = utils.read_ray_address()
    return found


def _connect(ray: Any, address: str, note: Note) -> None:
    try:
        if address != LOCAL:
            _init(ray, address)
            return
        note("a Ray cluster is started on this machine for the time of the run")
        _init(ray, LOCAL, num_cpus=cores(), include_dashboard=False)
    except (RuntimeError, ValueError, OSError) as error:  # a ConnectionError is an OSError
        what = "cannot be started here" if address == LOCAL else f"at {address} cannot be used"
        raise VggfeatError(f"a Ray cluster {what}: {reason(error)}") from error


def _init(ray: Any, address: str, **options: Any) -> None:
    with quietly():
        ray.init(address, log_to_driver=False, configure_logging=False, **options)
