"""Images in an object store: what is there is read, and what fails is told, once it has to be."""

from __future__ import annotations

import pickle
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import networks
from tests.object_store import RESET, TRUNCATE, Store
from tests.sources import on_stdin
from tests.sources.archives import COMPRESSIONS, Members, read, tar, whole, zipped
from vggfeat import extract, remote
from vggfeat.errors import ImageError, TransientImageError, VggfeatError
from vggfeat.sources import open_inputs, ref
from vggfeat.sources.units import open_units

MEMBERS: Members = [
    (f"{number}.jpg", random.Random(number).randbytes(70_000)) for number in range(6)
]
ARCHIVES = {
    "x.tar": tar(MEMBERS),
    "x.tar.gz": COMPRESSIONS[".gz"](tar(MEMBERS)),
    "x.zip": zipped(MEMBERS),
}


@pytest.fixture
def bucket(store: Store) -> str:
    """A bucket's address."""
    return f"s3://{store.bucket()}"


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vggfeat.sources.stream._BLOCK", 50_000)


# What is there


def test_a_folder_is_listed_in_natural_order(store: Store, bucket: str) -> None:
    for key in ("p/10.jpg", "p/9.jpg", "p/sub/1.png", "p/notes.txt", "p/.h/1.jpg", "p/x.tar",
                "p/1/", "other/1.jpg", "p.jpg", "p/sub-2/1.jpg"):  # fmt: skip
        store.put(f"{bucket}/{key}", key.encode())

    for address in (f"{bucket}/p", f"{bucket}/p/"):
        inputs = open_inputs([address])
        assert inputs.total == 4
        assert [image.name for image in inputs] == [
            f"{bucket}/p/{name}" for name in ("9.jpg", "10.jpg", "sub/1.png", "sub-2/1.jpg")
        ]
        skipped = "1 hidden, 1 not an image, 1 an archive (to read, name it)"
        assert str(inputs.skipped) == skipped
    assert [image.read().data for image in inputs][:2] == [b"p/9.jpg", b"p/10.jpg"]
    assert len(whole(bucket)) == 6


def test_a_listing_tells_stamps(store: Store, bucket: str) -> None:
    store.put(f"{bucket}/p/a.jpg", b"abc")
    (listed,) = open_inputs([f"{bucket}/p"])
    (named,) = open_inputs([f"{bucket}/p/a.jpg"])
    store.calm()

    stamp = listed.stamp()

    assert stamp is not None
    assert store.requests == []
    assert stamp == named.stamp() == named.read().stamp
    assert (stamp.size, stamp.mtime_ns // 10**18) == (3, 1)


def test_an_image_that_is_listed_takes_one_request(store: Store, bucket: str) -> None:
    store.put(f"{bucket}/p/a.jpg", b"abc")
    (image,) = open_inputs([f"{bucket}/p"])
    store.calm()

    assert image.read().data == b"abc"
    assert [request.method for request in store.requests] == ["GET"]


def test_many_pages_are_one_listing(store: Store, bucket: str) -> None:
    for number in range(1001):
        store.put(f"{bucket}/p/{number}.jpg", b"")

    inputs = open_inputs([f"{bucket}/p"])

    assert [image.name for image in inputs] == [f"{bucket}/p/{n}.jpg" for n in range(1001)]
    assert len(store.met("GET", "list-type=2")) >= 2


@pytest.mark.parametrize("name", ARCHIVES)
@pytest.mark.usefixtures("small_blocks")
def test_archives_are_read_where_they_are(store: Store, bucket: str, name: str) -> None:
    store.put(f"{bucket}/{name}", ARCHIVES[name])

    assert whole(f"{bucket}/{name}") == [(f"{bucket}/{name}/{n}", data) for n, data in MEMBERS]


def test_a_zips_members_take_one_request_each(store: Store, bucket: str) -> None:
    store.put(f"{bucket}/x.zip", ARCHIVES["x.zip"])
    images = list(open_inputs([f"{bucket}/x.zip"]))
    images[0].read()
    store.calm()

    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda image: image.read().data, images))

    assert found == [data for _, data in MEMBERS]
    assert [request.method for request in store.requests] == ["GET"] * len(MEMBERS)
    assert all(request.range for request in store.requests)


