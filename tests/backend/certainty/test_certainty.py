"""What is certain, accepted in bulk, and what came true: on a real project of texts."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest

from backend import drawer, views
from backend.board import Board
from backend.errors import BadInputError, NotFoundError
from backend.realised import binomial_interval
from backend.types import Correction, Drawer, Kind, Label, Sample, Verdict
from tests.backend.certainty.conftest import (
    LABELS,
    TRUTH,
    answers,
    decide,
    drawer_names,
    others,
)
from tests.backend.text_projects import found


def undecided_names(bench):
    decided = {s for s, told in bench.verdicts().items() if told}
    inside = set(drawer_names(bench))
    return [s.name for s in bench.samples() if s.id not in decided and s.name not in inside]


def test_rows_of_suggest_and_evaluate_say_it(sure):
    row = sure.suggest([undecided_names(sure)[0]])[0]
    assert row.coverage == 0.9
    assert set(row.set) == {s.label for s in row.suggestions if s.in_set}
    assert all(0 < s.p_value <= 1 for s in row.suggestions)
    sets = sure.certainty.sets()
    at = sure.board.row_of[row.sample]
    for each in row.suggestions:
        column = sure.board.column_of[each.label_id]
        assert each.in_set == (sets.state[at, column] >= 0)
        assert each.p_value == pytest.approx(sets.present[at, column])
    inside = sure.suggest([drawer_names(sure)[0]])[0]
    assert inside.set is None
    assert {s.p_value for s in inside.suggestions} == {None}
    truth = sure.truth_from(answers(undecided_names(sure)))
    found = sure.evaluate(truth=truth)
    chances = views.chances(sure.board)
    state = sure.certainty._fit().states["joint"]
    hits, sizes = [], []
    for name in undecided_names(sure):
        at = sure.board.row_of[sure.sample(name).id]
        has = np.array([[label in TRUTH[name] for label in LABELS]])
        flips = sure.certainty._powerset.flips(state, chances[at : at + 1])
        radius = sure.certainty._powerset.radius(state, 0.9)
        hits.append(flips.distances(has)[0] <= radius)
        sizes.append((sets.state[at] >= 0).sum())
    assert found.coverage == pytest.approx(np.mean(hits))
    assert found.mean_set_size == pytest.approx(np.mean(sizes))
    assert found.coverage > 0.75


def test_of_one_sample_is_what_all_label_sets_say(sure):
    name = undecided_names(sure)[0]
    found = sure.certainty.of(sure.sample(name).id, 0.9, k=16)
    assert sorted((*found.yes, *found.undecided, *found.no)) == [x.id for x in sure.labels()]
    assert len({each.labels for each in found.likely}) == 16
    kept = [set(each.labels) for each in found.likely if each.p_value > 0.1]
    assert found.num_sets == len(kept)
    every = {label.id for label in sure.labels()}
    assert set(found.yes) == (set.intersection(*kept) if kept else set())
    assert set(found.no) == (every - set.union(*kept) if kept else set())
    ordered = sorted((each.p_value for each in found.likely), reverse=True)
    assert [each.p_value for each in found.likely] == ordered
    assert found.credibility == ordered[0]
    assert found.confidence == pytest.approx(1 - ordered[1])
    for label in every:
        has = max((e.p_value for e in found.likely if label in e.labels), default=0)
        lacks = max((e.p_value for e in found.likely if label not in e.labels), default=0)
        assert found.present[label] == pytest.approx(has)
        assert found.absent[label] == pytest.approx(lacks)


def test_of_a_sample_of_the_drawer_nothing_is_said(sure):
    found = sure.certainty.of(sure.sample(drawer_names(sure)[0]).id)
    assert found.in_drawer
    assert "calibration drawer" in found.why
    assert found.yes == found.no == ()
    assert len(found.undecided) == 4


def test_levels_and_guarantees_that_are_none_are_refused(sure):
    for wrong in (0.0, 0.3, 1.0, float("nan")):
        with pytest.raises(BadInputError, match="level"):
            sure.certainty.sets(wrong)
    with pytest.raises(BadInputError, match="joint, label, recall"):
        sure.certainty.sets(0.9, "mood")
    with pytest.raises(NotFoundError):
        sure.certainty.of(999_999)


@pytest.mark.parametrize("guarantee", ["joint", "label", "recall"])
def test_what_is_certain_is_mostly_right_on_samples_that_nobody_decided(sure, guarantee):
    sets = sure.certainty.sets(0.8, guarantee)
    assert sets.why == ""
    rows = [sure.board.row_of[sure.sample(name).id] for name in undecided_names(sure)]
    truth = np.array([[x in TRUTH[name] for x in LABELS] for name in undecided_names(sure)])
    state = sets.state[rows]
    assert (state != 0).mean() > 0.2
    wrong = (state != 0) & ((state > 0) != truth)
    if guarantee == "joint":
        assert wrong.any(axis=1).mean() < 0.4
    else:
        assert wrong.sum() / (state != 0).sum() < 0.4
    np.testing.assert_array_equal(sets.width, (sets.state == 0).sum(axis=1))


def test_it_is_stale_until_verdicts_are_learned_and_new_with_the_next_version(sure):
    before = sure.certainty.sets()
    assert not before.is_stale
    sure.correct(answers(undecided_names(sure)[:6]))
    assert sure.certainty.sets().is_stale
    assert sure.certainty.of(sure.sample("t0").id).is_stale
    sure.learn()
    after = sure.certainty.sets()
    assert not after.is_stale
    assert after.version == before.version + 1
    known = sure.certainty._fit()
    expected = known.states["joint"]["distances"]
    chances = views.chances(sure.board, known.decided.rows)
    flips = sure.certainty._powerset.flips(known.states["joint"], chances)
    np.testing.assert_array_equal(np.sort(flips.distances(known.decided.truth > 0)), expected)


def test_a_decision_in_the_drawer_counts_at_once(bench):
    bench.certainty.open_drawer(share=0.25)
    bench.correct(answers(others(bench)[:40]))
    bench.learn()
    names = drawer_names(bench)
    decide(bench, names[:8])
    assert "1 more decided sample of" in bench.certainty.sets().why
    decide(bench, names[8:9])
    assert bench.certainty.sets().why == ""
    assert bench.certainty.sets().counted == 9


def test_accepting_stores_what_is_certain_and_undecided_and_one_undo_takes_it_back(sure):
    sets, plan = sure.certainty.sets(0.8), sure.certainty.plan(0.8)
    before = sure.verdicts()
    logits = sure.board.logits.copy()
    done = sure.certainty.accept(0.8, op="accept-once-1", who="ann")
    assert done.plan == plan
    assert plan.yes > 0
    assert plan.no > 0
    after = sure.verdicts()
    drawn = set(drawer_names(sure))
    num = 0
    for sample, label in itertools.product(sure.samples(), sure.labels()):
        row, column = sure.board.row_of[sample.id], sure.board.column_of[label.id]
        old = before.get(sample.id, {}).get(label.id)
        new = after.get(sample.id, {}).get(label.id)
        if old is None and sets.state[row, column] and sample.name not in drawn:
            assert new == (Verdict.YES if sets.state[row, column] > 0 else Verdict.NO)
            num += 1
        else:
            assert new == old
    assert num == plan.yes + plan.no
    assert sure.certainty.accept(0.8, op="accept-once-1").op == done.op
    assert len(sure.certainty.acceptances()) == 1
    with pytest.raises(BadInputError, match="nothing that is undecided is certain"):
        sure.certainty.accept(0.8)
    sure.learn()
    np.testing.assert_allclose(sure.board.logits, logits, atol=1e-4)  # a model that agrees
    sure.undo(op=done.op)
    assert sure.verdicts() == before
    assert sure.certainty.acceptances()[0].is_undone


def test_what_was_accepted_is_neither_learned_from_nor_measured_on(sure):
    quality = sure.evaluate()
    lessons = sure.board.lessons(sure.board.verdicts, sure.board.column_of, sure.board.trainable)
    sure.certainty.accept(0.8)
    assert sure.evaluate() == replace(quality, coverage=sure.evaluate().coverage)
    again = sure.board.lessons(sure.board.verdicts, sure.board.column_of, sure.board.trainable)
    np.testing.assert_array_equal(again.rows, lessons.rows)
    np.testing.assert_array_equal(again.targets, lessons.targets)


def test_mistakes_that_people_find_later_are_counted(sure):
    done = sure.certainty.accept(0.8, who="ann")
    assert done.plan.wrong_samples <= done.plan.samples
    asked = int((~sure.board.in_drawer).sum())
    assert done.plan.wrong_samples <= 0.2 * asked + 1e-6
    assert (done.checked, done.wrong) == (0, 0)
    entries = sure.certainty.spot_check(done.op, 5)
    assert len({e.sample for e in entries}) == 5
    assert entries == sure.certainty.spot_check(done.op, 5)
    verdicts = sure.verdicts()
    sample = entries[0].sample
    accepted = [
        label
        for label, verdict in verdicts[sample].items()
        if sure.board.verdicts[sample, label].is_accepted
    ]
    opposite = "no" if verdicts[sample][accepted[0]] is Verdict.YES else "yes"
    sure.correct([{"sample": sample, "label": accepted[0], "verdict": opposite}])
    rest = [
        {"sample": sample, "label": label, "verdict": verdicts[sample][label].value}
        for label in accepted[1:]
    ]
    if rest:
        sure.correct(rest)
    found = sure.certainty.acceptances()[0]
    assert (found.checked, found.wrong) == (len(accepted), 1)
    assert sample not in {e.sample for e in sure.certainty.spot_check(done.op, 999)}
    with pytest.raises(NotFoundError):
        sure.certainty.spot_check("no-such-action")


def test_nothing_can_be_accepted_without_a_guarantee(bench):
    with pytest.raises(BadInputError, match="no calibration drawer"):
        bench.certainty.accept()
    bench.certainty.open_drawer(share=0.2)
    with pytest.raises(BadInputError, match="9 more decided samples"):
        bench.certainty.accept(0.9)
    assert bench.certainty.acceptances() == []


def test_some_samples_are_accepted_where_only_these_are_asked_for(sure):
    plan = sure.certainty.plan(0.8)
    rows = np.flatnonzero((sure.certainty.sets(0.8).state != 0).any(axis=1) & ~sure.board.in_drawer)
    known = sure.verdicts()
    ids = [int(i) for i in sure.board.ids[rows] if not known.get(int(i))][:2]
    done = sure.certainty.accept(0.8, ids=ids)
    assert done.plan.samples == 2
    assert done.plan.yes + done.plan.no < plan.yes + plan.no
    assert {s for s, told in sure.verdicts().items() if told} == set(known) | set(ids)


def test_claims_are_those_before_the_first_verdict_on_a_sample(sure):
    names = undecided_names(sure)[:8]
    expected = {}
    for name in names:
        sample = sure.sample(name).id
        row = sure.board.row_of[sample]
        state = sure.certainty._fit().states["joint"]
        chances = views.chances(sure.board, np.array([row]))
        flips = sure.certainty._powerset.flips(state, chances)
        has = np.array([[label in TRUTH[name] for label in LABELS]])
        expected[sample] = {
            level: bool(flips.distances(has)[0] <= sure.certainty._powerset.radius(state, level))
            for level in (0.8, 0.85, 0.9, 0.95)
        }
        widths = {x: int((sure.certainty.sets(x).state[row] == 0).sum()) for x in (0.8, 0.95)}
        for label in LABELS:  # one by one, and the model learns between them
            sure.correct(answers([name], [label]))
            sure.learn()
        found = {each.sample: each for each in sure.certainty.history()}
        assert found[sample].covered == expected[sample]
        assert {x: found[sample].width[x] for x in widths} == widths
    history = sure.certainty.history()
    assert [each.sample for each in history] == [sure.sample(name).id for name in names]
    points = [p for p in sure.certainty.coverage(groups=1) if p.level == 0.9]
    assert points[0].n == len(names)
    assert points[0].realised == pytest.approx(np.mean([e[0.9] for e in expected.values()]))
    low, high = points[0].low, points[0].high
    assert low <= points[0].realised <= high
    assert [p.n for p in sure.certainty.coverage(groups=4) if p.level == 0.9] == [2, 2, 2, 2]


def test_claims_that_were_taken_back_or_left_open_are_not_told(sure):
    first, second, third = undecided_names(sure)[:3]
    op = sure.correct(answers([first]), op="claim-undone").op
    sure.correct(answers([second], LABELS[:2]))
    sure.correct(answers([third]))
    sure.correct([{"sample": third, "label": LABELS[0], "verdict": "unsure"}])
    sure.correct(answers(drawer_names(sure)[:1]))
    assert [e.sample for e in sure.certainty.history()] == [sure.sample(first).id]
    sure.undo(op=op)
    assert sure.certainty.history() == []


@pytest.mark.parametrize(("inside", "n"), [(0, 5), (5, 5), (7, 9), (90, 100)])
def test_intervals_are_those_of_clopper_and_pearson(inside, n):
    low, high = binomial_interval(inside, n)
    theirs = binomtest(inside, n).proportion_ci(0.95, method="exact")
    assert (low, high) == pytest.approx((theirs.low, theirs.high))


def test_5000_labels_in_a_drawer_that_is_partly_decided():
    labels = tuple(Label(i, f"label {i}") for i in range(1, 5001))
    samples = tuple(Sample(i, f"s{i}", Kind.IMAGE, f"hash{i}") for i in range(1, 9))
    board = replace(
        Board.empty(2, 0).resized(samples, labels),
        drawer=Drawer(1.0),
        pooled=np.ones((8, 2), np.float32),
    )
    order = [board.samples[row].id for row in board.drawer_order()]
    verdicts = {
        (sample, label.id): Correction(1, sample, label.id, Verdict.NO, "me", 0.0, "op")
        for sample in order[:4]
        for label in labels
    }
    board = replace(board, verdicts=verdicts)
    found = drawer.decided_of(board)
    assert found.truth.shape == (4, 5000)
    assert drawer.report(board, [0.8, 0.9]).need == {0.8: 0, 0.9: 5}


def test_the_width_picker_counts_what_the_label_sets_leave_open(bench):
    bench.certainty.open_drawer(share=0.25)
    bench.correct(answers(others(bench)[:16]))  # so few that much is undecided
    bench.correct(answers(drawer_names(bench)))
    bench.learn()
    sets = bench.certainty.sets()
    found = bench.next(5, picker="width")
    widths = [sets.width[bench.board.row_of[entry.sample]] for entry in found]
    assert len(found) == 5
    assert min(widths) > 0
    for entry, width in zip(found, widths, strict=True):
        assert entry.reason.startswith(f"{width} labels undecided")


@pytest.fixture
def decided(sure):
    """Twelve more decided, four in part, four accepted in bulk, and all of it learned."""
    names = undecided_names(sure)[:20]
    sure.correct(answers(names[:12]))
    sure.correct(answers(names[12:16], LABELS[:2]))
    sure.certainty.accept(0.8, ids=[sure.sample(name).id for name in names[16:]])
    sure.learn()
    return sure


def test_filters_find_what_is_certain_and_what_of_it_is_wrong(decided):
    """A twin by loops over the decided pairs, those of the drawer and in bulk left out."""
    board, sets = decided.board, decided.certainty.sets(0.8)
    want = {word: set() for word in ("answered", "wrong", "left", "complete")}
    for row, sample in enumerate(board.samples):
        pairs = [(c, board.verdicts.get((sample.id, x.id))) for c, x in enumerate(board.labels)]
        told = [
            (sets.state[row, column], said.verdict is Verdict.YES)
            for column, said in pairs
            if said is not None and said.source == "person" and not board.in_drawer[row]
        ]
        holds = {
            "answered": any(state for state, _ in told),
            "wrong": any(state and (state > 0) != is_yes for state, is_yes in told),
            "left": any(not state for state, _ in told),
            "complete": bool(told) and all(state for state, _ in told),
        }
        for word, is_so in holds.items():
            want[word] |= {sample.id} if is_so else set()
    assert all(want[word] for word in ("answered", "left", "complete"))
    assert {word: found(decided, f"certain:0.8:{word}") for word in want} == want
    # The evaluation's own filter on the same pairs, which it counts the abstention of.
    names = {word: "mistaken" if word == "wrong" else word for word in want}
    judged = {w: found(decided, f"judged:masked:any:{names[w]}:0.8") for w in want}
    assert judged == want


def test_filters_find_widths_and_what_came_of_claims(decided):
    board, state = decided.board, decided.certainty.sets(0.8).state
    shown = [row for row in range(len(board.samples)) if not board.in_drawer[row]]
    for number in range(len(LABELS) + 1):
        ids = {board.samples[row].id for row in shown if (state[row] == 0).sum() == number}
        assert found(decided, f"width:0.8:{number}") == ids
        more = {board.samples[row].id for row in shown if (state[row] == 0).sum() >= number}
        assert found(decided, f"width:0.8:{number}+") == more
    assert 0 < len(found(decided, "width:0.8:1+")) < len(shown), "some are certain, some not"
    conditions = decided.evaluator.conditions(["width:0.8:0", "width:0.8:3+"])
    ends = {board.samples[row].id for row in shown if (state[row] == 0).sum() in (0, 3, 4)}
    assert set(decided.evaluator.matching(conditions).tolist()) == ends
    history = decided.certainty.history()
    assert history
    for word in ("kept", "broken"):
        ids = {one.sample for one in history if one.covered[0.9] is (word == "kept")}
        assert found(decided, f"claim:0.9:{word}") == ids
    for point in (p for p in decided.certainty.coverage(3) if p.level == 0.9):
        ends = f"{point.first}:{point.last}"
        kept, broken = (found(decided, f"claim:0.9:{w}:{ends}") for w in ("kept", "broken"))
        ids = {one.sample for one in history if point.first <= one.when <= point.last}
        assert kept | broken == ids
    assert found(decided, "claim:0.123:kept") == set()


def test_a_filter_finds_the_drawers_samples_that_certainty_rests_on(sure):
    """The first ones that are decided on all labels; one left open ends them."""
    board = sure.board
    inside = [board.samples[row] for row in board.drawer_order()]
    said = sure.verdicts()
    whole = [sample.id for sample in inside if len(said.get(sample.id, {})) == len(LABELS)]
    assert len(whole) == sure.certainty.sets().counted > 0
    assert found(sure, "drawer:counted") == set(whole)
    assert found(sure, "drawer:yes") == {sample.id for sample in inside}
    assert found(sure, "drawer:no") == {s.id for s in sure.samples()} - {s.id for s in inside}
    name = sure.sample(whole[3]).name
    sure.correct([{"sample": name, "label": label, "verdict": None} for label in LABELS])
    sure.learn()
    assert found(sure, "drawer:counted") == set(whole[:3])
    assert sure.certainty.sets().counted == 3


def test_what_was_accepted_stays_the_models_word_when_its_label_is_merged(sure):
    """Else a merge would make it somebody's own verdict, to be learned from and measured on."""
    violin = sure.label("violin").id
    sure.certainty.accept(0.8)
    rows = {sample: row for (sample, label), row in sure.board.verdicts.items() if label == violin}
    accepted = {sample for sample, row in rows.items() if row.is_accepted}
    assert 0 < len(accepted) < len(rows)
    sure.add_labels(["fiddle"])
    sure.merge_labels("violin", "fiddle")
    fiddle = sure.label("fiddle").id
    after = {sample: row for (sample, label), row in sure.board.verdicts.items() if label == fiddle}
    assert set(after) == set(rows)
    assert {sample for sample, row in after.items() if row.is_accepted} == accepted
    looked_at = views.looked_at(sure.board)
    assert not [sample for sample in accepted if (sample, fiddle) in looked_at]


