"""The log: durable appends, receipts, folding, and several processes at once."""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import replace

import pytest

from backend.errors import BadInputError, NotFoundError
from backend.store.corrections import NewCorrection, NewIfStill, NewMark
from backend.store.project import ProjectStore
from backend.types import Correction, Draft, LearnStep, Region, Verdict
from tests.backend.store.conftest import Make

YES, NO, UNSURE = Verdict.YES, Verdict.NO, Verdict.UNSURE
LEFT = Region("span", (0, 2), NO)


def verdicts(store: ProjectStore, upto: int | None = None) -> dict[tuple[int, int], Verdict]:
    return {
        pair: row.verdict
        for pair, row in store.log.current(upto).items()
        if row.verdict is not None
    }


def test_a_receipt_says_where_the_rows_ended_and_which_pairs(store: ProjectStore) -> None:
    first = store.log.append([NewCorrection(1, 1, YES), NewCorrection(2, 1, NO)], who="ann")
    second = store.log.append([NewCorrection(1, 1, UNSURE)], who="ben", version=7)
    assert (first.offset, first.pairs) == (2, ((1, 1), (2, 1)))
    assert (second.offset, second.pairs) == (3, ((1, 1),))
    assert store.log.offset == 3
    last = store.log.since(2)[0]
    assert (last.offset, last.sample, last.label, last.verdict) == (3, 1, 1, UNSURE)
    assert (last.who, last.version, last.op, last.source) == ("ben", 7, second.op, "person")
    assert verdicts(store) == {(2, 1): NO}  # two people, two words: nothing counts


def test_unknown_is_neither_no_nor_unsure(store: ProjectStore) -> None:
    store.log.append([NewCorrection(1, 1, NO), NewCorrection(2, 1, UNSURE)], who="ann")
    store.log.append([NewCorrection(1, 1, None)], who="ann")
    assert verdicts(store) == {(2, 1): UNSURE}
    assert store.log.since(2)[0].verdict is None


def test_the_same_op_again_adds_nothing_and_answers_the_same(store: ProjectStore) -> None:
    receipt = store.log.append([NewCorrection(1, 1, YES)], who="ann", op="click-1")
    again = store.log.append([NewCorrection(1, 1, YES)], who="ann", op="click-1")
    assert again == receipt
    assert len(store.log.since(0)) == 1
    assert verdicts(store) == {(1, 1): YES}


def test_a_repeated_undo_request_undoes_once(store: ProjectStore) -> None:
    store.log.append([NewCorrection(1, 1, YES)], who="ann")
    store.log.append([NewCorrection(2, 1, YES)], who="ann")
    receipt = store.log.undo("ann", request="press-1")
    assert store.log.undo("ann", request="press-1") == receipt
    assert verdicts(store) == {(1, 1): YES}


def test_undo_is_a_row_that_restores_who_said_what_before(store: ProjectStore) -> None:
    box = Region("box", (0.1, 0.2, 0.3, 0.4))
    store.log.append([NewCorrection(1, 1, YES, (box,))], who="ann", version=3)
    store.log.append([NewCorrection(1, 1, NO)], who="ann")
    receipt = store.log.undo("ann")
    assert receipt is not None
    assert (receipt.offset, receipt.pairs) == (3, ((1, 1),))
    row = store.log.current()[1, 1]
    assert (row.verdict, row.who, row.version, row.regions) == (YES, "ann", 3, (box,))
    assert row.op == receipt.op
    assert [r.verdict for r in store.log.history(1, 1)] == [YES, NO, YES]


def test_undo_of_an_early_action_leaves_what_came_later(store: ProjectStore) -> None:
    early = store.log.append([NewCorrection(1, 1, YES), NewCorrection(2, 1, YES)], who="ann")
    store.log.append([NewCorrection(1, 1, NO)], who="ann", op="later")
    undone = store.log.undo("ann", op=early.op)
    assert undone is not None
    assert undone.pairs == ((2, 1),)
    assert verdicts(store) == {(1, 1): NO}
    store.log.undo("ann", op="later")  # and nothing of the undone action shows again
    assert verdicts(store) == {}


