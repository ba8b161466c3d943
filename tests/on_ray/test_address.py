"""What is said where no cluster can be had."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from tests.on_ray import runs
from vggfeat.errors import UsageError, VggfeatError
from vggfeat.ray import connected
from vggfeat.watcher import Watcher


def refused(address: str) -> str:
    with pytest.raises(VggfeatError) as caught, connected(address) as cluster:
        cluster.connect()
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


def test_where_nothing_is_to_be_computed_no_cluster_is_needed(tmp_path: Path) -> None:
    computed = runs.computation()
    job = runs.job(tmp_path / "feats", computed)
    with connected("127.0.0.1:1") as cluster:
        assert list(cluster.extract_parts([], job, computed, Watcher())) == []
        assert cluster.engine("auto", before="ncnn") == "ncnn"
        with pytest.raises(VggfeatError, match="no Ray cluster answers"):
            cluster.engine("auto")
