"""The calibration drawer: drawn, never trained on or picked, logged, complete or nothing."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest

from backend import api
from backend.board import drawer_place
from backend.drawer import decided_of, share_for
from backend.errors import BadInputError
from backend.types import Drawer
from tests.backend.certainty.conftest import (
    COUNT,
    LABELS,
    TRUTH,
    answers,
    decide,
    drawer_names,
    others,
)


def test_there_is_none_until_it_is_opened(bench):
    report = bench.certainty.drawer()
    assert (report.share, report.members, report.counted) == (0, 0, 0)
    assert bench.certainty.ask() == []
    assert "no calibration drawer" in bench.certainty.sets().why
    assert not bench.certainty.sets().state.any()


def test_members_follow_from_content_and_a_larger_drawer_holds_a_smaller_one(bench):
    bench.certainty.open_drawer(share=0.2)
    small = set(drawer_names(bench))
    expected = {s.name for s in bench.samples() if drawer_place(s.content_hash, 0) < 0.2}
    assert small == expected
    assert 0.1 * COUNT < len(small) < 0.3 * COUNT
    bench.certainty.open_drawer(share=0.4)
    assert small < set(drawer_names(bench))
    assert Drawer(0.4).holds(Drawer(0.2))
    assert not Drawer(0.2).holds(Drawer(0.4))
    assert not Drawer(0.4, seed=1).holds(Drawer(0.2))


def test_membership_is_independent_of_who_is_held_back():
    places = np.array([drawer_place(f"hash{i}", 3) for i in range(4000)])
    from backend.board import is_held_back

    held = np.array([is_held_back(f"hash{i}", 3) for i in range(4000)])
    assert abs((places[held] < 0.25).mean() - 0.25) < 0.04
    assert abs((places < 0.25).mean() - 0.25) < 0.03


def test_it_is_one_action_that_undo_takes_back_and_redo_brings_again(bench):
    receipt = bench.certainty.open_drawer(samples=40, op="open-drawer-1")
    before = drawer_names(bench)
    assert len(before) == pytest.approx(40, abs=14)
    assert bench.certainty.open_drawer(samples=40, op="open-drawer-1").op == receipt.op
    bench.undo()
    assert drawer_names(bench) == []
    bench.undo(op=receipt.op)  # naming what is undone changes nothing
    assert drawer_names(bench) == []
    bench.certainty.open_drawer(share=0.1)
    bench.certainty.close_drawer()
    assert drawer_names(bench) == []
    bench.undo()
    assert len(drawer_names(bench)) > 0


def test_a_size_that_is_none_is_refused(bench):
    for wrong in ({}, {"share": 0.1, "samples": 3}, {"share": 0.0}, {"share": 1.5}):
        with pytest.raises(BadInputError, match="drawer"):
            bench.certainty.open_drawer(**wrong)
    with pytest.raises(BadInputError, match="161 samples; there are 160"):
        bench.certainty.open_drawer(samples=161)


def test_nothing_is_learned_from_it_and_no_picker_offers_it(bench):
    bench.certainty.open_drawer(share=0.25)
    board = bench.board
    assert not (board.in_drawer & (board.trainable | board.held_back)).any()
    bench.correct(answers(others(bench)[:40]))
    bench.learn()
    logits, chances = bench.board.logits.copy(), bench.board.probabilities.copy()
    bench.correct(answers(drawer_names(bench)))
    bench.learn()
    np.testing.assert_array_equal(bench.board.logits, logits)
    np.testing.assert_array_equal(bench.board.probabilities, chances)
    fresh = [entry.name for entry in bench.next(k=COUNT)]
    assert fresh
    assert not set(fresh) & set(drawer_names(bench))
    offered = [entry.name for entry in bench.next(k=COUNT, picker="random")]
    assert not set(offered) & set(drawer_names(bench))


def test_what_was_learned_before_it_was_opened_is_forgotten(new_bench):
    late, early = new_bench(), new_bench()
    early.certainty.open_drawer(share=0.25)
    for bench in (late, early):
        bench.correct(answers(list(TRUTH)[:120]))
        bench.learn()
    assert not np.allclose(late.board.logits, early.board.logits, atol=1e-3)
    late.certainty.open_drawer(share=0.25)
    assert "yet to forget" in late.certainty.sets().why
    late.learn()
    assert late.certainty.sets(0.5).why == ""
    np.testing.assert_allclose(late.board.logits, early.board.logits, atol=1e-3)
    np.testing.assert_allclose(
        late.board.probabilities, early.board.probabilities, atol=1e-3, equal_nan=True
    )


def test_replay_gives_the_model_back_over_openings_and_closings(bench, settings):
    bench.correct(answers(list(TRUTH)[:60]))
    bench.learn()
    bench.certainty.open_drawer(share=0.3)
    bench.learn()
    bench.correct(answers(list(TRUTH)[60:90]))
    bench.learn()
    bench.certainty.close_drawer()
    bench.learn()
    bench.certainty.open_drawer(share=0.1)
    bench.correct(answers(list(TRUTH)[90:95]))
    bench.learn()
    logits, version = bench.board.logits.copy(), bench.version
    bench.close()
    shutil.rmtree(bench.path / "cache" / "versions")
    again = api.open_project(bench.path, settings=settings)
    try:
        assert again.version == version
        np.testing.assert_array_equal(again.board.logits, logits)
        assert again.learned.drawer == Drawer(0.1)
    finally:
        again.close()


def test_it_asks_in_its_own_order_and_partial_decisions_do_not_count(bench):
    bench.certainty.open_drawer(share=0.25)
    names = drawer_names(bench)
    assert [entry.name for entry in bench.certainty.ask(5)] == names[:5]
    assert {entry.picker for entry in bench.certainty.ask(5)} == {"drawer"}
    bench.correct(answers(names[:1], LABELS[:3]))
    report = bench.certainty.drawer()
    assert (report.decided, report.counted) == (0, 1)
    assert report.uncovered == LABELS[3:]  # three labels of one sample are decided
    assert "1 open" in bench.certainty.ask(1)[0].reason
    decide(bench, names[:4])
    bench.correct(answers(names[4:5], LABELS[:2]))
    report = bench.certainty.drawer()
    assert (report.decided, report.counted, report.labels) == (4, 4, LABELS)
    assert report.need == {0.8: 0, 0.85: 2, 0.9: 5, 0.95: 15, 0.99: 95}
    assert bench.certainty.sets(0.8).why == ""
    assert bench.certainty.sets(0.9).why == (
        "90% needs 5 more decided samples of the calibration drawer"
    )


def test_a_drawer_that_holds_too_few_says_so_and_a_level_makes_it_large_enough(bench):
    certainty = bench.certainty
    certainty.open_drawer(share=1e-9)
    assert certainty.ask() == []
    assert certainty.sets(0.9).why == (
        "90% needs 9 decided samples, and the calibration drawer holds none; open a larger one"
    )
    certainty.open_drawer(samples=4)
    held = len(drawer_names(bench))
    assert 0 < held < 9
    decide(bench, drawer_names(bench))
    assert f"the calibration drawer holds {held}; open a larger one" in certainty.sets(0.9).why
    assert certainty.is_short(0.9)
    with pytest.raises(BadInputError, match=f"the calibration drawer holds {held}"):
        certainty.accept(0.9)
    certainty.open_drawer(level=0.9)
    assert not certainty.is_short(0.9)
    assert certainty.drawer().share == pytest.approx(2 * 9 / COUNT)
    more = 9 - certainty.drawer().counted
    assert f"90% needs {more} more decided sample" in certainty.sets(0.9).why
    decide(bench, drawer_names(bench))
    bench.learn()
    assert certainty.sets(0.9).why == ""
    certainty.open_drawer(level=0.95)
    assert certainty.drawer().share == pytest.approx(2 * 19 / COUNT)
    certainty.open_drawer(level=0.8)
    assert certainty.drawer().share == 0.1, "a tenth where that is enough"
    with pytest.raises(BadInputError, match=f"99% needs 99 .* half of the {COUNT} training"):
        certainty.open_drawer(level=0.99)
    with pytest.raises(BadInputError, match="a level it is for"):
        certainty.open_drawer(level=0.9, share=0.1)


def test_a_drawer_that_drew_too_few_by_chance_is_opened_wider(bench):
    """Where twice the need was drawn badly, the next one is larger, up to half of the samples."""

    def unlucky(board):
        rows = replace(board.rows)
        rows.__dict__["in_drawer"] = np.zeros(len(board.samples), bool)
        return replace(board, rows=rows)

    bench.certainty.open_drawer(level=0.9)
    assert share_for(unlucky(bench.board), 0.9) == pytest.approx(4 * 9 / COUNT)
    bench.certainty.open_drawer(share=0.5)
    with pytest.raises(BadInputError, match="add samples, or ask for a lower level"):
        share_for(unlucky(bench.board), 0.9)


def test_whoever_skips_a_sample_waits_for_it(bench):
    bench.certainty.open_drawer(share=0.25)
    names = drawer_names(bench)
    decide(bench, [*names[:5], *names[6:20]])
    report = bench.certainty.drawer()
    assert (report.decided, report.counted) == (19, 5)
    assert bench.certainty.ask(1)[0].name == names[5]
    decide(bench, names[5:6])
    assert bench.certainty.drawer().counted == 20


def test_unsure_is_a_decision_and_counts_as_the_dearer_answer(bench):
    bench.certainty.open_drawer(share=0.25)
    names = drawer_names(bench)
    decide(bench, names[:10])
    before = bench.certainty._fit().states["joint"]["distances"]
    bench.correct([{"sample": names[3], "label": LABELS[0], "verdict": "unsure"}])
    assert bench.certainty.drawer().counted == 10
    after = bench.certainty._fit().states["joint"]["distances"]
    assert (after >= before).all()
    assert (bench.certainty._fit().decided.truth == -1).sum() == 1


def test_a_new_label_is_not_covered_by_old_decisions_and_takes_nothing_from_the_others(sure):
    before = sure.certainty.sets()
    sure.add_labels(["castle"])
    after = sure.certainty.sets()
    assert after.covered.tolist() == [True] * 4 + [False]
    assert sure.certainty.drawer().uncovered == ("castle",)
    assert sure.certainty.drawer().decided == 0
    assert not after.state[:, 4].any()
    np.testing.assert_array_equal(after.state[:, :4], before.state)
    decide(sure, drawer_names(sure)[:3], ["castle"])
    assert sure.certainty.drawer().uncovered == ("castle",)
    sure.correct([{"sample": n, "complete": True} for n in drawer_names(sure)])
    assert sure.certainty.drawer().uncovered == ()


def test_a_renamed_label_keeps_its_decisions_and_a_merged_one_those_of_both(sure):
    counted = sure.certainty.drawer().counted
    sure.rename_label("apple", "fruit")
    assert sure.certainty.drawer().labels == ("fruit", *LABELS[1:])
    assert sure.certainty.drawer().counted == counted
    sure.merge_labels("violin", "fruit")
    report = sure.certainty.drawer()
    assert (report.counted, report.labels) == (counted, ("fruit", "river", "engine"))
    assert sure.certainty.sets().covered.tolist() == [True] * 3
    sure.remove_label("river")
    assert sure.certainty.drawer().labels == ("fruit", "engine")


@pytest.mark.parametrize(
    ("decided", "counted", "columns"),
    [
        (["1111", "1111", "1111"], 3, 4),
        (["1111", "0000", "1111"], 1, 4),
        (["1111", "1110", "1110"], 3, 3),
        (["1000", "1000", "1000", "1000"], 4, 1),
        (["1111", "1000", "1000", "1000"], 1, 4),  # of equals the more labels
        (["0000"], 0, 0),
    ],
)
def test_the_largest_rectangle_of_decided_cells_calibrates(bench, decided, counted, columns):
    bench.certainty.open_drawer(share=0.25)
    names = drawer_names(bench)
    rows = [
        answers([name], [LABELS[at]])[0]
        for name, cells in zip(names, decided, strict=False)
        for at, cell in enumerate(cells)
        if cell == "1"
    ]
    if rows:
        bench.correct(rows)
    found = decided_of(bench.board)
    assert (len(found.rows), len(found.columns)) == (counted, columns)
    assert found.truth.shape == (counted, columns)