def test_patterns_of_shards(store: Store, bucket: str) -> None:
    for number in range(3):
        store.put(f"{bucket}/s/{number}.tar", tar([("a.jpg", b"%d" % number)]))

    for pattern in ("s/*.tar", "s/{0..2}.tar", "*/?.tar"):
        names = [name for name, _ in whole(f"{bucket}/{pattern}")]
        assert names == [f"{bucket}/s/{n}.tar/a.jpg" for n in range(3)]


def test_addresses_stand_on_lists_among_paths(store: Store, bucket: str, tmp_path: Any) -> None:
    store.put(f"{bucket}/a.jpg", b"there")
    store.put(f"{bucket}/p/b.jpg", b"below")
    store.put(f"{bucket}/x.tar", tar([("c.jpg", b"within")]))
    (tmp_path / "here.jpg").write_bytes(b"here")
    lines = [f"{bucket}/a.jpg", f"{tmp_path}/here.jpg", f"{bucket}/gone.jpg", f"{bucket}/p",
             f"{bucket}/x.tar", f"{bucket}/gone", "foo://a.jpg"]  # fmt: skip

    with on_stdin("\n".join(lines).encode()):
        found = read("-")

    assert [item.data for item in found] == [
        b"there", b"here", None, b"below", b"within", None, None,
    ]  # fmt: skip
    assert [item[::2] for item in found if item.data is None] == [
        (f"{bucket}/gone.jpg", "not found"),
        (f"{bucket}/gone", "not found"),
        ("foo://a.jpg", "no protocol foo:// is known"),
    ]


def test_images_can_be_pickled_and_found_again(store: Store, bucket: str) -> None:
    store.put(f"{bucket}/a.jpg", b"abc")
    store.put(f"{bucket}/x.zip", ARCHIVES["x.zip"])
    for image in open_inputs([f"{bucket}/a.jpg", f"{bucket}/x.zip"]):
        again = pickle.loads(pickle.dumps(image))
        found = ref(image.name)
        assert found is not None
        assert again.read() == image.read() == found.read()
    assert ref(f"{bucket}/x.tar/a.jpg") is None


# Faults that pass


@pytest.mark.parametrize("how", [500, 503, TRUNCATE, RESET])
def test_an_image_is_asked_for_again(store: Store, bucket: str, how: int | str) -> None:
    store.put(f"{bucket}/p/a.jpg", b"abc" * 10_000)
    (image,) = open_inputs([f"{bucket}/p"])
    fault = store.fail(2, path="/p/a.jpg", how=how)

    assert image.read().data == b"abc" * 10_000
    assert fault.done == 2


@pytest.mark.parametrize("how", [500, 503, RESET])
def test_a_listing_is_asked_for_again(store: Store, bucket: str, how: int | str) -> None:
    store.put(f"{bucket}/p/a.jpg", b"abc")
    fault = store.fail(2, path="list-type", how=how)

    assert len(whole(f"{bucket}/p")) == 1
    assert fault.done == 2


@pytest.mark.parametrize("how", [500, 503, TRUNCATE, RESET])
@pytest.mark.parametrize("name", ARCHIVES)
@pytest.mark.usefixtures("small_blocks")
def test_an_archive_goes_on_where_it_broke_off(
    store: Store, bucket: str, name: str, how: int | str
) -> None:
    store.put(f"{bucket}/{name}", ARCHIVES[name])
    fault = store.fail(2, path=name, how=how, after=1)

    assert [data for _, data in whole(f"{bucket}/{name}")] == [data for _, data in MEMBERS]
    assert fault.done == 2


