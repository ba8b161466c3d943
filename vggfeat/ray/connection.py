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
    """A cluster, for the time of the block.

    Args:
        address: `host:port` of its head; `auto` or None for `$RAY_ADDRESS`, else the one that runs
            on this machine, else one that is started here and ended with the block; `local` for
            that in any case.
        note: told in words what is used.

    Raises:
        VggfeatError: Ray is not installed, or the cluster not reached.
    """
    ray = package()
    if ray.is_initialized():  # by the program that calls us
        yield Cluster(ray)
        return
    try:
        with own_signals():
            _connect(ray, _checked(address or AUTO), note)
        hush(ray)
        yield Cluster(ray)
    finally:
        with own_signals():
            ray.shutdown()


def _checked(address: str) -> str:
    """The address, if there may be a cluster."""
    asked = os.environ.get("RAY_ADDRESS", "") if address == AUTO else address
    if not asked or asked in (AUTO, LOCAL):
        return address
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
    try:
        socket.create_connection((host.strip("[]"), int(port)), _PATIENCE).close()
    except (OSError, OverflowError) as error:
        why = describe_os_error(error) if isinstance(error, OSError) else str(error)
        raise VggfeatError(
            f"no Ray cluster answers at {asked}: {why} (`ray status` tells more)"
        ) from error
    return address


def _connect(ray: Any, address: str, note: Note) -> None:
    if address != LOCAL:
        try:
            _init(ray, address)
            return
        except ConnectionError as error:
            if address != AUTO or os.environ.get("RAY_ADDRESS"):
                raise VggfeatError(
                    f"the Ray cluster at {address} cannot be reached: {reason(error)}"
                ) from error
        except (RuntimeError, ValueError, OSError) as error:
            raise VggfeatError(f"the Ray cluster cannot be used: {reason(error)}") from error
        note("no Ray cluster is running: one is started on this machine for the time of the run")
    try:
        _init(ray, LOCAL, num_cpus=cores(), include_dashboard=False)
    except (RuntimeError, ValueError, OSError) as error:
        raise VggfeatError(f"Ray cannot be started here: {reason(error)}") from error


def _init(ray: Any, address: str, **options: Any) -> None:
    with quietly():
        ray.init(address, log_to_driver=False, configure_logging=False, **options)
