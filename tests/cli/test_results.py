"""How results are shown to people."""

from __future__ import annotations

import os
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from vggfeat.cli.results import padded, shortened

NAMES = st.binary(max_size=40).filter(lambda name: b"\0" not in name).map(os.fsdecode) | st.text(
    st.sampled_from("ab/…日本語é\u0301\x1b\u202e"), max_size=40
)


def columns(text: str) -> int:
    wide = sum(unicodedata.east_asian_width(sign) in "WF" for sign in text)
    return len(text) + wide - sum(unicodedata.combining(sign) > 0 for sign in text)


@given(NAMES, st.integers(4, 30))
def test_a_name_fits_and_is_harmless(name: str, width: int) -> None:
    shown = shortened(name, width)
    assert columns(shown) <= width
    assert not any(unicodedata.category(sign) in ("Cc", "Cf", "Cs") for sign in shown)
    assert columns(padded(shown, width)) == width


@given(st.text(st.sampled_from("ab/日"), max_size=40), st.integers(8, 30))
def test_a_name_that_fits_is_as_it_is_and_others_keep_both_ends(name: str, width: int) -> None:
    shown = shortened(name, width)
    if columns(name) <= width:
        assert shown == name
    else:
        head, tail = shown.split("…")
        assert name.startswith(head)
        assert name.endswith(tail)
        assert columns(tail) >= columns(head)