def test_redo_is_undoing_the_undo_by_name(store: ProjectStore) -> None:
    store.log.append([NewCorrection(1, 1, YES)], who="ann")
    undone = store.log.undo("ann")
    assert undone is not None
    redone = store.log.undo("ann", op=undone.op)
    assert redone is not None
    assert redone.op != undone.op
    assert verdicts(store) == {(1, 1): YES}
    assert store.log.undo("ann", op=undone.op) == redone  # done already: the same receipt


def test_each_person_undoes_their_own(store: ProjectStore) -> None:
    store.log.append([NewCorrection(1, 1, YES)], who="ann")
    store.log.append([NewCorrection(2, 1, YES)], who="ben")
    store.log.undo("ann")
    assert verdicts(store) == {(2, 1): YES}
    assert store.log.undo("ann") is None
    assert store.log.undo("nobody") is None


def test_undo_of_what_is_not_there_is_said(store: ProjectStore) -> None:
    with pytest.raises(NotFoundError, match="'nothing-like-this'"):
        store.log.undo("ann", op="nothing-like-this")


def test_current_as_it_was_at_an_offset(store: ProjectStore) -> None:
    store.log.append([NewCorrection(1, 1, YES)], who="ann")
    store.log.append([NewCorrection(1, 1, NO), NewCorrection(2, 2, YES)], who="ann")
    store.log.undo("ann")
    assert verdicts(store, 1) == {(1, 1): YES}
    assert verdicts(store, 2) == {(1, 1): NO}
    assert verdicts(store, 3) == {(1, 1): NO, (2, 2): YES}
    assert verdicts(store) == {(1, 1): YES}


def test_a_bad_row_keeps_the_whole_action_out(store: ProjectStore) -> None:
    for bad, wrong in (
        (NewCorrection(99, 1, YES), "no sample 99"),
        (NewCorrection(1, 99, YES), "no label 99"),
    ):
        with pytest.raises(NotFoundError, match=wrong):
            store.log.append([NewCorrection(1, 1, YES), bad], who="ann")
    assert store.log.since(0) == []
    assert store.log.offset == 0


@pytest.mark.parametrize(
    ("region", "words"),
    [
        (Region("box", (0.1, 0.1, 0.5)), "x, y, width, height"),
        (Region("box", (0.1, 0.1, 0.0, 0.5)), "x, y, width, height"),
        (Region("box", (0.1, 0.1, 1.5, 0.5)), "0..1"),
        (Region("box", (float("nan"), 0.1, 0.5, 0.5)), "not finite"),
        (Region("polygon", (0.1, 0.1, 0.5, 0.5)), "three corners"),
        (Region("span", (5, 2)), "whole characters"),
        (Region("span", (0.5, 2)), "whole characters"),
        (Region("circle", (0.5, 0.5, 0.1)), "'circle'"),
    ],
)
def test_a_region_that_is_none_is_refused(store: ProjectStore, region: Region, words: str) -> None:
    with pytest.raises(BadInputError, match=words):
        store.log.append([NewCorrection(1, 1, YES, (region,))], who="ann")
    assert store.log.offset == 0


def test_regions_come_back_as_they_went_in(store: ProjectStore) -> None:
    regions = (
        Region("box", (0.1, 1 / 3, 0.25, 0.5)),
        Region("polygon", (0.0, 0.0, 1.0, 0.0, 0.5, 1.0)),
        Region("span", (3, 14)),
    )
    store.log.append([NewCorrection(1, 1, YES, regions)], who="ann")
    assert store.log.current()[1, 1].regions == regions
    hair = Region("box", (0.0, 0.0, 1.0 + 1e-9, 1.0))  # rounding of a browser
    store.log.append([NewCorrection(1, 2, YES, (hair,))], who="ann")
    assert store.log.current()[1, 2].regions == (Region("box", (0.0, 0.0, 1.0, 1.0)),)


def test_names_of_people_are_text(store: ProjectStore) -> None:
    who = "<b>אנה</b>'; DROP TABLE corrections; --"
    store.log.append([NewCorrection(1, 1, YES)], who=who)
    assert store.log.current()[1, 1].who == who


