from __future__ import annotations

import numpy as np
import pytest

from backend.api import BadInputError, Kind, Label, NotFoundError, Sample, Split, Verdict
from ui.census import Census, parse_conditions, ranked

LABELS = (Label(7, "cat"), Label(9, "dog"))
VERDICTS = {
    3: {7: Verdict.YES, 9: Verdict.NO},
    5: {7: Verdict.UNSURE},
    8: {9: Verdict.YES, 99: Verdict.YES},
    77: {7: Verdict.YES},
}


@pytest.fixture
def census() -> Census:
    samples = [
        Sample(8, "b/2.jpg", Kind.IMAGE, "h8", split=Split.VAL),
        Sample(3, "b/1.jpg", Kind.IMAGE, "h3"),
        Sample(5, "a.jpg", Kind.IMAGE, "h5", metadata={"source": "phone"}),
        Sample(11, "b/3.jpg", Kind.IMAGE, "h11"),
    ]
    return Census.take(samples, LABELS, VERDICTS)


def matching(census: Census, *filters: str) -> list[int]:
    return census.ids[census.keep(parse_conditions(filters))].tolist()


def test_verdicts_are_counted_and_strangers_left_out(census: Census) -> None:
    assert census.ids.tolist() == [3, 5, 8, 11]
    # unknown, yes, no, unsure
    assert census.counts().tolist() == [[2, 1, 0, 1], [2, 1, 1, 0]]
    assert census.counts(census.rows([3, 8])).tolist() == [[1, 1, 0, 0], [0, 1, 1, 0]]
    assert census.splits_counted() == {"train": 3, "val": 1}
    assert census.sources_counted() == {"b": 3, "phone": 1}
    assert census.ids[census.by_name].tolist() == [5, 3, 8, 11]


def test_values_of_one_key_are_either_or_and_keys_go_together(census: Census) -> None:
    assert matching(census, "label:7:yes") == [3]
    assert matching(census, "label:7:yes", "label:7:unsure") == [3, 5]
    assert matching(census, "label:7:unknown", "split:val") == [8]
    assert matching(census, "label:9:unknown", "source:b") == [11]
    assert matching(census, "split:test") == []
    assert matching(census) == [3, 5, 8, 11]


def test_rows_leave_out_samples_that_are_gone(census: Census) -> None:
    assert census.rows([11, 4, 3, 1000]).tolist() == [3, 0]
    assert Census.take([], LABELS, {}).rows([3]).tolist() == []


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("label:7:maybe", BadInputError, "'maybe' is no verdict; use one of unknown, yes"),
        ("label:1:yes", NotFoundError, "no label has the id 1"),
        ("colour:red", BadInputError, "the filter 'colour:red' cannot be read"),
        ("label:x:yes", BadInputError, "cannot be read"),
    ],
)
def test_a_filter_that_means_nothing_is_named(
    census: Census, text: str, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words.replace("?", r"\?")):
        matching(census, text)


def test_ranking_puts_unknown_scores_last_and_ties_by_id() -> None:
    ids = np.array([4, 2, 9, 1])
    scores = np.array([0.5, np.nan, 0.7, 0.5], np.float32)
    assert ranked(ids, scores).tolist() == [9, 1, 4, 2]
