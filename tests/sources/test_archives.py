"""Tar and zip archives: every image of them, in order, and what is wrong with some."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import random
import subprocess
import tarfile
import time
import zipfile
from pathlib import Path

import fsspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sources.archives import COMPRESSIONS, Members, read, tar, whole, zipped
from vggfeat.errors import ImageError, TransientImageError
from vggfeat.sources import files, open_inputs, ref
from vggfeat.sources.tar import TarMember

MEMBERS: Members = [
    ("b.jpg", b"BB"),
    ("a/10.png", os.urandom(3000)),
    ("a/2.PNG", b""),
    ("a/b.left.jpg", b"left"),
    ("/abs.jpg", b"absolute"),
    ("../up.jpg", b"up"),
    ("\N{GREEK SMALL LETTER ALPHA}.jpg", b"alpha"),
]

# The same images in any form


@pytest.mark.parametrize("suffix", COMPRESSIONS)
@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_tar_gives_its_images_in_its_order(tmp_path: Path, suffix: str, form: int) -> None:
    archive = tmp_path / f"x.tar{suffix}"
    archive.write_bytes(COMPRESSIONS[suffix](tar(MEMBERS, form)))

    assert whole(archive) == [(f"{archive}/{name}", data) for name, data in MEMBERS]


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_a_zip_gives_its_images_in_its_order(tmp_path: Path, method: int) -> None:
    archive = tmp_path / "x.zip"
    archive.write_bytes(zipped(MEMBERS, method))

    assert whole(archive) == [(f"{archive}/{name}", data) for name, data in MEMBERS]


@pytest.mark.parametrize("name", ["x.tar", "x.tar.gz", "x.zip"])
def test_an_archive_in_memory_is_as_one_on_disk(tmp_path: Path, name: str) -> None:
    data = {"x.tar": tar(MEMBERS), "x.tar.gz": COMPRESSIONS[".gz"](tar(MEMBERS))}
    made = data.get(name, zipped(MEMBERS))
    (tmp_path / name).write_bytes(made)
    fsspec.filesystem("memory").pipe(f"/{tmp_path.name}/{name}", made)

    local = whole(tmp_path / name)
    there = whole(f"memory://{tmp_path.name}/{name}")

    assert [data for _, data in there] == [data for _, data in local]
    assert there[0][0] == f"memory://{tmp_path.name}/{name}/b.jpg"


@pytest.mark.parametrize("name", ["x.tgz", "X.TAR.GZ", "x.tar"])
def test_what_is_compressed_is_told_by_its_bytes(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(COMPRESSIONS[".gz"](tar(MEMBERS)))

    assert [data for _, data in whole(tmp_path / name)] == [data for _, data in MEMBERS]


letters = st.text(st.characters(codec="utf-8", exclude_characters="\0/"), min_size=1, max_size=8)
names = st.builds(
    lambda folders, name, suffix: "/".join([*folders, name]) + suffix,
    st.lists(letters, max_size=2),
    letters,
    st.sampled_from([".jpg", ".PNG", ".tar.gif", ".txt", ".json", ""]),
)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@settings(deadline=None, max_examples=40)
@given(members=st.lists(st.tuples(names, st.binary(max_size=2000)), max_size=6), data=st.data())
def test_archives_hold_what_pythons_own_readers_find(
    tmp_path_factory: pytest.TempPathFactory, members: Members, data: st.DataObject
) -> None:
    suffix = data.draw(st.sampled_from([".tar", ".tar.gz", ".zip"]))
    archive = tmp_path_factory.getbasetemp() / f"any{suffix}"
    made = zipped(members) if suffix == ".zip" else tar(members)
    archive.write_bytes(COMPRESSIONS[".gz"](made) if suffix == ".tar.gz" else made)

    expected: Members = []
    if suffix == ".zip":
        with zipfile.ZipFile(archive) as opened:
            expected = [(info.filename, opened.read(info)) for info in opened.infolist()]
    else:
        with tarfile.open(archive) as untarred:
            for info in untarred:
                file = untarred.extractfile(info)
                assert file
                expected.append((info.name, file.read()))
    images = [
        (f"{archive}/{name}", content)
        for name, content in expected
        if name.lower().endswith((".jpg", ".png", ".gif"))
        and not any(part.startswith(".") and part.strip(".") for part in name.split("/"))
        and not name.startswith("__")
    ]

    assert whole(archive) == images


# What is passed over


def test_what_is_hidden_or_no_image_is_passed_over_and_counted(tmp_path: Path) -> None:
    members = [("a.jpg", b""), (".b.jpg", b""), ("__MACOSX/._a.jpg", b""), (".DS_Store", b""),
               ("d/.c/e.png", b""), ("a.json", b""), ("__meta__", b"")]  # fmt: skip
    for name, made in (("x.tar", tar(members)), ("x.zip", zipped(members))):
        (tmp_path / name).write_bytes(made)
        inputs = open_inputs([str(tmp_path / name)])

        assert [image.name for image in inputs] == [f"{tmp_path / name}/a.jpg"]
        assert str(inputs.skipped) == "4 hidden, 2 not an image"


def with_links(path: Path) -> None:
    with tarfile.open(path, "w") as archive:
        for name, kind, target in [
            ("early.jpg", tarfile.LNKTYPE, "a.jpg"),
            ("a.jpg", tarfile.REGTYPE, ""),
            ("hard.jpg", tarfile.LNKTYPE, "a.jpg"),
            ("soft.jpg", tarfile.SYMTYPE, "a.jpg"),
            ("nowhere.jpg", tarfile.LNKTYPE, "gone.jpg"),
            ("folder.jpg", tarfile.DIRTYPE, ""),
            ("pipe.jpg", tarfile.FIFOTYPE, ""),
        ]:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            info.size = 3 if kind == tarfile.REGTYPE else 0
            archive.addfile(info, io.BytesIO(b"abc"))


def test_hard_links_within_a_plain_tar_are_images(tmp_path: Path) -> None:
    with_links(tmp_path / "x.tar")
    inputs = open_inputs([str(tmp_path / "x.tar")])

    found = [(os.path.basename(image.name), image.read().data) for image in inputs]

    assert found == [("early.jpg", b"abc"), ("a.jpg", b"abc"), ("hard.jpg", b"abc")]
    assert str(inputs.skipped) == "3 a link in an archive"


def test_links_in_a_stream_are_passed_over_and_counted(tmp_path: Path) -> None:
    with_links(tmp_path / "x.tar")
    packed = tmp_path / "x.tar.gz"
    packed.write_bytes(COMPRESSIONS[".gz"]((tmp_path / "x.tar").read_bytes()))
    inputs = open_inputs([str(packed)])

    assert [image.read().data for image in inputs] == [b"abc"]
    assert str(inputs.skipped) == "5 a link in an archive"


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_the_holes_of_sparse_members_are_zeros(tmp_path: Path, suffix: str) -> None:
    image = tmp_path / "a.jpg"
    with open(image, "wb") as file:
        file.write(b"begin")
        file.seek(300_000)
        file.write(b"middle")
        file.truncate(700_000)
    archive = tmp_path / f"x.tar{suffix}"
    try:
        subprocess.run(["tar", "-S", "-caf", archive, "a.jpg"], cwd=tmp_path, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs GNU tar")
    if archive.stat().st_size > 500_000:
        pytest.skip("the file system keeps no holes")

    assert [data for _, data in whole(archive)] == [image.read_bytes()]


def test_archives_in_a_folder_are_told_not_read(tmp_path: Path) -> None:
    for name in ("x.tar", "x.tar.gz", "y.ZIP", "t.parquet", "a.jpg", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    inputs = open_inputs([str(tmp_path)])

    assert [image.name for image in inputs] == [str(tmp_path / "a.jpg")]
    assert str(inputs.skipped) == "1 not an image, 4 archives (to read, name them)"


def test_a_folder_called_as_an_archive_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "x.tar").mkdir()
    (tmp_path / "x.tar" / "a.jpg").write_bytes(b"a")

    assert whole(tmp_path / "x.tar") == [(str(tmp_path / "x.tar" / "a.jpg"), b"a")]


# Damage


@pytest.mark.parametrize("suffix", ["", ".gz", ".xz"])
def test_of_an_archive_that_ends_early_what_is_whole_is_read(tmp_path: Path, suffix: str) -> None:
    members = [(f"{n}.jpg", random.Random(n).randbytes(50_000)) for n in range(8)]
    made = COMPRESSIONS[suffix](tar(members))
    archive = tmp_path / f"x.tar{suffix}"
    archive.write_bytes(made[: len(made) // 2])

    found = read(archive)

    good = [item.data for item in found if item.data is not None]
    assert good == [data for _, data in members[: len(good)]]
    assert 3 <= len(good) <= 4
    assert found[-1] == (str(archive), None, "the archive ends early")


def test_a_tar_without_its_mark_at_the_end_was_cut_off(tmp_path: Path) -> None:
    archive = tmp_path / "x.tar"
    archive.write_bytes(tar([("a.jpg", b"a"), ("b.jpg", b"b")])[:2048])

    assert [item.reason for item in read(archive)] == ["", "", "the archive ends early"]


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_tars_that_were_joined_are_read_to_the_last(tmp_path: Path, suffix: str) -> None:
    archive = tmp_path / f"x.tar{suffix}"
    parts = [tar(MEMBERS[:3]), tar([]), tar(MEMBERS[3:]), tar([("last.jpg", b"x" * 9000)])]
    archive.write_bytes(b"".join(map(COMPRESSIONS[suffix], parts)))

    expected = [data for _, data in MEMBERS] + [b"x" * 9000]
    assert [data for _, data in whole(archive)] == expected


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_what_is_behind_a_tar_and_is_none_does_not_count(tmp_path: Path, suffix: str) -> None:
    archive = tmp_path / f"x.tar{suffix}"
    archive.write_bytes(COMPRESSIONS[suffix](tar(MEMBERS) + b"garbage" * 1000))

    assert [data for _, data in whole(archive)] == [data for _, data in MEMBERS]


def test_a_tar_with_a_damaged_header_is_read_up_to_it(tmp_path: Path) -> None:
    data = bytearray(tar([("a.jpg", b"a"), ("b.jpg", b"b")]))
    data[1024:1100] = b"?" * 76
    archive = tmp_path / "x.tar"
    archive.write_bytes(data)

    first, broken = read(archive)

    assert first.data == b"a"
    assert (broken.name, broken.reason) == (
        str(archive),
        "damaged: what should be a header is none",
    )


@pytest.mark.parametrize("name", ["x.tar", "x.tar.gz", "x.zip"])
@pytest.mark.parametrize("content", [b"", b"no archive at all " * 100])
def test_what_is_no_archive_is_one_failure(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)

    (failure,) = read(tmp_path / name)

    assert failure.name == str(tmp_path / name)
    assert failure.reason.startswith("damaged: ")


def test_an_empty_archive_has_no_images(tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(tar([]))
    (tmp_path / "x.zip").write_bytes(zipped([]))

    assert read(tmp_path / "x.tar", tmp_path / "x.zip") == []


@pytest.mark.parametrize(
    ("name", "system", "found"),
    [
        ("\N{GREEK SMALL LETTER ALPHA}".encode(), 3, "\N{GREEK SMALL LETTER ALPHA}"),
        (b"\xe9", 3, "\udce9"),  # as in a folder
        (b"\x82", 0, "\N{LATIN SMALL LETTER E WITH ACUTE}"),  # of DOS
    ],
)
def test_names_in_a_zip_that_are_not_said_to_be_utf_8(
    tmp_path: Path, name: bytes, system: int, found: str
) -> None:
    placeholder = "x" * len(name)
    info = zipfile.ZipInfo(f"{placeholder}.jpg")
    info.create_system = system
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(info, b"data")
    path = tmp_path / "x.zip"
    path.write_bytes(out.getvalue().replace(placeholder.encode(), name))

    assert whole(path) == [(f"{path}/{found}.jpg", b"data")]


def test_a_damaged_member_of_a_zip_fails_alone(tmp_path: Path) -> None:
    data = bytearray(zipped([("a.jpg", b"a" * 99), ("b.jpg", b"b" * 99)], zipfile.ZIP_STORED))
    data[data.index(b"aaaa")] = ord("x")
    (tmp_path / "x.zip").write_bytes(data)

    bad, good = read(tmp_path / "x.zip")

    assert bad.reason == "damaged: it has not the checksum that the archive tells"
    assert good.data == b"b" * 99


def test_an_encrypted_member_fails_in_a_sentence(tmp_path: Path) -> None:
    data = bytearray(zipped([("a.jpg", b"a")]))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    (tmp_path / "x.zip").write_bytes(data)

    assert read(tmp_path / "x.zip")[0].reason == "it is encrypted, and passwords are not asked for"


@pytest.mark.parametrize("name", ["x.tar", "x.tar.gz", "x.zip"])
def test_members_larger_than_any_image_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    members = [("bomb.jpg", b"\0" * 100_000), ("a.jpg", b"a")]
    made = zipped(members) if name == "x.zip" else tar(members)
    (tmp_path / name).write_bytes(COMPRESSIONS[".gz"](made) if name == "x.tar.gz" else made)
    for module in ("files", "tar", "zip"):
        monkeypatch.setattr(f"vggfeat.sources.{module}.MAX_BYTES", 50_000)

    bomb, image = read(tmp_path / name)

    assert bomb.reason.startswith("too large: 100,000 bytes")
    assert image.data == b"a"
    assert files.MAX_BYTES == 50_000


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_that_lies_about_a_size_is_not_unpacked_beyond_it(
    tmp_path: Path, method: int
) -> None:
    data = bytearray(zipped([("a.jpg", b"\0" * 1_000_000)], method))
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        place = data.index(signature) + offset
        data[place : place + 4] = (10).to_bytes(4, "little")
    (tmp_path / "x.zip").write_bytes(data)

    assert read(tmp_path / "x.zip")[0].reason.startswith("damaged: ")


def test_a_header_that_claims_to_be_huge_takes_no_memory(tmp_path: Path) -> None:
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 6_000_000_000
    (tmp_path / "x.tar").write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(10_240))

    assert read(tmp_path / "x.tar")[0].reason == "damaged: a header of 6,000,000,000 bytes"


# Stamps and changes


@pytest.mark.parametrize("name", ["x.tar", "x.tar.gz", "x.zip"])
def test_members_have_their_own_size_and_the_archives_time(tmp_path: Path, name: str) -> None:
    made = zipped(MEMBERS) if name == "x.zip" else tar(MEMBERS)
    (tmp_path / name).write_bytes(COMPRESSIONS[".gz"](made) if name == "x.tar.gz" else made)
    os.utime(tmp_path / name, ns=(0, 10**18))

    for _ in range(2):
        for place, (image, (_, data)) in enumerate(
            zip(open_inputs([str(tmp_path / name)]), MEMBERS, strict=True)
        ):
            stamp = image.stamp()
            assert stamp == image.read().stamp == (len(data), 10**18 + place)


@pytest.mark.parametrize("name", ["x.tar", "x.zip"])
def test_two_members_of_one_name_and_size_differ_by_their_stamps(tmp_path: Path, name: str) -> None:
    members = [("a.jpg", b"first"), ("a.jpg", b"other")]
    warned = pytest.warns(UserWarning, match="Duplicate")
    with warned if name == "x.zip" else contextlib.nullcontext():
        (tmp_path / name).write_bytes(zipped(members) if name == "x.zip" else tar(members))

    first, other = open_inputs([str(tmp_path / name)])

    assert (first.read().data, other.read().data) == (b"first", b"other")
    assert first.name == other.name
    assert first.stamp() != other.stamp()


@pytest.mark.parametrize("name", ["x.tar", "x.zip"])
def test_an_archive_that_changes_before_a_member_is_read_is_noticed(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / name).write_bytes(zipped(MEMBERS) if name == "x.zip" else tar(MEMBERS))
    image = next(iter(open_inputs([str(tmp_path / name)])))
    os.utime(tmp_path / name, ns=(1, 1))

    with pytest.raises(TransientImageError, match="it changed while it was read"):
        image.read()


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_tar_that_changes_while_it_is_read_fails_at_its_end(tmp_path: Path, suffix: str) -> None:
    archive = tmp_path / f"x.tar{suffix}"
    archive.write_bytes(COMPRESSIONS[suffix](tar(MEMBERS)))
    images = iter(open_inputs([str(archive)]))
    next(images)
    os.utime(archive, ns=(1, 1))

    *_, last = images

    assert last.name == str(archive)
    with pytest.raises(TransientImageError, match="it changed while it was read"):
        last.read()


# Reading


def test_of_a_plain_tar_only_headers_are_read_on_the_way(tmp_path: Path) -> None:
    archive = tmp_path / "x.tar"
    with open(archive, "wb") as file:
        for place in range(3):
            info = tarfile.TarInfo(f"{place}.jpg")
            info.size = 900_000_000
            file.write(info.tobuf())
            file.seek(-(-info.size // 512) * 512, os.SEEK_CUR)  # a hole
        file.write(bytes(1024))

    began = time.process_time()
    images = list(open_inputs([str(archive)]))

    assert [image.stamp().size for image in images] == [900_000_000] * 3  # type: ignore[union-attr]
    assert time.process_time() - began < 0.5  # reading 2.7 GB takes more


def test_images_of_archives_can_be_gone_through_again(tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(tar(MEMBERS))
    (tmp_path / "one.jpg").write_bytes(b"one")
    inputs = open_inputs([str(tmp_path / "one.jpg"), str(tmp_path / "x.tar")])

    assert inputs.total is None
    assert [image.name for image in inputs] == [image.name for image in inputs]
    assert inputs.taken == 2 * (1 + len(MEMBERS))


@pytest.mark.parametrize("name", ["x.tar", "x.tar.gz", "x.zip"])
def test_images_can_be_pickled(tmp_path: Path, name: str) -> None:
    made = zipped(MEMBERS) if name == "x.zip" else tar(MEMBERS)
    (tmp_path / name).write_bytes(COMPRESSIONS[".gz"](made) if name == "x.tar.gz" else made)

    for image, (_, data) in zip(open_inputs([str(tmp_path / name)]), MEMBERS, strict=True):
        again = pickle.loads(pickle.dumps(image))
        assert (again.name, again.stamp(), again.read().data) == (image.name, image.stamp(), data)


# Found again by name


@pytest.mark.parametrize("name", ["x.tar", "x.zip"])
def test_members_are_found_again_by_their_names(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(zipped(MEMBERS) if name == "x.zip" else tar(MEMBERS))

    for image in open_inputs([str(tmp_path / name)]):
        again = ref(image.name)
        assert again is not None
        assert again.read() == image.read()
    assert ref(f"{tmp_path / name}/gone.jpg") is None


def test_members_of_a_compressed_tar_are_not_found_again(tmp_path: Path) -> None:
    (tmp_path / "x.tar.gz").write_bytes(COMPRESSIONS[".gz"](tar(MEMBERS)))

    assert ref(f"{tmp_path}/x.tar.gz/b.jpg") is None


def test_files_are_found_again_by_their_names(tmp_path: Path) -> None:
    folder = tmp_path / "x.tar"  # a folder
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"a")

    found = ref(str(folder / "a.jpg"))

    assert found is not None
    assert found.read().data == b"a"
    assert ref(str(folder / "gone.jpg")) is not None


def test_a_member_whose_bytes_are_cut_off_fails(tmp_path: Path) -> None:
    archive = tmp_path / "x.tar"
    archive.write_bytes(tar([("a.jpg", b"a" * 5000)])[:3000])

    image, _ = open_inputs([str(archive)])

    assert isinstance(image, TarMember)
    with pytest.raises(ImageError, match="^the archive ends early$"):
        image.read()