@pytest.mark.parametrize("new", [b"newer", b"n", b""])
def test_an_image_that_has_changed_since_it_was_listed_is_the_new_one(
    store: Store, bucket: str, new: bytes
) -> None:
    store.put(f"{bucket}/p/a.jpg", b"old")
    (image,) = open_inputs([f"{bucket}/p"])
    store.put(f"{bucket}/p/a.jpg", new)

    source = image.read()

    assert (source.data, source.stamp.size) == (new, len(new))


# Faults that stay


@pytest.mark.parametrize(
    ("how", "reason", "may_pass"),
    [
        (500, "the server answers 500: InternalError!", True),
        (503, "the server answers 503: SlowDown!", True),
        (403, "access denied: AccessDenied!", False),
        (404, "not found", False),
    ],
)
def test_an_image_fails_with_the_stores_reason(
    store: Store, bucket: str, how: int, reason: str, may_pass: bool
) -> None:
    store.put(f"{bucket}/p/a.jpg", b"abc")
    (image,) = open_inputs([f"{bucket}/p"])
    store.fail(99, path="/p/a.jpg", how=how)

    with pytest.raises(ImageError) as caught:
        image.read()
    assert str(caught.value) == reason
    assert isinstance(caught.value, TransientImageError) == may_pass


@pytest.mark.parametrize("name", ["x.tar", "x.tar.gz"])
@pytest.mark.usefixtures("small_blocks")
def test_of_an_archive_that_breaks_off_for_good_what_has_come_stays(
    store: Store, bucket: str, name: str
) -> None:
    store.put(f"{bucket}/{name}", ARCHIVES[name])
    store.fail(99, path=name, how=500, after=4)

    images = list(open_inputs([f"{bucket}/{name}"]))

    good = [image.read().data for image in images[:-1]]
    assert good == [data for _, data in MEMBERS[: len(good)]]
    assert len(good) >= 2
    assert images[-1].name == f"{bucket}/{name}"
    with pytest.raises(TransientImageError, match="^the server answers 500"):
        images[-1].read()


@pytest.mark.usefixtures("small_blocks")
def test_a_tar_that_is_replaced_under_way_is_noticed(store: Store, bucket: str) -> None:
    store.put(f"{bucket}/x.tar", ARCHIVES["x.tar"])
    other = tar([(name, bytes(len(data))) for name, data in MEMBERS])
    store.fail(1, path="x.tar", how=lambda: store.put(f"{bucket}/x.tar", other), after=3)

    images = list(open_inputs([f"{bucket}/x.tar"]))

    good = [image.read().data for image in images[:-1]]
    assert good == [data for _, data in MEMBERS[: len(good)]]
    assert images[-1].name == f"{bucket}/x.tar"
    with pytest.raises(TransientImageError, match="^it changed while it was read$"):
        images[-1].read()


def test_a_zip_that_is_replaced_is_noticed(store: Store, bucket: str) -> None:
    store.put(f"{bucket}/x.zip", ARCHIVES["x.zip"])
    first, *_, last = open_inputs([f"{bucket}/x.zip"])
    first.read()
    store.put(f"{bucket}/x.zip", zipped([(n, bytes(len(data))) for n, data in MEMBERS]))

    with pytest.raises(TransientImageError, match="^it changed while it was read$"):
        last.read()


@pytest.mark.parametrize("name", ["gone", "gone/", "*.jpg", "gone/*.tar"])
def test_what_is_not_there_ends_the_run(store: Store, bucket: str, name: str) -> None:
    store.put(f"{bucket}/there.txt", b"")
    with pytest.raises(VggfeatError) as caught:
        open_inputs([f"{bucket}/{name}"])
    reason = "no such file" if "*" in name else "not found"
    assert str(caught.value) == f"{bucket}/{name}: {reason}"


