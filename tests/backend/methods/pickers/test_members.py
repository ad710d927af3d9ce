"""What each picker takes first, and what it says of it."""

from __future__ import annotations

import numpy as np
import pytest

from backend import catalogue
from backend.methods.pickers._openings import answers_of
from backend.methods.pickers.part_centres import PartCentresPicker, _spread
from backend.methods.pickers.stages import StagesPicker
from backend.types import PickFacts

NAMES = ["cat", "dog", "boat"]


def unit(array):
    return (array / np.linalg.norm(array, axis=-1, keepdims=True)).astype(np.float32)


def clouds(count=40, seed=0):
    """Two kinds of samples, half each."""
    rng = np.random.default_rng(seed)
    centres = np.repeat(np.eye(2, 8), count // 2, axis=0)
    return unit(centres + 0.1 * rng.normal(size=(count, 8)))


def nothing(count=40):
    return np.zeros((count, 3), bool)


def sure(count=40):
    return np.full((count, 3), 0.02, np.float32)


def pick(key, scores, pooled, decided, k=1, seed=0, **facts):
    method = catalogue.load(f"pickers/{key}")()
    return method.pick(
        scores, pooled, decided, k=k, seed=seed, label_names=NAMES, facts=PickFacts(**facts)
    )


def test_margin_looks_at_one_label_and_entropy_at_all_of_them():
    scores = sure()
    scores[3] = [0.52, 0.0, 0.0]
    scores[9] = [0.3, 0.3, 0.3]
    assert pick("margin", scores, clouds(), nothing())[0][0::2] == (3, "nearest to 50%: cat: 52%")
    row, bits, reason = pick("entropy", scores, clouds(), nothing())[0]
    assert row == 9
    assert bits == pytest.approx(3 * 0.8813, abs=1e-3)  # -.3 log2 .3 - .7 log2 .7
    assert reason == "2.6 bits of doubt, most in cat: 30%, dog: 30%"


def test_width_counts_what_the_label_sets_leave_open_and_what_neighbours_share():
    pooled, undecided = clouds(), np.zeros((40, 3), bool)
    undecided[5] = True
    undecided[25, :2] = undecided[26, :2] = undecided[27, :2] = True
    row, saved, reason = pick("width", sure(), pooled, nothing(), undecided=undecided)[0]
    # By definition: its own and, of the 20 nearest, exp(5 (cosine - 1)) of each label shared.
    near = {i: float(pooled[25] @ pooled[i]) for i in (26, 27)}
    alone = 2 + sum(2 * np.exp(5 * (cosine - 1)) for cosine in near.values())
    by_row = {
        i: 2
        + sum(2 * np.exp(5 * (float(pooled[i] @ pooled[j]) - 1)) for j in (25, 26, 27) if j != i)
        for i in (25, 26, 27)
    }
    assert row == max(by_row, key=by_row.get)
    assert by_row[25] == pytest.approx(alone)
    assert saved == pytest.approx(by_row[row], rel=1e-4)
    assert reason == f"2 labels undecided, about {saved:.0f} fewer decisions"


def test_width_does_without_label_sets():
    scores = sure()
    scores[8] = [0.11, 0.89, 0.09]  # undecided from 10 to 90 %
    assert pick("width", scores, clouds(), nothing())[0][2].startswith("2 labels undecided")


def test_centres_takes_the_farthest_each_time_as_brute_force_does():
    rng = np.random.default_rng(1)
    pooled, decided = unit(rng.normal(size=(40, 8))), nothing()
    decided[:3] = True
    rows = [row for row, _, _ in pick("centres", sure(), pooled, decided, k=10)]
    known = [0, 1, 2]
    assert len(rows) == 10
    for row in rows:
        distance = {i: min(1 - float(pooled[i] @ pooled[j]) for j in known) for i in range(3, 40)}
        assert distance[row] == pytest.approx(max(distance.values()), abs=1e-5)
        known.append(row)


def test_centres_begins_with_what_is_most_like_all_others():
    pooled = clouds()
    pooled[25] = unit(pooled.mean(axis=0))
    typical = pooled @ pooled.mean(axis=0)
    assert pick("centres", sure(), pooled, nothing())[0][0] == int(typical.argmax()) == 25


@pytest.mark.parametrize("candidates", [256, 12])
def test_part_centres_takes_the_newest_parts_each_time_as_brute_force_does(candidates):
    rng = np.random.default_rng(4)
    words, pooled = unit(rng.normal(size=(40, 5, 8))), unit(rng.normal(size=(40, 8)))
    decided = nothing()
    decided[:4] = True
    picker = PartCentresPicker(PartCentresPicker.Settings(num_candidates=candidates))
    facts = PickFacts(parts=lambda rows: [words[row] for row in rows])
    found = picker.pick(sure(), pooled, decided, k=8, label_names=NAMES, facts=facts)
    by_wholes = (pooled[4:] @ pooled[:4].T).max(axis=1)
    left = sorted(range(4, 40), key=lambda row: by_wholes[row - 4])[:candidates]
    known = list(words[:4].reshape(-1, 8))
    assert len(found) == 8
    for row, value, _ in found:
        new = {i: float(np.mean(1 - (words[i] @ np.array(known).T).max(axis=1))) for i in left}
        assert value == pytest.approx(max(new.values()), abs=1e-5)
        assert new[row] == pytest.approx(value, abs=1e-5)
        left.remove(row)
        known += list(words[row])


def test_few_parts_of_many_are_those_farthest_from_one_another():
    rng = np.random.default_rng(6)
    parts = unit(rng.normal(size=(30, 6)))
    kept = _spread(parts, 7)
    rows = [int(np.flatnonzero((parts == one).all(axis=1))[0]) for one in kept]
    assert rows[0] == int((parts @ parts.mean(axis=0)).argmax())
    for at in range(1, 7):
        near = (parts @ parts[rows[:at]].T).max(axis=1)
        assert near[rows[at]] == pytest.approx(near.min(), abs=1e-6)
    np.testing.assert_array_equal(_spread(parts, 30), parts)


def test_a_new_part_in_a_common_scene_is_found_by_parts_only():
    rng = np.random.default_rng(2)
    words = unit(np.eye(8)[rng.integers(0, 3, size=(40, 6))] + 0.05 * rng.normal(size=(40, 6, 8)))
    words[17, 2] = words[17, 3] = np.eye(8)[7]  # the rest of the sample is like all others
    pooled = np.tile(unit(np.ones(8)), (40, 1))  # wholes tell nothing
    decided = nothing()
    decided[:10] = True
    row, _, reason = pick(
        "part_centres", sure(), pooled, decided, parts=lambda rows: [words[r] for r in rows]
    )[0]
    assert (row, reason) == (17, "33% of its parts are unlike any part seen so far")


def test_gradients_draws_by_the_distance_between_outer_products():
    rng = np.random.default_rng(5)
    scores, pooled = rng.random((12, 3)).astype(np.float32), rng.normal(size=(12, 4))
    pooled = pooled.astype(np.float32)  # of any length
    decided = rng.random((12, 3)) < 0.2
    decided[:, 0] = False
    chances = np.where(decided, 0, scores)
    moves = np.where(chances > 0.5, chances - 1, chances)
    embedding = (moves[:, :, None] * pooled[:, None, :]).reshape(12, -1)  # made in full here
    draws = np.random.default_rng(3)
    expected = [int((embedding**2).sum(axis=1).argmax())]
    while len(expected) < 6:
        apart = ((embedding[:, None] - embedding[expected][None]) ** 2).sum(axis=2).min(axis=1)
        apart[expected] = 0
        expected.append(int(draws.choice(12, p=apart / apart.sum())))
    assert [row for row, _, _ in pick("gradients", scores, pooled, decided, 6, 3)] == expected


def test_disagreement_says_who_says_what():
    scores, said = sure(), np.full((40, 3), np.nan, np.float32)
    transport, neighbours = sure(), sure()
    transport[4, 1], neighbours[6, 2] = 0.7, 0.9
    opinions = {"the parts": transport, "its neighbours": neighbours}
    found = pick("disagreement", scores, clouds(), nothing(), 2, opinions=opinions)
    assert [(row, reason) for row, _, reason in found] == [
        (6, "boat: 2%, but 90% by its neighbours"),
        (4, "dog: 2%, but 70% by the parts"),
    ]
    decided = nothing()
    decided[11, 0] = decided[6, 2] = True  # a decided pair is no question any more
    said[11, 0] = 1
    first, second = pick(
        "disagreement", scores, clouds(), decided, 2, opinions=opinions, verdicts=said
    )
    assert (first[0], first[2]) == (11, "cat: a person said YES, the model 2%")
    assert second[0] == 4
    assert "nothing to compare" in pick("disagreement", scores, clouds(), nothing())[0][2]


def test_disagreement_counts_the_widest_gap_and_not_how_many_differ():
    one, other = sure(), sure()
    one[4], other[4] = 0.5, 0.5
    one[6, 0] = 0.9
    found = pick("disagreement", sure(), clouds(), nothing(), 2, opinions={"a": one, "b": other})
    assert [(row, round(gap, 2)) for row, gap, _ in found] == [(6, 0.88), (4, 0.48)]


def test_rarity_finds_the_label_without_yes_and_then_another():
    scores = np.full((40, 3), 0.01, np.float32)
    scores[5:9, 0] = 0.9  # much believed in, and often confirmed already
    scores[20:23, 1] = 0.06
    scores[30, 2] = 0.05
    decided, said = nothing(), np.full((40, 3), np.nan, np.float32)
    decided[10:18, 0], said[10:18, 0] = True, 1
    picks = pick("rarity", scores, clouds(), decided, 4, verdicts=said)
    assert {row for row, _, _ in picks} == {20, 21, 22, 30}
    assert "perhaps dog (6%), which has 0 YES" in {reason for _, _, reason in picks}


def test_rarity_counts_what_it_took_as_if_it_were_what_is_believed():
    rng = np.random.default_rng(8)
    scores = rng.random((40, 3)).astype(np.float32)
    known, likely, left = np.zeros(3), scores / scores.max(axis=0), list(range(40))
    said = np.full((40, 3), np.nan, np.float32)
    picks = pick("rarity", scores, clouds(), nothing(), 8, verdicts=said)
    assert len(picks) == 8
    for row, value, _ in picks:
        worth = {i: float(likely[i] @ (1 / (1 + known))) for i in left}
        assert value == pytest.approx(max(worth.values()), abs=1e-5)
        assert worth[row] == pytest.approx(value, abs=1e-5)
        left.remove(row)
        known = known + scores[row]


def test_answers_are_yes_and_others():
    decided, said = nothing(4), np.full((4, 3), np.nan, np.float32)
    decided[:3, 0] = decided[0, 1] = True
    said[0, 0], said[1, 0], said[0, 1] = 1, 0, 1
    yes, other = answers_of(decided, PickFacts(verdicts=said))
    assert (yes.tolist(), other.tolist()) == ([1, 1, 0], [2, 0, 0])
    yes, other = answers_of(decided, PickFacts())
    assert (yes.tolist(), other.tolist()) == ([0, 0, 0], [3, 1, 0])


def test_typicality_shows_each_kind_once_and_odd_ones_last():
    pooled = clouds()
    pooled[39] = np.eye(8)[7]
    rows = [row for row, _, _ in pick("typicality", sure(), pooled, nothing(), 40)]
    assert (rows[0] < 20) != (rows[1] < 20)
    assert 39 not in rows[:2]


def test_stages_begins_typical_and_goes_over_to_questions():
    pooled, scores = clouds(), sure()
    scores[7, 1] = 0.45
    start = pick("stages", scores, pooled, nothing(), 2)
    assert all(reason.startswith("typical, stands for") for _, _, reason in start)
    decided, said = nothing(), np.full((40, 3), np.nan, np.float32)
    decided[[0, 1, 20, 21]] = True
    said[[0, 1, 20, 21]] = 0
    scores[12, 0] = scores[33, 2] = 0.1  # small doubts, but the greatest of their labels
    one_each = StagesPicker(StagesPicker.Settings(most=1))
    facts = PickFacts(verdicts=said)
    apart = unit(np.random.default_rng(4).normal(size=(40, 64)))  # no twins
    found = one_each.pick(scores, apart, decided, k=3, label_names=NAMES, facts=facts)
    assert {row for row, _, _ in found} == {7, 12, 33}
    assert "asks: dog 45%?" in {reason for _, _, reason in found}
