"""Verdicts on places: beside the whole sample's, one by one, by several writers, back by undo."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from backend.errors import BadInputError
from backend.settings import Settings
from backend.store import tables as t
from backend.store.corrections import NewCorrection, NewMark
from backend.store.database import DATABASE
from backend.store.marks import (
    MOST_MARKS,
    Said,
    after,
    is_same_place,
    pack_regions,
    united,
    unpack_regions,
)
from backend.store.project import ProjectStore
from backend.types import Draft, Region, RegionVerdict, Verdict

YES, NO, UNSURE = Verdict.YES, Verdict.NO, Verdict.UNSURE


def span(start: int, end: int, said: Verdict = YES) -> Region:
    return Region("span", (start, end), said)


def said(store: ProjectStore, sample: int = 1, label: int = 1) -> Said | None:
    row = store.log.current().get((sample, label))
    return None if row is None else Said(row.verdict, row.regions)


def mark(store: ProjectStore, *regions: Region, who: str = "ann", is_gone: bool = False) -> None:
    store.log.append([NewMark(1, 1, region, is_gone) for region in regions], who=who)


@pytest.mark.parametrize("verdict", [None, *Verdict])
def test_not_here_stands_beside_every_verdict(store: ProjectStore, verdict: Verdict | None) -> None:
    store.log.append([NewCorrection(1, 1, verdict)], who="ann")
    mark(store, span(0, 4, NO))
    assert said(store) == Said(verdict, (span(0, 4, NO),))


@pytest.mark.parametrize(
    ("before", "after_it"), [(None, YES), (NO, YES), (YES, YES), (UNSURE, UNSURE)]
)
def test_what_a_part_shows_the_whole_shows(
    store: ProjectStore, before: Verdict | None, after_it: Verdict
) -> None:
    store.log.append([NewCorrection(1, 1, before)], who="ann")
    mark(store, span(0, 4))
    assert said(store) == Said(after_it, (span(0, 4),))


@pytest.mark.parametrize("verdict", [None, *Verdict])
def test_a_verdict_on_the_whole_keeps_every_mark(
    store: ProjectStore, verdict: Verdict | None
) -> None:
    mark(store, span(5, 8, NO), who="ann")
    mark(store, span(0, 4), who="ben")
    store.log.append([NewCorrection(1, 1, verdict), NewCorrection(2, 1, YES)], who="ben")
    assert said(store) == Said(verdict, (span(5, 8, NO), span(0, 4)))
    store.log.append([NewCorrection(1, 1, verdict)], who="ben")  # alone: the hot path
    assert said(store) == Said(verdict, (span(5, 8, NO), span(0, 4)))
    store.log.append([NewCorrection(1, 1, verdict, ())], who="ben")
    assert said(store) == (None if verdict is None else Said(verdict))


def test_one_place_has_one_mark_and_the_newest_counts(store: ProjectStore) -> None:
    mark(store, span(0, 4, NO), span(5, 8, NO))
    mark(store, span(0, 4))
    assert said(store) == Said(YES, (span(5, 8, NO), span(0, 4)))
    mark(store, span(5, 8), is_gone=True)  # named by its place, whatever was said there
    mark(store, span(90, 99), is_gone=True)  # was never there
    assert said(store) == Said(YES, (span(0, 4),))


def test_a_place_is_found_again_after_rounding() -> None:
    exact = Region("box", (1 / 3, 0.25, 0.5, 0.5))
    assert is_same_place(exact, Region("box", (0.3333333, 0.25, 0.5, 0.5), NO))
    assert not is_same_place(exact, Region("box", (0.334, 0.25, 0.5, 0.5)))
    assert not is_same_place(span(0, 4), span(0, 5))
    corners = (0.0, 0.0, 1.0, 0.0, 1.0, 1.0)
    assert not is_same_place(Region("polygon", corners), Region("polygon", (*corners, 0.0, 1.0)))


def test_undo_and_redo_go_back_over_marks_and_verdicts(store: ProjectStore) -> None:
    mark(store, span(0, 4, NO))
    store.log.append([NewCorrection(1, 1, YES)], who="ann")
    mark(store, span(0, 4), span(5, 8, NO))
    states = [Said(YES, (span(0, 4), span(5, 8, NO))), Said(YES, (span(0, 4, NO),))]
    states += [Said(None, (span(0, 4, NO),))]
    for state in states:
        assert said(store) == state
        undone = store.log.undo("ann")
        assert undone is not None
        assert undone.pairs == ((1, 1),)
    assert said(store) is None
    store.log.undo("ann", op=undone.op)
    assert said(store) == states[-1]


def test_a_row_with_marks_alone_is_no_verdict_taken_back(store: ProjectStore) -> None:
    store.log.append([NewCorrection(1, 1, None, (span(0, 4, NO),))], who="ann")
    (row,) = store.log.since(0)
    assert (row.verdict, row.is_blank) == (None, False)
    mark(store, span(0, 4), is_gone=True)
    assert store.log.since(1)[0].is_blank
    assert store.log.current() == {}


def test_removed_samples_and_labels_come_back_with_their_marks(store: ProjectStore) -> None:
    mark(store, span(0, 4, NO))
    for take_away in (
        lambda: store.remove_samples([1], who="eve"),
        lambda: store.remove_label(1, who="eve"),
    ):
        take_away()
        assert said(store) is None
        store.log.undo("eve")
        assert said(store) == Said(None, (span(0, 4, NO),))
    store.remove_samples([2], who="eve")
    store.compact()
    assert said(store) == Said(None, (span(0, 4, NO),))


def test_merged_labels_have_the_marks_of_both(store: ProjectStore) -> None:
    store.log.append([NewCorrection(1, 1, YES, (span(0, 4), span(5, 8)))], who="ann")
    store.log.append([NewMark(1, 2, span(5, 8, NO)), NewMark(2, 2, span(0, 2, NO))], who="ben")
    store.merge_labels("cat", "dog", who="eve")
    assert said(store, label=2) == Said(YES, (span(0, 4), span(5, 8, NO)))
    assert said(store, 2, 2) == Said(None, (span(0, 2, NO),))
    store.log.undo("eve")
    assert said(store) == Said(YES, (span(0, 4), span(5, 8)))
    assert said(store, label=2) == Said(None, (span(5, 8, NO),))


def test_the_same_op_again_marks_once(store: ProjectStore) -> None:
    first = store.log.append([NewMark(1, 1, span(0, 4, NO))], who="ann", op="drag-1")
    mark(store, span(0, 4), is_gone=True)
    assert store.log.append([NewMark(1, 1, span(0, 4, NO))], who="ann", op="drag-1") == first
    assert said(store) is None


def test_writers_that_know_nothing_of_each_other_lose_no_mark(store: ProjectStore) -> None:
    program = """
