"""What the system tells: memory within limits, containers, and cards that no driver shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from vggfeat import cgroups
from vggfeat.doctor import disks, machine, memory
from vggfeat.doctor.memory import Memory

MIB = 1 << 20


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of 16 GiB, of which 8 are free, with this process in the group a/b."""
    (tmp_path / "meminfo").write_text("MemTotal: 16777216 kB\nMemAvailable: 8388608 kB\n")
    (tmp_path / "membership").write_text("0::/a/b\n")
    (tmp_path / "groups" / "a" / "b").mkdir(parents=True)
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(cgroups, "_MEMBERSHIP", tmp_path / "membership")
    monkeypatch.setattr(cgroups, "_CGROUPS", tmp_path / "groups")
    for name in ("_CPUINFO", "_FIRST_PROCESS", "_PCI"):
        monkeypatch.setattr(machine, name, tmp_path / name.strip("_").lower())
    monkeypatch.setattr(machine, "_MARKS", {tmp_path / "dockerenv": "Docker"})
    monkeypatch.setattr(machine, "_KERNELS", (tmp_path / "version",))
    return tmp_path


def limit(group: Path, most: str, used: int, cached: int) -> None:
    (group / "memory.max").write_text(f"{most}\n")
    (group / "memory.current").write_text(f"{used}\n")
    (group / "memory.stat").write_text(f"anon 1\ninactive_file {cached}\n")


def test_without_a_limit_memory_is_the_machines(system: Path) -> None:
    assert memory.look() == Memory(16384 * MIB, 8192 * MIB)
    limit(system / "groups" / "a", "max", 1, 0)
    assert memory.look() == Memory(16384 * MIB, 8192 * MIB)


def test_the_smaller_limit_of_a_container_counts_but_not_what_can_be_dropped(system: Path) -> None:
    limit(system / "groups" / "a", str(4096 * MIB), 1024 * MIB, 24 * MIB)
    limit(system / "groups" / "a" / "b", str(2048 * MIB), 100 * MIB, 0)
    assert memory.look() == Memory(2048 * MIB, 1948 * MIB, limited=True)
    limit(system / "groups" / "a", str(4096 * MIB), 4000 * MIB, 24 * MIB)
    assert memory.look() == Memory(2048 * MIB, 120 * MIB, limited=True)


def test_a_limit_above_the_machines_memory_is_none(system: Path) -> None:
    limit(system / "groups" / "a", str(1 << 60), 0, 0)
    assert memory.look() == Memory(16384 * MIB, 8192 * MIB)


def test_a_limit_that_the_machine_cannot_give_leaves_what_is_free(system: Path) -> None:
    limit(system / "groups" / "a", str(12288 * MIB), 0, 0)
    assert memory.look() == Memory(12288 * MIB, 8192 * MIB, limited=True)


def test_control_groups_of_version_1_limit_too(system: Path) -> None:
    (system / "membership").write_text("3:cpu:/x\n2:memory:/c\n")
    group = system / "groups" / "memory" / "c"
    group.mkdir(parents=True)
    (group / "memory.limit_in_bytes").write_text(f"{1024 * MIB}\n")
    (group / "memory.usage_in_bytes").write_text(f"{512 * MIB}\n")
    (group / "memory.stat").write_text(f"total_inactive_file {12 * MIB}\n")
    assert memory.look() == Memory(1024 * MIB, 524 * MIB, limited=True)


def test_a_system_that_does_not_tell_has_unknown_memory(
    system: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "_MEMINFO", system / "none")
    monkeypatch.setattr(memory, "_physical", lambda: None)
    assert memory.look() == Memory(None, None)


def test_a_container_is_known_by_its_mark_or_its_groups(system: Path) -> None:
    assert machine.look().container is None
    first = system / "first_process"
    first.write_text("0::/\n")
    assert machine.look().container is None
    first.write_text("4:memory:/kubepods/besteffort/pod1\n")
    assert machine.look().container == "Kubernetes"
    (system / "dockerenv").touch()
    assert machine.look().container == "Docker"


def test_what_the_kernel_shows_of_nvidia_is_told(system: Path) -> None:
    for number, (vendor, kind) in enumerate(
        [("0x10de", "0x030200"), ("0x10de", "0x040300"), ("0x8086", "0x030000")]
    ):
        device = system / "pci" / str(number)
        device.mkdir(parents=True)
        (device / "vendor").write_text(f"{vendor}\n")
        (device / "class").write_text(f"{kind}\n")
    assert (machine.look().cards_on_bus, machine.look().kernel_driver) == (1, None)
    (system / "version").touch()
    assert machine.look().kernel_driver == str(system / "version")


def test_the_processors_model_is_the_systems_word(system: Path) -> None:
    (system / "cpuinfo").write_text("processor : 0\nmodel name\t: AMD  EPYC 9R14\nflags : a\n")
    found = machine.look()
    assert found.processor == "AMD EPYC 9R14"
    assert 1 <= found.processors <= found.processors_there


def test_disks_are_looked_at_where_the_folders_will_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VGGFEAT_STORE", str(tmp_path / "not" / "yet"))
    monkeypatch.chdir(tmp_path)
    store, temporary, current = disks.look()
    assert (store.folder, store.writable) == (str(tmp_path / "not" / "yet"), True)
    assert store.free is not None
    assert not (tmp_path / "not").exists()
    assert (temporary.what, temporary.problem) == ("temporary", None)
    assert (current.what, current.folder) == ("current", str(tmp_path))


def test_a_folder_that_is_gone_is_a_problem_of_that_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert disks.look()[2].problem == "No such file or directory"
