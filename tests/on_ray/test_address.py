"""What is said where no cluster can be had."""

from __future__ import annotations

import socket
import sys

import pytest

from vggfeat.errors import UsageError, VggfeatError
from vggfeat.ray import connected


def refused(address: str) -> str:
    with pytest.raises(VggfeatError) as caught, connected(address):
        pass
    return str(caught.value)


def test_without_ray_there_is_a_command_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert "pip install 'vggfeat[ray]'" in refused("auto")


def test_where_nothing_listens_it_is_told_at_once() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    said = refused(address)
    assert said.startswith(f"no Ray cluster answers at {address}: Connection refused")


@pytest.mark.parametrize("address", ["ray://10.0.0.1:10001", "http://10.0.0.1:8265"])
def test_from_outside_a_job_is_submitted(address: str) -> None:
    with pytest.raises(UsageError, match=f"--ray {address}: .* ray job submit"), connected(address):
        pass


def test_an_address_has_host_and_port(monkeypatch: pytest.MonkeyPatch) -> None:
    assert refused("head") == (
        "--ray head: give host:port of the cluster's head, such as 10.0.0.1:6379"
    )
    monkeypatch.setenv("RAY_ADDRESS", "ray://10.0.0.1:10001")
    assert "ray job submit" in refused("auto")