import pathlib, sys
from backend.settings import Settings
from backend.store.corrections import NewCorrection, NewMark
from backend.store.project import ProjectStore
from backend.types import Region, Verdict
store, first = ProjectStore.open(pathlib.Path(sys.argv[1]), settings=Settings()), int(sys.argv[2])
sys.stdin.read(1)
for at in range(first, 40, 2):
    store.log.append([NewMark(1, 1, Region("span", (at, at + 1), Verdict.NO))], who=str(first))
    store.log.append([NewCorrection(1, 1, Verdict.YES)], who=str(first))
"""
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(store.path), str(first)],
            stdin=subprocess.PIPE,
        )
        for first in (0, 1)
    ]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write(b"g")
        writer.stdin.close()
    assert [writer.wait() for writer in writers] == [0, 0]
    found = said(store)
    assert found is not None
    assert found.verdict is YES
    assert sorted(r.points for r in found.regions) == [(at, at + 1) for at in range(40)]


def test_rows_from_before_places_had_verdicts_agree_with_their_row(store: ProjectStore) -> None:
    store.log.append([NewCorrection(1, n, v) for n, v in ((1, YES), (2, NO))], who="ann")
    store.close()
    engine = sa.create_engine(f"sqlite:///{store.path / DATABASE}")
    with engine.begin() as connection:
        (old,) = connection.execute(sa.text("SELECT max(seq) FROM ops")).one()
        connection.execute(
            t.corrections.insert(),
            [
                {
                    "op": old, "sample": sample, "label": 1, "verdict": verdict, "who": "ann",
                    "at": 1.0, "version": 0, "regions": json.dumps([["span", 0, 4]]),
                    "source": "person", "is_restored": False,
                }
                for sample, verdict in ((1, "yes"), (2, "no"), (3, "unsure"))
            ],
        )  # fmt: skip
    engine.dispose()
    opened = ProjectStore.open(store.path, settings=Settings())
    assert [said(opened, n) for n in (1, 2, 3)] == [
        Said(v, (span(0, 4, v),)) for v in (YES, NO, UNSURE)
    ]
    opened.log.append([NewCorrection(2, 1, YES)], who="ann")  # and say the same ever after
    assert said(opened, 2) == Said(YES, (span(0, 4, NO),))
    opened.log.undo("ann")
    assert said(opened, 2) == Said(NO, (span(0, 4, NO),))
    opened.close()


def test_too_many_marks_of_one_pair_are_refused(store: ProjectStore) -> None:
    many = tuple(span(n, n + 1, NO) for n in range(MOST_MARKS))
    store.log.append([NewCorrection(1, 1, None, many)], who="ann")
    with pytest.raises(BadInputError, match="2,001 regions of one label"):
        mark(store, span(0, 9, NO))
    store.log.append([NewCorrection(1, 1, NO)], who="ann")  # the others can still be decided
    wheel = Region("polygon", tuple(float(n % 2) for n in range(20_000)))
    with pytest.raises(BadInputError, match="10,000 corners"):
        mark(store, wheel)
    with pytest.raises(BadInputError, match=r"0\.\.1 of the displayed picture"):
        mark(store, Region("box", (0.8, 0.0, 0.5, 0.5)))


def test_an_import_brings_marks_and_adds_to_those_that_are_there(store: ProjectStore) -> None:
    mark(store, span(0, 4, NO))
    draft = Draft(
        name="t/1.txt",
        verdicts={"cat": YES},
        regions=(
            RegionVerdict("cat", YES, span(5, 8)),
            RegionVerdict("cat", YES, span(0, 4)),
            RegionVerdict("dog", NO, span(0, 4)),
            RegionVerdict("dog", UNSURE, span(5, 8)),
        ),
    )
    how = {"who": "importer", "source": "import:x.jsonl"}
    report = store.take([draft], **how)
    assert report.errors == ()
    # `keep`: the person's word on a place stays, what the file says beside it comes in
    assert said(store) == Said(YES, (span(5, 8), span(0, 4, NO)))
    assert said(store, label=2) == Said(None, (span(0, 4, NO), span(5, 8, UNSURE)))
    assert store.take([draft], **how).annotations == 0
    store.take([draft], on_conflict="replace", **how)
    assert said(store) == Said(YES, (span(5, 8), span(0, 4)))
    store.log.undo("importer")
    store.log.undo("importer")
    assert said(store) == Said(None, (span(0, 4, NO),))


def test_a_label_with_marks_alone_is_not_listed_as_present(store: ProjectStore) -> None:
    draft = Draft(
        name="t/1.txt",
        verdicts={"cat": YES},
        regions=(RegionVerdict("dog", NO, span(0, 4)),),
        only_present=True,
    )
    store.take([draft], who="a", source="import:x", unlisted="no")
    assert said(store, label=2) == Said(NO, (span(0, 4, NO),))


# Plain tuples: what beartype checks inside a strategy draws random numbers of its own.
verdicts = st.tuples(st.none(), st.sampled_from((None, "yes", "no", "unsure")))
places = st.tuples(st.integers(0, 3), st.sampled_from(("yes", "no", "unsure", "gone")))


@examples(max_examples=200, deadline=None, derandomize=True, database=None)
@given(st.lists(st.one_of(verdicts, places), max_size=12))
def test_marks_after_any_actions_are_those_of_a_plain_dictionary(actions: list) -> None:
    state, verdict, places = Said(), None, {}
    for at, word in actions:
        if at is None:
            verdict = None if word is None else Verdict(word)
            state = after(state, NewCorrection(1, 1, verdict))
            continue
        region = span(at, at + 1, YES if word == "gone" else Verdict(word))
        state = after(state, NewMark(1, 1, region, is_gone=word == "gone"))
        places.pop(region.points, None)
        if word != "gone":
            places[region.points] = region.verdict
            if word == "yes" and verdict is not UNSURE:
                verdict = YES
    assert state.verdict is verdict
    assert [(r.points, r.verdict) for r in state.regions] == list(places.items())
    assert unpack_regions(pack_regions(state.regions), NO) == state.regions


def test_united_is_as_if_all_had_been_said_of_one_pair() -> None:
    older, newer = Said(NO, (span(0, 4), span(5, 8))), Said(None, (span(5, 8, NO),))
    assert united(older, newer) == Said(NO, (span(0, 4), span(5, 8, NO)))
    assert united(newer, older) == Said(NO, (span(0, 4), span(5, 8)))
