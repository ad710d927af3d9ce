"""Labels that were merged are one label: whatever is taken back or brought back afterwards."""

from __future__ import annotations

import time

import pytest

from backend.errors import BadInputError
from backend.store.corrections import NewCorrection, NewMark
from backend.store.project import ProjectStore
from backend.types import Region, Verdict
from tests.backend.store.conftest import Make

YES, NO, UNSURE = Verdict.YES, Verdict.NO, Verdict.UNSURE
CAT, DOG = 1, 2
LEFT, RIGHT = Region("span", (0, 2), NO), Region("span", (3, 5), NO)


def said(store: ProjectStore) -> dict[tuple[int, int], tuple[str, Verdict | None]]:
    return {pair: (row.who, row.verdict) for pair, row in store.log.current().items()}


def marks(store: ProjectStore, label: int = DOG) -> set[Region]:
    current = store.log.current()
    return set(current[1, label].regions) if (1, label) in current else set()


def test_taking_back_a_verdict_on_a_label_that_was_merged_takes_it_back(
    store: ProjectStore,
) -> None:
    store.log.append([NewCorrection(1, CAT, YES)], who="ann")
    store.log.append([NewCorrection(1, DOG, NO)], who="ben")
    store.merge_labels("cat", "dog", who="ben")
    assert said(store) == {}, "ann and ben differ"
    receipt = store.log.undo("ann")
    assert receipt is not None
    assert receipt.pairs == ((1, DOG),)
    assert said(store) == {(1, DOG): ("ben", NO)}
    store.log.undo("ann", op=receipt.op)
    assert said(store) == {}
    store.log.undo("ben")  # the merge
    assert said(store) == {(1, CAT): ("ann", YES), (1, DOG): ("ben", NO)}


def test_a_merge_that_is_brought_back_has_what_was_said_meanwhile(store: ProjectStore) -> None:
    store.log.append([NewCorrection(1, CAT, YES), NewCorrection(2, CAT, YES)], who="ann")
    store.merge_labels("cat", "dog", who="ben")
    undone = store.log.undo("ben")
    assert undone is not None
    store.log.append([NewCorrection(1, CAT, NO), NewCorrection(3, CAT, YES)], who="ann")
    store.log.append([NewCorrection(2, DOG, UNSURE)], who="ann")
    store.log.undo("ben", op=undone.op)
    one = {(1, DOG): ("ann", NO), (2, DOG): ("ann", UNSURE), (3, DOG): ("ann", YES)}
    assert said(store) == one
    assert store.removed() == (0, 0)
    store.compact()
    assert said(store) == one


def test_a_merge_can_be_taken_back_after_compact(store: ProjectStore) -> None:
    store.log.append([NewCorrection(1, CAT, YES)], who="ann")
    store.merge_labels("cat", "dog", who="ben")
    store.compact()
    store.log.undo("ben")
    assert said(store) == {(1, CAT): ("ann", YES)}


def test_a_chain_of_merges_is_one_label(store: ProjectStore) -> None:
    store.add_labels(["wolf"], who="eve")
    store.log.append([NewCorrection(1, CAT, YES)], who="ann")
    store.merge_labels("cat", "dog", who="eve")
    store.merge_labels("dog", "wolf", who="eve")
    assert said(store) == {(1, 3): ("ann", YES)}
    undone = store.log.undo("ann")
    assert undone is not None
    assert said(store) == {}
    store.log.undo("ann", op=undone.op)
    assert said(store) == {(1, 3): ("ann", YES)}
    store.log.undo("eve")
    assert said(store) == {(1, DOG): ("ann", YES)}


def test_a_merge_into_a_label_that_is_gone_is_not_brought_back(store: ProjectStore) -> None:
    merged = store.merge_labels("cat", "dog", who="ann")
    undone = store.log.undo("ann", op=merged.op)
    assert undone is not None
    store.remove_label("dog", who="ann")
    with pytest.raises(BadInputError, match="'dog' that another one was merged into is gone"):
        store.log.undo("ann", op=undone.op)
    assert [label.name for label in store.labels()] == ["cat"]


def test_a_merge_into_a_label_that_is_gone_for_good_is_not_brought_back(
    store: ProjectStore,
) -> None:
    store.log.append([NewCorrection(1, CAT, YES)], who="ann")
    merged = store.merge_labels("cat", "dog", who="ann")
    undone = store.log.undo("ann", op=merged.op)
    assert undone is not None
    store.remove_label("dog", who="ben")
    store.compact()
    with pytest.raises(BadInputError, match="nothing left"):
        store.log.undo("ann", op=undone.op)
    assert [label.name for label in store.labels()] == ["cat"]
    assert said(store) == {(1, CAT): ("ann", YES)}


def test_marks_of_merged_labels_stay_and_one_taken_away_stays_away(store: ProjectStore) -> None:
    store.log.append([NewMark(1, CAT, LEFT)], who="ann")
    store.log.append([NewMark(1, DOG, RIGHT)], who="ann")
    merged = store.merge_labels("cat", "dog", who="ben")
    assert marks(store) == {LEFT, RIGHT}
    gone = store.log.append([NewMark(1, DOG, LEFT, is_gone=True)], who="ann")
    assert marks(store) == {RIGHT}
    store.log.append([NewCorrection(1, DOG, YES)], who="ben")
    store.log.undo("ben")  # settles the pair
    assert marks(store) == {RIGHT}
    store.log.undo("ann", op=gone.op)
    assert marks(store) == {LEFT, RIGHT}
    undone = store.log.undo("ben", op=merged.op)
    assert undone is not None
    assert (marks(store, CAT), marks(store)) == ({LEFT}, {RIGHT})
    store.log.append([NewMark(1, CAT, LEFT, is_gone=True)], who="ann")
    store.log.undo("ben", op=undone.op)
    assert marks(store) == {RIGHT}


def test_what_an_older_patchlane_copied_in_a_merge_stays_after_its_compact(make: Make) -> None:
    """It removed the label that went, so the copies are all there is."""
    store = make(like="five")
    store.log.append([NewCorrection(1, CAT, YES)], who="ann")
    store.merge_labels("cat", "dog", who="ben")
    with store._database.write() as connection:
        for statement in (
            "INSERT INTO settings VALUES ('compacting', 'true')",
            "DELETE FROM corrections WHERE label = 1",
            "UPDATE ops SET is_final = 1 WHERE kind = 'merge labels'",
            "DELETE FROM edits WHERE subject = 'label' AND subject_id = 1",
            "DELETE FROM labels WHERE id = 1",
            "DELETE FROM settings WHERE key = 'compacting'",
        ):
            connection.exec_driver_sql(statement)
    removed = store.remove_samples([1], who="ben")
    store.log.undo("ben", op=removed.op)
    assert said(store) == {(1, DOG): ("ann", YES)}


@pytest.mark.parametrize("label", [CAT, DOG])
def test_the_later_row_counts_whatever_the_clock_says(
    store: ProjectStore, monkeypatch: pytest.MonkeyPatch, label: int
) -> None:
    store.log.append([NewCorrection(1, 3 - label, YES), NewMark(1, 3 - label, LEFT)], who="ann")
    now = time.time()
    with monkeypatch.context() as patch:  # the clock was set back by an hour
        patch.setattr(time, "time", lambda: now - 3600)
        store.log.append([NewCorrection(1, label, NO)], who="ann")
    store.merge_labels("cat", "dog", who="ben")
    assert said(store) == {(1, DOG): ("ann", NO)}
    assert marks(store) == {LEFT}
