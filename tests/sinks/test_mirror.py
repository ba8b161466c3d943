"""Outputs in an object store: whole for who goes by feats.json, and not computed twice."""

from __future__ import annotations

import itertools
import json
import zlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.object_store import Store
from tests.sinks import outputs
from tests.sinks.outputs import Run, failure, files, row, rows
from vggfeat.errors import OutputBusyError, UsageError, VggfeatError
from vggfeat.outcome import Failure, Row
from vggfeat.sinks import copies
from vggfeat.sinks.mirror import mirrored
from vggfeat.sinks.published import about_at, generation

Images = Iterable[Row | Failure]

IMAGES = [row(0), failure("bad.jpg"), row(1)]
NAMES = ["f.failed.csv", "f.index.csv", "f.json", "f.npy"]


@pytest.fixture
def bucket(store: Store) -> str:
    return store.bucket()


@pytest.fixture
def address(bucket: str) -> str:
    return f"s3://{bucket}/a b/f.npy"


def run(address: str, images: Images, *, publish: bool = True, put: bool = True) -> Run:
    """A run on this machine."""
    layers = [layer["layer"] for layer in outputs.SETTINGS["layers"]]
    form = address.rpartition(".")[2]
    with mirrored(address, layers, form, wait=False, on_note=print, put=put) as mirror:
        made = Run(mirror.path, images)
        if publish:
            return made.publish()
        made.work()
        raise KeyboardInterrupt


def on_another_machine(monkeypatch: pytest.MonkeyPatch, home: Path, name: str = "other") -> None:
    monkeypatch.setenv("HOME", str(home / name))


def there(store: Store, address: str) -> dict[str, bytes]:
    """The files in the store."""
    bucket, _, key = address.removeprefix("s3://").partition("/")
    folder = key.rpartition("/")[0]
    return {
        key.rpartition("/")[2]: store.get(f"s3://{bucket}/{key}")
        for key in store.keys(bucket)
        if key.rpartition("/")[0] == folder
    }


def alike(found: dict[str, bytes]) -> dict[str, object]:
    """Files without what differs from run to run."""
    about = json.loads(found["f.json"])
    layers = [{k: v for k, v in layer.items() if k != "mtime_ns"} for layer in about["layers"]]
    about = {k: v for k, v in about.items() if k not in ("began_ns", "runs")}
    return {**found, "f.json": about | {"layers": layers}}


def local(tmp_path: Path, images: Images, form: str = "npy") -> dict[str, object]:
    """What a run on local files leaves."""
    place = tmp_path / f"local-{form}"
    place.mkdir(exist_ok=True)
    Run(place / f"f.{form}", images, fresh=True).publish()
    return alike(files(place))


@pytest.mark.parametrize("form", ["npy", "parquet"])
def test_there_is_what_a_local_run_leaves(
    store: Store, address: str, tmp_path: Path, form: str
) -> None:
    address = address.replace(".npy", f".{form}")
    for images in (IMAGES, [*IMAGES, row(2)], rows([1])):
        run(address, images)
        assert alike(there(store, address)) == local(tmp_path, images, form)


def test_a_second_run_computes_nothing_and_moves_no_vectors(store: Store, address: str) -> None:
    run(address, IMAGES)
    store.calm()
    assert run(address, IMAGES).computed == []
    assert [request.path for request in store.met("PUT|POST|DELETE")] == [
        f"/{address.removeprefix('s3://').replace('.npy', '.json')}"
    ]
    assert not store.met("GET", r"npy|csv")