def test_threads_lose_nothing_and_offsets_are_one_row_each(store: ProjectStore) -> None:
    receipts: list[int] = []

    def work(who: str) -> None:
        for number in range(15):
            rows = [NewCorrection(1 + number % 5, 1 + number % 2, YES)]
            receipts.append(store.log.append(rows, who=who).offset)

    threads = [threading.Thread(target=work, args=(f"person {n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(receipts) == list(range(1, 61))
    assert [row.offset for row in store.log.since(0)] == list(range(1, 61))


_WRITER = """
import sys
from pathlib import Path
from backend.store.corrections import CorrectionLog, NewCorrection
from backend.store.database import Database
from backend.types import Verdict
database = Database(Path(sys.argv[1]))
database.migrate()
log = CorrectionLog(database)
for number in range(20):
    print(log.append([NewCorrection(1, 1, Verdict.YES)], who=sys.argv[2]).offset, flush=True)
"""


def test_two_processes_write_at_once_and_each_sees_the_other(store: ProjectStore) -> None:
    before = store.log.offset
    others = [
        subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(store.path), who],
            stdout=subprocess.PIPE,
            text=True,
        )
        for who in ("cli", "server")
    ]
    said = [[int(line) for line in other.communicate(timeout=60)[0].split()] for other in others]
    assert [other.returncode for other in others] == [0, 0]
    for offsets in said:
        assert offsets == sorted(offsets)
        assert len(offsets) == 20
    rows = store.log.since(before)  # this process did not write them
    assert [row.offset for row in rows] == sorted(said[0] + said[1])
    by_offset = {row.offset: row.who for row in rows}
    assert {by_offset[offset] for offset in said[0]} == {"cli"}
    assert {by_offset[offset] for offset in said[1]} == {"server"}


def test_replay_gives_rows_and_learn_steps_in_the_order_they_happened(make: Make) -> None:
    store = make()
    store.take(_texts(3), who="i", source="import:x")

    def learned(version: int) -> None:
        step = LearnStep(version, version - 1, store.log.offset, "r", 1, 2, 3, 0.0)
        store.versions.save(step, {}, {})

    learned(1)  # before any verdict
    store.log.append([NewCorrection(1, 1, YES)], who="a")
    store.log.append([NewCorrection(2, 1, NO)], who="a")
    learned(2)
    store.log.undo("a")
    learned(3)
    learned(4)
    store.log.append([NewCorrection(3, 1, NO)], who="a")
    kinds = [
        f"v{one.version}" if isinstance(one, LearnStep) else one.offset for one in store.replay()
    ]
    assert kinds == ["v1", 1, 2, "v2", 3, "v3", "v4", 4]
    folded: dict[tuple[int, int], Correction] = {}
    for one in store.replay():
        if isinstance(one, LearnStep):
            known = {pair: row for pair, row in folded.items() if row.verdict is not None}
            assert known == store.log.current(upto=one.offset)
        else:
            folded[one.sample, one.label] = one


def _texts(num: int) -> list:
    from backend.types import Draft

    return [Draft(name=f"{n}", text=f"words {n}") for n in range(num)]


@pytest.mark.parametrize("seen", [None, YES, NO, UNSURE])
@pytest.mark.parametrize("now", [None, YES, NO, UNSURE])
def test_what_follows_from_what_was_seen_holds_while_that_is_so(
    store: ProjectStore, seen: Verdict | None, now: Verdict | None
) -> None:
    store.log.append([NewCorrection(1, 1, now)], who="ann")
    rows = [NewIfStill(1, 1, UNSURE, seen=seen), NewIfStill(2, 1, NO)]
    receipt = store.log.append(rows, who="ann", op="enter-1")
    is_same = seen is now
    assert receipt.pairs == (((1, 1), (2, 1)) if is_same else ((2, 1),))
    expected = UNSURE if is_same else now
    assert verdicts(store) == {(2, 1): NO} | ({} if expected is None else {(1, 1): expected})
    assert store.log.append(rows, who="ann", op="enter-1") == receipt
    store.log.undo("ann")
    assert verdicts(store) == ({} if now is None else {(1, 1): now}), "one step back"


def test_what_was_seen_is_ones_own_word_or_what_counts_and_alone_while_blind(
    store: ProjectStore,
) -> None:
    store.log.append([NewCorrection(1, 1, YES), NewCorrection(2, 1, YES)], who="ann")
    store.log.append([NewCorrection(2, 1, UNSURE)], who="ben")
    both = [NewIfStill(1, 1, NO), NewIfStill(2, 1, NO, seen=YES)]
    assert store.log.append(both, who="ben").pairs == ()
    own = [NewIfStill(1, 1, NO), NewIfStill(2, 1, NO, seen=UNSURE)]
    assert store.log.append(own, who="ben", is_blind=True).pairs == ((1, 1), (2, 1))
    assert [row.verdict for row in store.log.history(1, 1)] == [YES, NO], "both have their word"


def test_an_action_of_which_nothing_held_is_none_to_take_back(store: ProjectStore) -> None:
    store.log.append([NewCorrection(1, 1, YES)], who="ann", op="earlier")
    nothing = store.log.append([NewIfStill(1, 1, NO)], who="ann", op="enter-1")
    assert (nothing.pairs, nothing.offset) == ((), 1)
    undone = store.log.undo("ann")
    assert undone is not None
    assert undone.pairs == ((1, 1),)
    assert verdicts(store) == {}


def test_more_labels_than_a_query_names_hold_all_the_same(store: ProjectStore) -> None:
    names = [f"label {n}" for n in range(1200)]
    ids = [label.id for label in store.add_labels(names, who="ann")]
    store.log.append([NewCorrection(1, ids[700], YES)], who="ann")
    receipt = store.log.append([NewIfStill(1, label, NO) for label in ids], who="ann")
    assert set(receipt.pairs) == {(1, label) for label in ids} - {(1, ids[700])}


def test_the_id_of_another_action_is_refused(store: ProjectStore) -> None:
    """A program that gives all of its actions one id must not be told that they are saved."""
    rows = [NewCorrection(1, 1, YES), NewCorrection(2, 1, NO)]
    receipt = store.log.append(rows, who="ann", op="batch")
    for others, who in (
        ([NewCorrection(3, 1, YES)], "ann"),
        ([*rows, NewCorrection(3, 1, YES)], "ann"),
        ([NewCorrection(1, 1, NO)], "ann"),
        ([NewCorrection(1, 1, None)], "ann"),
        ([NewMark(1, 1, Region("span", (0, 2)))], "ann"),
        (rows, "ben"),
    ):
        with pytest.raises(BadInputError, match=r"'batch' was used before.*nothing was saved"):
            store.log.append(others, who=who, op="batch")
    with pytest.raises(BadInputError, match="'batch' was used before, for 'correct' by ann"):
        store.log.undo("ann", request="batch")
    for change in (
        lambda: store.add_labels(["owl"], who="ann", op="batch"),
        lambda: store.rename_label(1, "tiger", who="ann", op="batch"),
        lambda: store.remove_samples([1], who="ann", op="batch"),
        lambda: store.take([], who="ann", source="import:x", op="batch"),
        lambda: store.set_drawer(None, who="ann", op="batch"),
    ):
        with pytest.raises(BadInputError, match="'batch' was used before"):
            change()
    assert verdicts(store) == {(1, 1): YES, (2, 1): NO}
    assert store.log.append(rows, who="ann", op="batch") == receipt


def test_an_action_repeated_after_its_label_or_sample_went_is_still_that_action(
    store: ProjectStore,
) -> None:
    rows = [NewCorrection(1, 1, YES), NewCorrection(2, 2, NO), NewMark(3, 1, LEFT)]
    receipt = store.log.append(rows, who="ann", op="lost-answer")
    store.merge_labels(1, 2, who="ben")
    assert store.log.append(rows, who="ann", op="lost-answer") == receipt
    moved = [replace(row, label=2) for row in rows]  # by whoever knows of the merge
    assert store.log.append(moved, who="ann", op="lost-answer") == receipt
    with pytest.raises(BadInputError, match="'lost-answer' was used before"):
        store.log.append([NewMark(3, 2, replace(LEFT, points=(1, 2)))], who="ann", op="lost-answer")
    store.remove_samples([2], who="ben")
    store.compact()
    again = store.log.append(rows, who="ann", op="lost-answer")
    assert set(again.pairs) == {(1, 1), (3, 1)}


def test_taking_back_what_a_file_said_too_answers_the_same_again(store: ProjectStore) -> None:
    draft = Draft(name="of a file.txt", text="said by a file", verdicts={"cat": YES})
    store.take([draft], who="ann", source="import:jsonl")
    rows = [NewCorrection(1, 1, None), NewCorrection(store.find("of a file.txt").id, 1, None)]
    receipt = store.log.append(rows, who="ann", op="take-back")
    assert store.log.append(rows, who="ann", op="take-back") == receipt
    assert receipt.pairs == tuple((row.sample, row.label) for row in rows)
