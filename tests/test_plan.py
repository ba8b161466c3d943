"""What is to be done about each image, and what has become of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import NamedTuple

import pytest

from vggfeat.errors import ImageError, VggfeatError
from vggfeat.outcome import Failure, Stamp
from vggfeat.plan import AS_GOOD, MOVED, TOUCHED, Plan, refused
from vggfeat.sinks.index import Entry
from vggfeat.sinks.known import CHANGED, DOUBTFUL, NEW, Kept, Known
from vggfeat.sources import Source
from vggfeat.sources.base import Failing

LONG_AGO, BEGAN = 1, 10**12


class Picture(NamedTuple):
    """An image of that content, or one that cannot be read."""

    name: str
    content: bytes = b"content"
    mtime_ns: int = LONG_AGO
    error: Exception | None = None

    def stamp(self) -> Stamp | None:
        return Stamp(len(self.content), self.mtime_ns)

    def read(self) -> Source:
        if self.error:
            raise self.error
        return Source(self.content)


class Unseen(NamedTuple):
    """An image that has no stamp."""

    name: str

    def stamp(self) -> Stamp | None:
        return None

    def read(self) -> Source:
        raise AssertionError("it is not to be read")


def entry(name: str, content: bytes = b"content", mtime_ns: int = LONG_AGO) -> Entry:
    stamp = Stamp(len(content), mtime_ns)
    return Entry(name, stamp, hashlib.sha256(content).hexdigest(), "crc32")


def bad(name: str, content: bytes = b"content") -> Failure:
    return Failure(name, "the file is empty", Stamp(len(content), LONG_AGO))


def plan(*made: Entry | Failure, strict: bool = False) -> Plan:
    known = Known()
    known.add(
        [item for item in made if isinstance(item, Entry)],
        [item for item in made if isinstance(item, Failure)],
        BEGAN,
        published=True,
    )
    return Plan(known, strict=strict)


def planned(images: Iterable[Picture | Unseen], *made: Entry | Failure) -> Plan:
    """A plan that has gone through images."""
    gone_through = plan(*made)
    list(gone_through.unknown(images))
    return gone_through


def test_images_of_which_nothing_is_known_are_handed_out_in_order() -> None:
    images = [Picture("new"), Picture("a"), Picture("bad"), Picture("b", mtime_ns=2), Unseen("c")]
    made = plan(entry("a"), entry("b"), bad("bad"), entry("c"))
    assert [image.name for image in made.unknown(images)] == ["new", "b", "c"]


def test_images_are_taken_as_they_are_asked_for() -> None:
    taken: list[str] = []

    def images() -> Iterable[Picture]:
        for name in "abcd":
            taken.append(name)
            yield Picture(name)

    unknown = plan(entry("a"), entry("c")).unknown(images())
    assert taken == []
    assert next(unknown).name == "b"
    assert taken == ["a", "b"]


def test_outcomes_are_merged_with_what_was_known_in_the_order_of_the_images() -> None:
    images = [Picture(name) for name in ("x", "a", "bad", "y", "b", "x")]
    made = planned(images, entry("b"), entry("a"), bad("bad"))
    done = [Kept(entry("x"), False, 0), bad("y"), Kept(entry("x"), False, 1)]
    assert made.merged(done) == [
        done[0], Kept(entry("a"), True, 1), bad("bad"), done[1], Kept(entry("b"), True, 0), done[2]
    ]  # fmt: skip


def test_a_known_failure_ends_a_strict_run_when_its_turn_comes() -> None:
    made = plan(bad("bad"), strict=True)
    unknown = made.unknown([Picture("new"), Picture("bad")])
    assert next(unknown).name == "new"
    with pytest.raises(VggfeatError, match=r"^bad: the file is empty \(--strict\)$"):
        next(unknown)


def test_a_failure_that_may_have_passed_does_not() -> None:
    made = plan(bad("bad"), Failure("gone", "no such file"), entry("a"), strict=True)
    images = [Picture("bad", mtime_ns=2), Picture("gone"), Picture("a")]
    assert [image.name for image in made.unknown(images)] == ["bad", "gone"]


def test_a_refusal_names_image_and_reason() -> None:
    assert str(refused(Failure("a.jpg", "empty"))) == "a.jpg: empty (--strict)"


@pytest.mark.parametrize(
    ("image", "why"),
    [
        (Picture("new", b"another length"), NEW),
        (Picture("new", b"CONTENT"), NEW),
        (Picture("new"), MOVED),
        (Picture("a", b"CONTENT", 2), CHANGED),
        (Picture("a", b"another length"), CHANGED),
        (Picture("a", mtime_ns=2), TOUCHED),
        (Picture("b", b"in its stead", 2), MOVED),
        (Picture("fresh", mtime_ns=BEGAN), TOUCHED),
        (Picture("fresh", b"CONTENT", BEGAN), CHANGED),
        (Picture("bad", b"content", 2), MOVED),
        (Picture("passing", b"CONTENT"), "failed before"),
        (Picture("passing", b"another length"), "failed before"),
        (Picture("fresh", mtime_ns=BEGAN, error=OSError(5, "Input/output error")), DOUBTFUL),
        (Picture("new", error=ImageError("too large")), NEW),
        (Unseen("new"), NEW),
        (Unseen("a"), CHANGED),
    ],
)
def test_why_an_image_is_to_be_looked_at(image: Picture | Unseen, why: str) -> None:
    made = plan(
        entry("a"), entry("b"), entry("c", b"in its stead"), entry("fresh", mtime_ns=BEGAN),
        bad("bad"), Failure("passing", "no such file"),
    )  # fmt: skip
    assert made.why(image) == why


def test_what_is_there_under_another_name_or_stamp_is_as_good() -> None:
    assert set(AS_GOOD) == {MOVED, TOUCHED}


def test_an_image_of_a_length_that_no_row_has_is_not_read() -> None:
    image = Picture("new", b"another length", error=AssertionError("it is not to be read"))
    assert plan(entry("a")).why(image) == NEW


def test_names_that_are_not_among_the_images_are_gone_in_natural_order() -> None:
    made = planned([Picture("img1"), Picture("new")], entry("img1"))
    assert made.gone(["img10", "img1", "img9", "img10"]) == ["img9", "img10"]


@pytest.mark.parametrize(
    ("names", "moves"),
    [("abc", 0), ("ac", 0), ("axbyc", 0), ("cab", 1), ("cba", 2), ("bxa", 1), ("", 0), ("aa", 0)],
)
def test_rows_that_would_stand_before_those_that_they_follow_are_counted(
    names: str, moves: int
) -> None:
    made = planned(map(Picture, names), entry("a"), entry("b"), entry("c"))
    assert made.moves() == moves


def test_rows_in_what_cannot_be_read_would_be_lost() -> None:
    broken = Failing("x.tar", "the archive ends early")
    made = planned([Picture("x.tar/a"), broken], entry("x.tar/a"), entry("x.tar/b"), bad("bad"))
    with pytest.raises(VggfeatError, match="^x.tar: the archive ends early; the row of an image"):
        made.check_none_hidden()
    planned([Picture("x.tar/a"), broken], entry("x.tar/a"), entry("y.tar/b")).check_none_hidden()


def test_rows_of_images_that_are_gone_or_fail_by_themselves_may_go() -> None:
    images = [Picture("a", mtime_ns=2), Picture("b"), Picture("c", mtime_ns=2), Picture("new")]
    made = planned(images, entry("a"), entry("b"), entry("c"), entry("gone"))
    made.check_none_hidden([bad("a"), Kept(entry("c"), False, 0), bad("new")])


class Distant(NamedTuple):
    """An image that must not be asked for its stamp."""

    name: str

    def stamp(self) -> Stamp | None:
        raise AssertionError("it costs as much as a file")

    def read(self) -> Source:
        raise AssertionError("it is not to be read")


def test_stamps_are_asked_for_only_where_they_tell_something() -> None:
    images = [Picture("a"), Distant("b"), Distant("c")]
    assert list(plan(entry("a")).unknown(images)) == images[1:]
