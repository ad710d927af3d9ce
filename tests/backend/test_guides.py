"""Guides of small real projects of texts: what is shown, what it rests on, and what changed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from backend import api
from backend.errors import BadInputError, NotFoundError
from backend.guide_search import Found, Material, search
from backend.guides import ENOUGH, Guide, _against
from backend.numerics.exemplars import SHARES
from backend.numerics.sentences import sentence_starts, sentence_vectors
from backend.part_lessons import PartLessons

TRAVEL = ("bus", "train", "tram", "ferry", "taxi", "plane")
FOOD = ("soup", "bread", "salad", "pizza", "rice", "cake")
WAYS = ("The {} was late again", "We waited for the {} in the rain", "My {} cost too much")
HOSTILE = "<img src=x onerror=alert(1)> ${x} {{y}}"

Make = Callable[..., api.Workbench]


@pytest.fixture
def make(settings: api.Settings, tmp_path: Path) -> Iterator[Make]:
    """`make(rows)`: a project of texts ("words" encoder) named by their place in `rows`."""
    made: list[api.Workbench] = []

    def one(texts: list[str], labels: tuple[str, ...] = ("travel", HOSTILE)) -> api.Workbench:
        file = tmp_path / f"{len(made)}.jsonl"
        rows = [{"sample": f"s{at}", "text": text} for at, text in enumerate(texts)]
        file.write_text("\n".join(json.dumps(row) for row in rows), "utf-8")
        bench = api.create_project(
            f"p{len(made)}", labels=labels, encoder="words", settings=settings
        )
        bench.add(file)
        made.append(bench)
        return bench

    yield one
    for bench in made:
        bench.close()


@pytest.fixture
def trips(make: Make) -> api.Workbench:
    """Texts on travel (YES) and food (NO), all decided."""
    texts = [way.format(thing) for thing in (*TRAVEL, *FOOD) for way in WAYS]
    bench = make(texts)
    bench.correct(
        [
            {
                "sample": sample.id,
                "label": "travel",
                "verdict": "yes" if any(word in (sample.text or "") for word in TRAVEL) else "no",
            }
            for sample in bench.samples()
        ]
    )
    return bench


def shown(guide: Guide) -> list[int]:
    return [one.place.sample for one in guide.exemplars]


def test_exemplars_are_yes_and_near_misses_are_no(trips: api.Workbench) -> None:
    guide = trips.guides.of("travel")
    said = trips.verdicts()
    label = guide.label.id
    assert 1 <= len(guide.exemplars) <= 5
    assert {said[one][label] for one in shown(guide)} == {api.Verdict.YES}
    assert {said[one.place.sample][label] for one in guide.misses} == {api.Verdict.NO}
    assert (guide.yes, guide.no, guide.missing) == (18, 18, 0)


def test_exemplars_are_never_from_held_back_samples(trips: api.Workbench) -> None:
    board = trips.board
    guide = trips.guides.of("travel")
    rows = [board.row_of[one] for one in shown(guide)]
    assert rows
    assert board.trainable[rows].all()
    yes = {sample for (sample, _), said in board.verdicts.items() if said.verdict == "yes"}
    held_back = yes - {board.samples[row].id for row in np.flatnonzero(board.trainable)}
    assert held_back, "there were others to choose"


def test_the_precision_that_is_told_is_that_of_held_back_samples(trips: api.Workbench) -> None:
    """A twin: sentences compared one by one with examples beside the name, and scikit-learn."""
    guide, board = trips.guides.of("travel"), trips.board
    fingerprint = trips.pipeline.encoder.fingerprint

    def vector(row: int) -> np.ndarray:
        sample = board.samples[row]
        parts, layout = trips.store.vectors.parts(sample.content_hash, fingerprint)
        starts = sentence_starts(sample.text or "", layout.spans or ())
        return sentence_vectors(parts, starts)[0]  # all of these texts are one sentence

    column = board.column_named["travel"]
    material = Material(trips.store, trips.pipeline, PartLessons(), board, column)
    share, name = search(material, {}, since=0, shares=SHARES).share, board.label_vectors[column]
    examples = [share * vector(board.row_of[s]) + (1 - share) * name for s in shown(guide)]
    held = np.flatnonzero(board.held_back)
    scores = [max(vector(row) @ one for one in examples) for row in held]
    truth = [
        board.verdicts[board.samples[row].id, guide.label.id].verdict == api.Verdict.YES
        for row in held
    ]
    assert guide.held_out_of == len(held) > 1
    assert 0 < sum(truth) < len(truth)
    assert guide.held_out == pytest.approx(average_precision_score(truth, scores), abs=1e-5)


def test_a_near_miss_is_the_no_that_is_nearest_to_an_exemplar(trips: api.Workbench) -> None:
    guide = trips.guides.of("travel")
    fits = [one.fit for one in guide.misses]
    assert fits == sorted(fits, reverse=True)
    assert all(0 <= one.like < len(guide.exemplars) for one in guide.misses)
    assert all(one.who == "me" for one in guide.misses)


def test_usual_words_stand_in_texts_with_the_label(trips: api.Workbench) -> None:
    words = {one.word: one for one in trips.guides.of("travel").words}
    assert words
    assert set(words) <= set(TRAVEL)  # every other word is as common in texts on food
    assert all(one.in_yes == pytest.approx(3 / 18) and one.in_no == 0 for one in words.values())


def test_under_twenty_verdicts_there_is_not_enough_evidence(make: Make) -> None:
    bench = make([way.format(thing) for thing in TRAVEL for way in WAYS])
    samples = bench.samples()
    bench.correct(
        [{"sample": one.id, "label": "travel", "verdict": "yes"} for one in samples[:10]]
        + [{"sample": one.id, "label": "travel", "verdict": "unsure"} for one in samples[10:]]
    )
    guide = bench.guides.of("travel")
    assert (guide.missing, guide.unsure) == (ENOUGH - 10, 8)
    assert not guide.exemplars
    assert not guide.misses
    assert guide.held_out is None


@pytest.mark.parametrize(("verdict", "examples", "misses"), [("yes", 5, 0), ("no", 0, 6)])
def test_verdicts_of_one_kind_only(make: Make, verdict: str, examples: int, misses: int) -> None:
    bench = make([f"The {thing} of {day}" for thing in (*TRAVEL, *FOOD) for day in ("May", "June")])
    bench.correct(
        [{"sample": one.id, "label": "travel", "verdict": verdict} for one in bench.samples()]
    )
    guide = bench.guides.of("travel")
    assert (len(guide.exemplars), len(guide.misses)) == (examples, misses)
    assert guide.held_out is None


def test_a_label_without_verdicts_and_one_that_does_not_exist(trips: api.Workbench) -> None:
    guide = trips.guides.of(HOSTILE)
    assert (guide.missing, guide.yes, guide.no) == (ENOUGH, 0, 0)
    with pytest.raises(NotFoundError, match="there is no label"):
        trips.guides.of("boats")


def test_a_text_of_twenty_thousand_words_is_quoted_in_part(make: Make) -> None:
    long = "The bus was late. " + " ".join(f"word{n}" for n in range(20_000))
    bench = make([long, *(way.format(thing) for thing in (*TRAVEL, *FOOD) for way in WAYS)])
    bench.correct(
        [
            {"sample": one.id, "label": "travel", "verdict": "yes" if at < 19 else "no"}
            for at, one in enumerate(bench.samples())
        ]
    )
    first = bench.samples()[0]
    bench.guides.pin("travel", first.id)
    guide = bench.guides.of("travel")
    assert shown(guide)[0] == first.id
    assert all(0 < len(one.place.quote) <= 300 for one in guide.exemplars)
    assert all(one.place.quote[a:b].strip() for one in guide.exemplars for a, b in one.place.words)


def test_a_pinned_sample_stays_and_a_refused_one_goes(trips: api.Workbench) -> None:
    guide = trips.guides.of("travel")
    first = shown(guide)[0]
    other = next(
        sample
        for sample, said in trips.verdicts().items()
        if said.get(guide.label.id) == api.Verdict.YES and sample not in shown(guide)
    )
    trips.guides.refuse("travel", first)
    trips.guides.pin("travel", other)
    after = trips.guides.of("travel")
    assert shown(after)[0] == other
    assert after.exemplars[0].is_pinned
    assert first not in shown(after)
    assert [sample for sample, _ in after.refused] == [first]
    trips.undo()
    trips.undo()
    assert shown(trips.guides.of("travel")) == shown(guide)


def test_a_pinned_sample_that_is_no_or_gone_is_told(trips: api.Workbench) -> None:
    guide = trips.guides.of("travel")
    one, two = shown(guide)[:2] if len(guide.exemplars) > 1 else (shown(guide)[0], 2)
    trips.guides.pin("travel", one)
    trips.guides.pin("travel", two)
    trips.correct([{"sample": one, "label": "travel", "verdict": "no"}])
    trips.remove_samples([two])
    after = trips.guides.of("travel")
    assert {each.sample: each.why for each in after.lapsed} == {
        one: "its verdict is NO now",
        two: "its sample was removed",
    }
    assert not {one, two} & set(shown(after))
    with pytest.raises(BadInputError, match="is NO for 'travel'"):
        trips.guides.pin("travel", one)


def test_drift_tells_what_changed_since_an_edition(trips: api.Workbench) -> None:
    assert trips.guides.of("travel").drift is None
    trips.guides.keep("travel")
    same = trips.guides.of("travel").drift
    assert same is not None
    assert api.guide_changes(same) == []
    guide = trips.guides.of("travel")
    first = shown(guide)[0]
    trips.correct([{"sample": first, "label": "travel", "verdict": "no"}])
    trips.guides.write("travel", definition="Ways to get somewhere.")
    drift = trips.guides.of("travel").drift
    assert drift is not None
    assert drift.is_redefined
    name = trips.sample(first).name
    assert name in drift.gone
    turned = [(one.sample, one.before, one.now, one.who) for one in drift.turned]
    assert turned == [(first, api.Verdict.YES, api.Verdict.NO, "me")]
    told = " ".join(api.guide_changes(drift))
    assert f"{name} was YES and is NO now (me)." in told
    assert "The definition or the notes were rewritten." in told


def test_of_several_shares_of_the_name_the_one_worth_most_is_taken(trips: api.Workbench) -> None:
    """A twin with scikit-learn on training samples, those that examples are from left out."""
    board, column = trips.board, trips.board.column_named["travel"]
    material = Material(trips.store, trips.pipeline, PartLessons(), board, column)
    worths = {}
    for share in SHARES:
        found = search(material, {}, since=0, shares=(share,))
        own = {one.place.sample for one in found.exemplars}
        said = {s: v[board.labels[column].id] for s, v in trips.verdicts().items()}
        kept = [s for s in said if board.trainable[board.row_of[s]] and s not in own]
        assert found.fits is not None
        worths[share] = average_precision_score(
            [said[s] is api.Verdict.YES for s in kept], [found.fits[s] for s in kept]
        )
        assert found.share == share
    both = search(material, {}, since=0, shares=SHARES)
    assert worths[both.share] == pytest.approx(max(worths.values()))
    assert search(material, {}, since=0).share == 1.0


def test_drift_tells_what_people_dispute(trips: api.Workbench) -> None:
    def ben(number: int) -> None:
        trips.correct([{"sample": f"s{number}", "label": "travel", "verdict": "no"}], who="ben")

    ben(0)
    trips.guides.keep("travel")
    drift = trips.guides.of("travel").drift
    assert drift is not None
    assert [(one.name, one.is_new) for one in drift.disputed] == [("s0", False)]
    assert api.guide_changes(drift) == ["They still differ on 1 sample from before."]
    ben(1)
    drift = trips.guides.of("travel").drift
    assert drift is not None
    assert [(one.name, one.is_new) for one in drift.disputed] == [("s1", True), ("s0", False)]
    assert "People differ on s1: me YES, ben NO." in api.guide_changes(drift)
    of_travel, _ = trips.people.disputes(label=trips.label("travel").id)
    assert {one.name for one in of_travel} == {one.name for one in drift.disputed}
    pair = (trips.sample("s1").id, trips.label("travel").id, api.Verdict.YES)
    trips.people.adjudicate([pair], who="me")
    drift = trips.guides.of("travel").drift
    assert drift is not None
    assert [one.name for one in drift.disputed] == ["s0"]


def test_later_verdicts_that_contradict_the_exemplars_are_told(trips: api.Workbench) -> None:
    label = trips.label("travel").id
    said = trips.store.guide_book.verdicts(label)
    yes = [one for one, row in said.items() if row.verdict == api.Verdict.YES][:4]
    no = [one for one, row in said.items() if row.verdict == api.Verdict.NO][:4]
    before = {one: row for one, row in said.items() if one in (yes[0], no[0])}
    fits = {yes[0]: 0.1, yes[1]: 0.1, yes[2]: 0.9, yes[3]: 0.3}
    fits |= {no[0]: 0.9, no[1]: 0.9, no[2]: 0.1, no[3]: 0.5}
    found = Found(fits=fits, usual_yes=0.6, usual_no=0.2)
    told = _against(trips.board, before, said, found, 0)
    # The first of each kind was known to the edition; the others are as exemplars have them.
    assert {one.sample: one.why for one in told} == {
        yes[1]: "no more like any exemplar than the usual NO",
        no[1]: "as much like an exemplar as the usual YES",
    }
    assert _against(trips.board, before, said, found, trips.offset) == ()
    assert _against(trips.board, before, said, Found(fits=fits), 0) == ()


def test_a_renamed_and_a_merged_label_keep_their_guides(trips: api.Workbench) -> None:
    before = shown(trips.guides.of("travel"))
    trips.guides.pin("travel", before[0])
    trips.rename_label("travel", "ways")
    assert before[0] in shown(trips.guides.of("ways"))
    trips.merge_labels("ways", HOSTILE)
    merged = trips.guides.of(HOSTILE)
    assert before[0] in shown(merged)
    assert (merged.yes, merged.no) == (18, 18)


def test_verdicts_are_counted_once_for_all_labels_and_anew_after_each(trips: api.Workbench) -> None:
    """Else the page of 5,000 labels would count every verdict 5,000 times."""
    before = trips.guides.counts()
    travel = trips.label("travel").id
    assert before[travel] == {api.Verdict.YES: 18, api.Verdict.NO: 18}
    for label in trips.labels():
        trips.guides.of(label.id)
    assert trips.guides.counts() is before
    name = trips.sample(shown(trips.guides.of("travel"))[0]).name
    trips.correct([{"sample": name, "label": "travel", "verdict": "unsure"}])
    after = trips.guides.counts()[travel]
    assert after == {api.Verdict.YES: 17, api.Verdict.NO: 18, api.Verdict.UNSURE: 1}
    assert trips.guides.of("travel").unsure == 1


def test_what_other_labels_say_is_fresh_though_the_search_is_kept(trips: api.Workbench) -> None:
    first = shown(trips.guides.of("travel"))[0]
    trips.correct([{"sample": first, "label": HOSTILE, "verdict": "yes"}])
    assert trips.guides.of("travel").exemplars[0].also == (HOSTILE,)


def test_one_thing_is_written_at_a_time(trips: api.Workbench) -> None:
    for given in ({}, {"definition": "a", "notes": "b"}):
        with pytest.raises(BadInputError, match="either the definition or the notes"):
            trips.guides.write("travel", **given)
    with pytest.raises(BadInputError, match="not valid Unicode"):
        trips.guides.write("travel", definition="\ud800")
    trips.guides.write("travel", notes="Trams are travel.")
    assert trips.guides.of("travel").notes == "Trams are travel."
    trips.undo()
    assert trips.guides.of("travel").notes == ""