def test_claims_outlive_labels_that_are_removed_or_merged(decided):
    """Of such a label nothing is claimed any more; the others are held to what was."""
    names = [decided.sample(one.sample).name for one in decided.certainty.history()]
    decided.correct(answers(names, ["violin"]))  # newer than the words on "apple"
    before = {one.sample: one for one in decided.certainty.history()}
    assert any(0 in one.width.values() for one in before.values())
    assert {value for one in before.values() for value in one.covered.values()} == {True, False}
    decided.remove_label("river")
    removed = {one.sample: one for one in decided.certainty.history()}
    decided.undo()
    decided.merge_labels("violin", "apple")
    merged = {one.sample: one for one in decided.certainty.history()}
    assert set(before) == set(removed) == set(merged)
    for after in (removed, merged):
        for sample, one in before.items():
            for level, was_covered in one.covered.items():
                assert after[sample].covered[level] or not was_covered
                assert after[sample].width[level] <= one.width[level]
    decided.undo()
    assert {one.sample: one for one in decided.certainty.history()} == before


@pytest.mark.parametrize(
    "text",
    [
        "certain:2:wrong",
        "certain:0.9:often",
        "claim:x:kept",
        "claim:0.9:kept:5:1",
        "width:0.9:-1",
        "width:0.9:+",
        "width:0.9:1++",
        "drawer:full",
    ],
)
def test_filters_on_what_is_certain_that_cannot_be_read(sure, text):
    with pytest.raises(BadInputError, match="cannot be read"):
        sure.evaluator.conditions([text])


def test_without_a_drawer_nothing_is_certain_and_no_sample_matches(bench):
    conditions = bench.evaluator.conditions(["certain:0.9:answered"])
    assert bench.evaluator.matching(conditions).tolist() == []
