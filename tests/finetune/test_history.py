"""What is decided by the epochs that are done."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vggfeat.finetune.history import Row, best, from_csv, is_finished, learning_rate, to_csv

FLOATS = st.floats(allow_nan=False)
ROWS = st.builds(Row, st.integers(0, 1000), FLOATS, FLOATS, FLOATS, FLOATS, FLOATS)


def history(*val_losses: float) -> list[Row]:
    return [Row(epoch, 1, 0, loss, 0, 0) for epoch, loss in enumerate(val_losses)]


@given(st.lists(ROWS))
def test_csv_reads_back_to_the_same_numbers(rows: list[Row]) -> None:
    assert from_csv(to_csv(rows)) == rows


def test_a_file_of_something_else_is_no_history() -> None:
    with pytest.raises(ValueError, match="not a history"):
        from_csv("a,b\n1,2\n")


@pytest.mark.parametrize(
    ("val_losses", "kept", "finished"),
    [
        ([0.5], 0, False),
        ([0.5, 0.9, 0.8, 0.7], 0, False),  # worse than the start, but on its way
        ([0.5, 0.4, 0.6], 1, False),
        ([0.5, 0.4, 0.6, 0.7], 1, True),  # two in a row without a lower one
        ([0.5, 0.4, 0.6, 0.3], 3, False),
        ([0.5, 0.4, 0.3, 0.2, 0.1, 0.05], 5, True),  # all epochs
    ],
)
def test_the_lowest_is_kept_and_it_ends_when_none_follows(
    val_losses: list[float], kept: int, finished: bool
) -> None:
    rows = history(*val_losses)
    assert best(rows).epoch == kept
    assert is_finished(rows, epochs=5, patience=2) is finished


def test_the_learning_rate_falls_along_half_a_cosine() -> None:
    rates = [learning_rate(epoch, 4, 8.0) for epoch in (1, 2, 3, 4)]
    assert rates == pytest.approx([8, 6.8284271, 4, 1.1715729])
