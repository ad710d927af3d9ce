"""Several people on one pair: whose word is whose, and what counts of it.

The machine in test_operations.py holds all of this against a naive twin; here are the cases that a
person can check by eye.
"""

from __future__ import annotations

import json

import pytest
import sqlalchemy as sa

from backend.settings import Settings
from backend.store import tables as t
from backend.store.corrections import ADJUDICATION, NewCorrection, NewMark
from backend.store.database import DATABASE
from backend.store.project import ProjectStore
from backend.store.voices import PEOPLE_FROM, settled
from backend.types import Draft, Region, Verdict

YES, NO, UNSURE = Verdict.YES, Verdict.NO, Verdict.UNSURE


def say(store: ProjectStore, who: str, verdict: Verdict | None, **how: str) -> None:
    store.log.append([NewCorrection(1, 1, verdict)], who=who, **how)


def counts(store: ProjectStore) -> tuple[Verdict | None, float] | None:
    row = store.log.current().get((1, 1))
    return None if row is None else (row.verdict, round(row.weight, 6))


def said(store: ProjectStore) -> dict[str, Verdict | None]:
    return {voice: row.verdict for voice, row in store.log.words().of((1, 1)).items()}


@pytest.mark.parametrize(
    ("verdicts", "verdict", "weight"),
    [
        ([], None, 0.0),
        ([YES], YES, 1.0),
        ([YES, YES], YES, 1.0),
        ([YES, NO], None, 0.0),
        ([YES, UNSURE], None, 0.0),
        ([NO, YES, NO], NO, 1 / 3),
        ([YES, YES, YES, NO], YES, 1 / 2),
        ([YES, YES, NO, UNSURE], YES, 1 / 4),
        ([YES, YES, NO, NO, UNSURE], None, 0.0),
    ],
)
def test_most_votes_win_and_weigh_by_their_lead(
    verdicts: list[Verdict], verdict: Verdict | None, weight: float
) -> None:
    found = settled(verdicts)
    assert found.verdict is verdict
    assert found.weight == pytest.approx(weight)


def test_the_last_word_of_each_person_is_a_vote(store: ProjectStore) -> None:
    say(store, "ann", YES)
    assert counts(store) == (YES, 1.0)
    say(store, "ben", NO)
    assert counts(store) is None  # a tie is no verdict
    say(store, "eve", NO)
    assert counts(store) == (NO, round(1 / 3, 6))
    say(store, "ann", NO)  # who contradicts herself has said the last thing
    assert counts(store) == (NO, 1.0)
    say(store, "ben", None)
    assert said(store) == {"eve": NO, "ann": NO}


def test_adjudication_decides_and_is_one_undo(store: ProjectStore) -> None:
    for who, verdict in (("ann", YES), ("ben", NO), ("eve", NO)):
        say(store, who, verdict)
    say(store, "ann", YES, source=ADJUDICATION)
    row = store.log.current()[1, 1]
    assert (row.verdict, row.weight, row.who, row.source) == (YES, 1.0, "ann", ADJUDICATION)
    say(store, "dan", UNSURE)  # later words do not overturn it
    assert counts(store) == (YES, 1.0)
    say(store, "dan", NO, source=ADJUDICATION)  # another adjudication does
    assert store.log.current()[1, 1].who == "dan"
    store.log.undo("dan")
    assert store.log.current()[1, 1].who == "ann"
    store.log.undo("ann")
    assert counts(store) == (NO, 1 / 4)
    assert said(store) == {"ann": YES, "ben": NO, "eve": NO, "dan": UNSURE}


def test_a_file_gives_way_to_a_person_and_comes_back_with_their_undo(store: ProjectStore) -> None:
    draft = Draft(name="t/1.txt", verdicts={"cat": YES})
    store.take([draft], who="ann", source="import:labels.csv")
    assert said(store) == {"import:labels.csv": YES}
    say(store, "ann", NO)
    assert counts(store) == (NO, 1.0)
    store.log.undo("ann")
    assert counts(store) == (YES, 1.0)
    say(store, "ann", None)  # nobody is there to defend a file's word
    assert said(store) == {}
    store.log.undo("ann")
    assert said(store) == {"import:labels.csv": YES}