def test_another_machine_goes_on_from_what_is_there(
    store: Store, address: str, home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run(address, IMAGES)
    on_another_machine(monkeypatch, home)
    assert run(address, [*IMAGES, row(2)]).computed == ["2.jpg"]
    monkeypatch.setenv("HOME", str(home))
    assert run(address, [*IMAGES, row(2), row(3)]).computed == ["3.jpg"]
    assert alike(there(store, address)) == local(tmp_path, [*IMAGES, row(2), row(3)])


def test_what_a_killed_run_has_computed_is_taken_up(store: Store, address: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(address, IMAGES, publish=False)
    assert there(store, address) == {}
    assert run(address, [*IMAGES, row(2)]).computed == ["2.jpg"]


def test_a_run_that_is_not_to_put_anything_does_not(store: Store, address: str) -> None:
    run(address, IMAGES, put=False)
    assert there(store, address) == {}


def is_whole(found: dict[str, bytes]) -> bool:
    """Whether feats.json says that the others are its own, and they are."""
    if "f.json" not in found or "generation" not in (about := json.loads(found["f.json"])):
        return False
    assert generation(found["f.index.csv"], found.get("f.failed.csv", b"")) == about["generation"]
    assert len(found["f.npy"]) == about["layers"][0]["bytes"]
    checksums = [line.split(",")[-1] for line in found["f.index.csv"].decode().splitlines()[1:]]
    kept = [found["f.npy"][4096 + 20 * number :][:20] for number in range(len(checksums))]
    assert [f"{zlib.crc32(data):08x}" for data in kept] == checksums
    return True


def test_whatever_request_is_the_last_nobody_sees_a_mix_and_nothing_is_computed_again(
    store: Store, address: str, tmp_path: Path
) -> None:
    run(address, IMAGES)
    after = [row(5), *IMAGES[:1], row(6)]
    whole = []
    for step in itertools.count():
        fault = store.fail(99, method="PUT|POST|DELETE", how=403, after=step)
        with suppress(VggfeatError):
            run(address, after)
        whole.append(is_whole(there(store, address)))
        store.calm()
        assert run(address, after).computed == []
        assert is_whole(there(store, address))
        if not fault.done:
            break
        run(address, IMAGES)
    assert whole == [True, *[False] * (len(whole) - 2), True]
    assert alike(there(store, address)) == local(tmp_path, after)


@pytest.mark.parametrize("how", [503, "reset"])
def test_what_passes_is_tried_again(
    store: Store, address: str, how: int | str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("json", "npy", "index"):
        store.fail(2, method="PUT", path=name, how=how)
        store.fail(1, method="GET|HEAD", path=name, how=how)
    run(address, IMAGES)
    on_another_machine(monkeypatch, home)
    store.fail(2, method="GET", path="npy", how=how if how == "reset" else "truncate")
    assert run(address, IMAGES).computed == []


def test_what_does_not_pass_ends_in_a_sentence(store: Store, address: str) -> None:
    store.fail(99, method="PUT", path="npy", how=403)
    with pytest.raises(VggfeatError, match=f"^{address}: cannot be written: access denied"):
        run(address, IMAGES)
    assert not is_whole(there(store, address))


def test_a_bucket_that_is_not_there_is_told_before_anything_is_computed(store: Store) -> None:
    address = "s3://no-such-bucket/f.npy"
    told = r"^s3://no-such-bucket/f.json: no such bucket$"
    with (
        pytest.raises(VggfeatError, match=told),
        mirrored(address, ["fc7"], "npy", wait=False, on_note=print),
    ):
        raise AssertionError("computing")


@pytest.mark.parametrize("name", NAMES)
def test_what_others_have_put_there_is_not_replaced(store: Store, address: str, name: str) -> None:
    other = address.replace("f.npy", name)
    store.put(other, b"another's")
    with pytest.raises(VggfeatError, match=f"^{other}: was not written by vggfeat"):
        run(address, IMAGES)
    assert there(store, address) == {name: b"another's"}


def test_an_output_of_another_form_is_not_replaced(store: Store, address: str) -> None:
    run(address, IMAGES)
    with pytest.raises(VggfeatError, match="f.json beside it belongs to f.npy"):
        run(address.replace(".npy", ".npz"), IMAGES)


def test_layers_that_are_not_asked_for_any_more_go(
    store: Store, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as two:
        two.setitem(outputs.SETTINGS, "layers", outputs.TWO_LAYERS)
        run(address, IMAGES)
        assert there(store, address).keys() == {*NAMES, "f.fc7.npy", "f.pool5.avg.npy"} - {"f.npy"}
    run(address, IMAGES)
    assert sorted(there(store, address)) == NAMES


def test_a_layers_name_at_which_something_else_is_is_not_taken(
    store: Store, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(address, IMAGES)
    other = address.replace("f.npy", "f.fc7.npy")
    store.put(other, b"another's")
    monkeypatch.setitem(outputs.SETTINGS, "layers", outputs.TWO_LAYERS)
    with pytest.raises(VggfeatError, match=f"^{other}: was not written by vggfeat"):
        run(address, IMAGES)
    assert store.get(other) == b"another's"


def test_layers_are_removed_though_the_run_that_was_to_do_so_was_cut_off(
    store: Store, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as two:
        two.setitem(outputs.SETTINGS, "layers", outputs.TWO_LAYERS)
        run(address, IMAGES)
    store.fail(9, method="DELETE|POST", how=403)
    with pytest.raises(VggfeatError, match="cannot be removed"):
        run(address, IMAGES)
    store.calm()
    assert run(address, IMAGES).computed == []
    assert sorted(there(store, address)) == NAMES


def test_what_takes_time_is_told(
    address: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(address, IMAGES)
    monkeypatch.setattr(copies, "_TAKES_TIME", 100)
    run(address, [*IMAGES, row(2)])
    assert capsys.readouterr().out == f"{address}: putting 0.0 GB\n"


def test_two_runs_of_a_machine_exclude_each_other(address: str) -> None:
    told = f"^{address}: another vggfeat is writing it"
    with (
        mirrored(address, ["fc7"], "npy", wait=False, on_note=print),
        pytest.raises(OutputBusyError, match=told),
    ):
        run(address, IMAGES)


def test_who_puts_while_another_machine_does_says_so(store: Store, address: str) -> None:
    def meddle() -> None:
        store.put(address, b"another's")

    store.fail(1, method="PUT", path="index", how=meddle)
    with pytest.raises(OutputBusyError, match="another vggfeat is writing it"):
        run(address, IMAGES)
    assert not is_whole(there(store, address))


def test_messages_are_of_the_address(address: str) -> None:
    with mirrored(address, ["fc7"], "npy", wait=False, on_note=print) as mirror:
        copy = mirror.path
        assert mirror.said(f"{copy}: is gone") == f"{address}: is gone"
    told = f"^{address}: cannot be written: full \\(in its copy, {copy.parent}\\)"
    with (
        pytest.raises(VggfeatError, match=told),
        mirrored(address, ["fc7"], "npy", wait=False, on_note=print),
    ):
        raise VggfeatError(f"{copy}: cannot be written: full")


def test_a_copy_of_which_fetching_was_cut_off_is_no_strangers(
    store: Store, address: str, bucket: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(address, IMAGES)
    on_another_machine(monkeypatch, home)
    store.fail(9, method="GET", path="index", how=403)
    with pytest.raises(VggfeatError, match="cannot be read"):
        run(address, IMAGES)
    store.calm()
    assert run(address, IMAGES).computed == []
    for key in store.keys(bucket):
        store.delete(f"s3://{bucket}/{key}")
    on_another_machine(monkeypatch, home, "third")
    assert run(address, IMAGES).computed == ["0.jpg", "bad.jpg", "1.jpg"]


def test_vectors_that_were_removed_from_the_copy_are_fetched_again(
    store: Store, address: str, home: Path
) -> None:
    run(address, IMAGES)
    (copy,) = home.glob(".cache/vggfeat/outputs/*/f.npy")
    copy.unlink()
    assert run(address, IMAGES).computed == []
    assert is_whole(there(store, address))


def test_files_of_this_machine_are_written_where_they_are(tmp_path: Path) -> None:
    with mirrored(f"file://{tmp_path}/f.npy", ["fc7"], "npy", wait=False, on_note=print) as mirror:
        Run(mirror.path, IMAGES).publish()
    assert about_at(tmp_path / "f.json")


def test_web_addresses_are_for_reading() -> None:
    with pytest.raises(UsageError, match="^https://a.b/f.npy: nothing can be written to https"):
        run("https://a.b/f.npy", IMAGES)
