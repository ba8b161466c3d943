"""What counts of what earlier runs have made."""

from __future__ import annotations

import pytest

from tests.sinks.outputs import LONG_AGO
from vggfeat.outcome import Failure, Recognised, Stamp
from vggfeat.sinks.index import Entry
from vggfeat.sinks.known import CHANGED, DOUBTFUL, NEW, Kept, Known

SECOND = 10**9
BEGAN = LONG_AGO + 3 * SECOND
STAMP = Stamp(7, LONG_AGO)


def entry(name: str, stamp: Stamp = STAMP, content: str = "") -> Entry:
    return Entry(name, stamp, f"sha256 of {content or name}", f"crc32 of {content or name}")


def known(*made: Entry | Failure, began_ns: int = BEGAN, published: bool = True) -> Known:
    return add(Known(), *made, began_ns=began_ns, published=published)


def add(
    known: Known, *made: Entry | Failure, began_ns: int = BEGAN, published: bool = False
) -> Known:
    entries = [item for item in made if isinstance(item, Entry)]
    failures = [item for item in made if isinstance(item, Failure)]
    known.add(entries, failures, began_ns, published=published)
    return known


def test_nothing_is_known_at_first() -> None:
    nothing = Known()
    assert nothing.of("a", STAMP) is None
    assert nothing.why_not("a", STAMP) == NEW
    assert (list(nothing.rows), dict(nothing.contents)) == ([], {})
    assert 7 not in nothing.sizes


@pytest.mark.parametrize("published", [True, False])
def test_a_row_of_an_unchanged_image_is_known(published: bool) -> None:
    found = known(entry("a"), entry("b"), published=published).of("b", STAMP)
    assert found == Kept(entry("b"), published, 1)


def test_a_failure_of_an_unchanged_image_is_known() -> None:
    failure = Failure("bad", "reason", STAMP)
    assert known(entry("a"), failure).of("bad", STAMP) == failure


@pytest.mark.parametrize("stamp", [Stamp(8, LONG_AGO), Stamp(7, LONG_AGO - 1), None])
@pytest.mark.parametrize("made", [entry("a"), Failure("a", "reason", STAMP)])
def test_nothing_is_known_of_an_image_that_changed(
    made: Entry | Failure, stamp: Stamp | None
) -> None:
    assert known(made).of("a", stamp) is None
    assert known(made).why_not("a", stamp) == CHANGED


@pytest.mark.parametrize("stamp", [STAMP, None])
def test_a_failure_that_may_pass_is_tried_again(stamp: Stamp | None) -> None:
    passing = known(Failure("a", "reason"))
    assert passing.of("a", stamp) is None
    assert passing.why_not("a", stamp) == "failed before"


@pytest.mark.parametrize("made", ["row", "failure"])
@pytest.mark.parametrize(
    ("before_it_began", "counts"),
    [(2 * SECOND + 1, True), (2 * SECOND, False), (0, False), (-(10**12), False)],
)
def test_a_stamp_that_was_fresh_when_the_run_began_proves_nothing(
    made: str, before_it_began: int, counts: bool
) -> None:
    stamp = Stamp(7, BEGAN - before_it_began)
    of = known(entry("a", stamp) if made == "row" else Failure("a", "reason", stamp))
    assert (of.of("a", stamp) is not None) == counts
    if not counts:
        assert of.why_not("a", stamp) == DOUBTFUL
        assert of.why_not("a", STAMP._replace(size=8)) == CHANGED


def test_a_later_run_takes_doubts_away_or_raises_them() -> None:
    fresh = Stamp(7, BEGAN)
    later = add(known(entry("a", fresh)), entry("a", fresh), began_ns=BEGAN + 10 * SECOND)
    assert later.of("a", fresh) == Kept(entry("a", fresh), False, 0)
    earlier = add(known(entry("a", STAMP)), entry("a", fresh))
    assert earlier.of("a", fresh) is None
    assert earlier.of("a", STAMP) is None


def test_what_was_made_later_counts() -> None:
    failure = Failure("a", "reason", STAMP)
    assert add(known(entry("a")), failure).of("a", STAMP) == failure
    assert add(known(failure), entry("a")).of("a", STAMP) == Kept(entry("a"), False, 0)


def test_rows_are_known_by_content_whatever_became_of_their_images() -> None:
    of = add(known(entry("a", Stamp(5, BEGAN)), entry("b")), Failure("b", "reason"))
    assert list(of.rows) == ["a", "b"]
    assert set(of.contents) == {"sha256 of a", "sha256 of b"}
    assert {size for size in range(10) if size in of.sizes} == {5, 7}


def test_an_image_whose_content_is_known_has_its_row_and_its_own_name() -> None:
    of = add(known(entry("a"), entry("b")), entry("c"))
    for name, (published, row) in {"b": (True, 1), "c": (False, 0)}.items():
        image = Recognised("new", Stamp(7, 1), f"sha256 of {name}")
        expected = Entry("new", Stamp(7, 1), f"sha256 of {name}", f"crc32 of {name}")
        assert of.recognised(image) == Kept(expected, published, row)


def test_of_several_rows_of_one_content_the_first_is_taken() -> None:
    same = [entry(name, content="same") for name in "abc"]
    assert add(known(*same[:2]), same[2]).contents["sha256 of same"] == Kept(same[0], True, 0)


def test_it_tells_whether_the_row_of_a_name_is_of_a_content() -> None:
    of = known(entry("a"), Failure("bad", "reason", STAMP))
    assert of.is_of("a", "sha256 of a")
    assert not of.is_of("a", "sha256 of b")
    assert not of.is_of("b", "sha256 of a")
    assert not of.is_of("bad", "sha256 of bad")