def test_people_named_in_one_file_have_a_word_each(store: ProjectStore) -> None:
    drafts = [
        Draft(name="t/1.txt", verdicts={"cat": verdict}, who=who)
        for who, verdict in (("ann", YES), ("ben", NO), ("eve", NO), ("ann", YES))
    ]
    store.take(drafts, who="me", source="import:three.jsonl")
    assert said(store) == {"ann": YES, "ben": NO, "eve": NO}
    assert store.take(drafts, who="me", source="import:three.jsonl").annotations == 0
    store.log.undo("me")
    assert said(store) == {}


def test_what_was_accepted_in_bulk_is_the_models_word(store: ProjectStore) -> None:
    say(store, "ann", YES, source="certain:0.9")
    assert said(store) == {"certain:0.9": YES}
    say(store, "ben", NO)
    row = store.log.current()[1, 1]
    assert (row.verdict, row.who, row.source, row.weight) == (NO, "ben", "person", 1.0)
    store.log.undo("ben")
    store.remove_samples([1], who="eve")
    store.log.undo("eve")
    row = store.log.current()[1, 1]
    assert (row.verdict, row.who, row.source) == (YES, "ann", "certain:0.9")


def test_marks_are_the_pairs_and_not_a_persons(store: ProjectStore) -> None:
    first, second = Region("span", (0, 4), NO), Region("span", (5, 8), YES)
    store.log.append([NewMark(1, 1, first)], who="ann")
    store.log.append([NewMark(1, 1, second)], who="ben")
    say(store, "eve", NO)
    row = store.log.words()
    assert row.verdicts[1, 1].regions == (first, second)
    assert row.verdicts[1, 1].verdict is None  # ben's mark says YES, eve NO
    store.log.undo("ben")
    assert store.log.current()[1, 1].regions == (first, second)  # eve's row has them, too
    store.log.append([NewMark(1, 1, first, is_gone=True)], who="dan")
    assert store.log.current()[1, 1].regions == (second,)


def test_merged_labels_keep_each_persons_word(store: ProjectStore) -> None:
    say(store, "ann", YES)
    store.log.append([NewCorrection(1, 2, NO)], who="ann")  # newer, of the other label
    store.log.append([NewCorrection(1, 2, NO)], who="ben")
    say(store, "eve", YES)
    say(store, "eve", YES, source=ADJUDICATION)
    store.rename_label("cat", "tiger", who="me")
    assert said(store) == {"ann": YES, "eve": YES, "": YES}
    store.merge_labels("tiger", "dog", who="me")
    merged = store.log.words()
    assert {voice: row.verdict for voice, row in merged.of((1, 2)).items()} == {
        "ann": NO, "ben": NO, "eve": YES, "": YES,
    }  # fmt: skip
    assert merged.verdicts[1, 2].source == ADJUDICATION
    store.log.undo("me")
    assert said(store) == {"ann": YES, "eve": YES, "": YES}


def test_an_older_project_keeps_what_counted_in_it(store: ProjectStore) -> None:
    """Up to the first opening since, the last row of a pair is all that is said."""
    say(store, "ann", YES)
    say(store, "ben", NO)
    say(store, "eve", NO)
    store.close()
    engine = sa.create_engine(f"sqlite:///{store.path / DATABASE}")
    with engine.begin() as connection:
        connection.execute(t.settings.delete().where(t.settings.c.key == PEOPLE_FROM))
    engine.dispose()
    opened = ProjectStore.open(store.path, settings=Settings())
    assert json.loads(str(opened.get(PEOPLE_FROM))) == 3
    assert said(opened) == {"eve": NO}
    assert opened.log.current(2)[1, 1].who == "ben"
    opened.log.undo("eve")  # takes back what was said last; what was said before it counts
    assert said(opened) == {"ben": NO}
    say(opened, "ann", YES)  # and from here on people are told apart
    assert said(opened) == {"ben": NO, "ann": YES}
    assert opened.log.current(3)[1, 1].who == "eve"
    opened.close()