def test_a_listing_that_is_refused_ends_the_run(store: Store, bucket: str) -> None:
    store.put(f"{bucket}/p/a.jpg", b"abc")
    store.fail(99, method="GET|HEAD", how=403)

    with pytest.raises(VggfeatError, match=f"^{bucket}/p: access denied"):
        open_inputs([f"{bucket}/p"])


def test_no_such_bucket_ends_the_run(store: Store) -> None:
    with pytest.raises(VggfeatError, match="^s3://no-such-bucket/p: "):
        open_inputs(["s3://no-such-bucket/p"])


def test_an_archive_that_is_not_there_is_one_failure(bucket: str) -> None:
    for name in ARCHIVES:
        assert read(f"{bucket}/{name}") == [(f"{bucket}/{name}", None, "not found")]


def test_without_credentials_that_is_said(
    store: Store, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    remote.forget()
    try:
        with pytest.raises(VggfeatError, match="no credentials were found"):
            open_inputs([f"{bucket}/p"])
        assert read(f"{bucket}/p.jpg")[0].reason.startswith("no credentials were found")
    finally:
        remote.forget()


# Threads and units


def test_many_threads_read_at_once(store: Store, bucket: str) -> None:
    for number in range(40):
        store.put(f"{bucket}/p/{number}.jpg", b"%d" % number)
    images = list(open_inputs([f"{bucket}/p"]))

    with ThreadPoolExecutor(16) as threads:
        found = list(threads.map(lambda image: image.read().data, images))

    assert found == [b"%d" % number for number in range(40)]


def test_units_ask_for_stamps_together(store: Store, bucket: str) -> None:
    names = [f"{bucket}/{number}.jpg" for number in range(20)]
    for name in names:
        store.put(name, b"abc")
    (unit,) = open_units(names, 100).units
    meeting = threading.Barrier(4, timeout=20)
    store.fail(4, method="HEAD", how=lambda: void(meeting.wait()))

    stamps = list(unit.inputs())

    assert [name for name, _ in stamps] == names
    assert all(stamp and stamp.size == 3 for _, stamp in stamps)


def void(_: object) -> None:
    pass


def test_listing_units_opens_no_tar(store: Store, bucket: str) -> None:
    for number in range(3):
        store.put(f"{bucket}/{number}.tar", ARCHIVES["x.tar"])
    store.calm()

    units = list(open_units([f"{bucket}/{{0..2}}.tar"], 2).units)

    assert [unit.name for unit in units] == [f"{bucket}/{n}.tar" for n in range(3)]
    assert store.requests == []


# All together


def test_a_run_over_a_store_gives_what_a_run_over_files_gives(
    store: Store, bucket: str, tmp_path: Path, samples: list[Path]
) -> None:
    photos = [path for path in samples if path.suffix == ".jpg"][:6]
    for path in photos[:3]:
        store.put(f"{bucket}/p/{path.name}", path.read_bytes())
    store.put(f"{bucket}/x.tar", tar([(path.name, path.read_bytes()) for path in photos[3:]]))
    store.fail(5, how=503, after=2)
    inputs = [f"{bucket}/p", f"{bucket}/x.tar"]
    options: dict[str, Any] = {"weights": networks.weights(), "engine": "ncnn"}

    report = extract(inputs, tmp_path / "f.npy", **options)
    again = extract(inputs, tmp_path / "f.npy", **options)
    extract(photos, tmp_path / "files.npy", **options)

    assert (report.rows, report.failed, report.computed) == (6, 0, 6)
    assert (again.rows, again.computed) == (6, 0)
    np.testing.assert_array_equal(np.load(tmp_path / "f.npy"), np.load(tmp_path / "files.npy"))
    assert "not-to-be-told" not in "".join(
        path.read_text(errors="replace") for path in tmp_path.iterdir() if path.is_file()
    )
    store.delete(f"{bucket}/p/{photos[0].name}")
    store.fail(99, path="x.tar", how=404)
    last = extract(inputs, tmp_path / "f.npy", **options)
    assert (last.rows, last.failed) == (2, 1)
