"""Packs in an open project: taught, moved, muted, dropped, compared."""

from __future__ import annotations

import shutil
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from backend import api, learning
from backend.errors import BadInputError, NotFoundError
from backend.jobs import JobState
from backend.teaching import ASKED
from tests.backend.packs.conftest import MOODS, THINGS, answers, columns, reopened


def test_teaching_a_pack_leaves_the_others_bit_by_bit(bench, lanes_count):
    before = bench.board.logits.copy()
    report = bench.packs.teach("moods")
    after = bench.board.logits
    np.testing.assert_array_equal(
        after[:, columns(bench, "main")], before[:, columns(bench, "main")]
    )
    rows = {row.pack: row for row in report.packs}
    assert rows["main"].largest_change == 0
    assert rows["main"].digest_before == rows["main"].digest_after == ""
    assert rows["moods"].digest_after == report.digest
    first = next(info for info in bench.packs.list() if info.name == "moods")
    assert first.digest == report.digest
    assert first.num_bytes > 0

    taught = bench.board.logits[:, columns(bench, "moods")].copy()
    bench.packs.teach("main")
    np.testing.assert_array_equal(bench.board.logits[:, columns(bench, "moods")], taught)


def test_versions_say_what_kind_they_are(bench):
    start = bench.version
    bench.packs.teach("moods")
    bench.packs.drop("moods")
    bench.packs.revert(start)
    assert [step.kind for step in bench.versions()[-3:]] == ["lane", "drop", "revert"]
    with pytest.raises(NotFoundError, match="no version 99"):
        bench.packs.revert(99)


def test_dropping_a_lane_gives_the_heads_back(bench, lanes_count):
    before = bench.board.logits.copy()
    bench.packs.teach("moods")
    assert np.abs(bench.board.logits - before).max() > 0.01
    bench.packs.drop("moods")
    np.testing.assert_allclose(bench.board.logits, before, atol=1e-4)
    with pytest.raises(NotFoundError, match="no lane"):
        bench.packs.drop("moods")


def test_verdicts_of_one_kind_and_contradictions_teach_without_harm(bench):
    bench.add_labels(["only yes", "only no"], pack="odd")
    bench.correct([{"sample": "t0", "label": "only no", "verdict": "no"}])
    with pytest.raises(BadInputError, match="no YES"):
        bench.packs.teach("odd")
    for sample in ("t0", "t1", "t2", "t3"):
        bench.correct([{"sample": sample, "label": "only yes", "verdict": "yes"}])
    bench.correct([{"sample": "t1", "label": "only yes", "verdict": "no"}], who="somebody else")
    bench.learn()
    bench.packs.teach("odd")
    assert np.isfinite(bench.board.logits).all()
    with pytest.raises(NotFoundError, match="'nothing'"):
        bench.packs.teach("nothing")


@pytest.mark.slow
def test_a_pack_of_500_labels_is_taught(bench, lanes_count):
    bench.add_labels([f"label {number}" for number in range(500)], pack="many")
    bench.correct(
        [
            {"sample": f"t{sample}", "label": f"label {number}", "verdict": verdict}
            for sample in range(6)
            for number, verdict in ((sample, "yes"), (sample + 1, "no"))
        ]
    )
    bench.learn()
    at = columns(bench, "many")
    before = bench.board.logits[:, at].copy()
    told = bench.packs.teach("many")
    assert (told.pack, len(at)) == ("many", 500)
    (lane,) = bench.learned.lanes
    assert lane.labels == tuple(label.id for label in bench.labels() if label.pack == "many")
    assert np.isfinite(bench.board.logits).all()
    moved = np.abs(bench.board.logits[:, at] - before).max(axis=0) > 0.01
    assert moved[:7].all(), "the labels that were answered"


def test_packs_are_renamed_split_and_joined_and_undo_takes_it_back(bench):
    bench.packs.move(["apple", "river"], "outdoors")
    assert {info.name: info.labels for info in bench.packs.list()} == {
        "outdoors": ("apple", "river"),
        "main": ("engine", "violin"),
        "moods": MOODS,
    }
    bench.packs.rename("outdoors", "main")
    assert [info.name for info in bench.packs.list()] == ["main", "moods"]
    bench.undo()
    bench.undo()
    assert bench.packs.list()[0].labels == THINGS


@pytest.mark.slow
def test_moved_labels_keep_their_lane_until_the_new_pack_is_taught(bench, lanes_count):
    bench.packs.teach("main")
    before = bench.board.logits.copy()
    bench.packs.move(["violin"], "music")
    np.testing.assert_allclose(bench.board.logits, before, atol=1e-5)
    bench.packs.teach("music")
    lanes = {lane.pack: lane.labels for lane in bench.learned.lanes}
    assert len(lanes["main"]) == 3
    assert lanes["music"] == (bench.label("violin").id,)


def test_muting_and_pausing_are_remembered(bench, settings):
    assert set(bench.packs.due()) == {"main", "moods"}
    bench.packs.mute("moods", True)
    assert bench.packs.due() == ["main"]
    bench.packs.teach("main")
    assert bench.packs.due() == []  # no new verdicts since
    bench.packs.pause(True)
    again = reopened(bench, settings)
    assert again.packs.is_paused
    assert again.packs.muted() == {"moods"}
    again.packs.mute("moods", False)
    assert again.packs.due() == []
    again.close()


def test_two_versions_differ_where_suggestions_do(bench):
    start, before = bench.version, bench.board.logits > 0
    bench.correct(
        [{"sample": f"t{i}", "label": "apple", "verdict": "yes"} for i in range(40) if i % 4]
    )
    bench.learn()
    after = bench.board.logits > 0
    told = {change.sample: change for change in bench.packs.compare(start, bench.version)}
    changed = {bench.board.samples[row].id for row in np.flatnonzero((before != after).any(axis=1))}
    assert set(told) == changed
    assert changed
    assert all("apple" in change.gained for change in told.values())


@pytest.mark.slow
def test_the_curve_has_a_point_per_version_on_the_same_verdicts(bench, taught):
    points = bench.packs.curve()
    assert [point.version for point in points] == [1, 2]
    now = {info.name: info.mAP for info in bench.packs.list()}
    assert points[-1].packs == pytest.approx(now)


def test_a_lane_counts_in_the_scores_of_its_pack(bench, lanes_count):
    before = bench.board.logits.copy()
    assert bench.packs.teach("moods").share == 1
    assert np.abs(bench.board.logits - before)[:, columns(bench, "moods")].max() > 0.01


def test_a_lane_is_an_opinion_of_its_own(bench, taught, lanes_count):
    learned, board = bench.live.learned, bench.board
    says = learning.lane_logits(bench.pipeline, board, learned)
    moods, things = columns(bench, "moods"), columns(bench, "main")
    assert np.isnan(says[:, things]).all()
    heads = bench.pipeline.learner.without_lane(learned.learner, range(len(learned.labels)))
    alone, _ = learning.score(bench.pipeline, board, replace(learned, learner=heads))
    np.testing.assert_allclose(says[:, moods], (board.logits - alone)[:, moods], atol=1e-4)
    assert says[:, moods].std() > 0.01

    bench.correct([{**row, "verdict": None} for row in answers(range(32), MOODS)])
    reasons = [each.reason for each in bench.next(40, picker="disagreement")]
    assert any(reason.endswith("by its lane") for reason in reasons)
    assert np.isnan(learning.lane_logits(bench.pipeline, board, replace(learned, lanes=()))).all()


def test_where_a_lane_looked_is_told_over_the_words(bench, taught, lanes_count):
    looks = bench.explain("t1", with_lanes=True).lanes
    np.testing.assert_allclose(looks["moods"].sum(), 1, atol=1e-5)
    assert len(looks["moods"]) == len(bench.explain("t1").forward)
    assert (looks["moods"] >= 0).all()


@pytest.mark.slow
def test_a_lane_without_evidence_has_no_say(bench, monkeypatch):
    monkeypatch.setattr(learning, "ENOUGH_HELD_BACK", 10_000)
    before = bench.board.logits.copy()
    assert bench.packs.teach("moods").share == 0
    np.testing.assert_allclose(bench.board.logits, before, atol=1e-4)
    assert bench.explain("t1", with_lanes=True).lanes == {}


def test_a_share_is_earned_by_two_standard_errors():
    shares = (1.0, 0.5, 0.0)
    plain = np.full(100, 0.5)
    noise = np.random.default_rng(0).normal(0, 0.1, 100)
    noise -= noise.mean()
    error = noise.std(ddof=1) / 10
    clear, unclear = plain + noise - 2.1 * error, plain + noise - 1.9 * error
    assert learning.earned(shares, [plain + 1, clear, plain]) == 1
    assert learning.earned(shares, [clear, plain + 1, plain]) == 0
    assert learning.earned(shares, [unclear, unclear, plain]) == 2
    assert learning.earned(shares, [plain[:1] - 1, plain[:1], plain[:1]]) == 2  # one says nothing
    assert learning.earned((0.7,), [plain]) == 0


def test_a_lost_cache_of_tokens_is_read_again(bench):
    shutil.rmtree(bench.path / "cache" / "tokens", ignore_errors=True)
    report = bench.packs.teach("moods")
    assert report.steps > 0


@pytest.mark.slow
def test_teaching_learns_what_came_before_it(bench):
    bench.correct(answers([33, 34]))
    before = bench.version
    bench.packs.teach("moods")
    assert [step.kind for step in bench.versions() if step.version > before] == ["fold", "lane"]
    assert bench.learn().version == bench.version == before + 2  # nothing was left to learn


def test_what_was_muted_stays_so_under_another_name(bench):
    bench.packs.mute("moods", True)
    bench.packs.rename("moods", "feelings")
    assert bench.packs.muted() == {"feelings"}
    bench.packs.rename("feelings", "main")  # merged into what is shown
    assert bench.packs.muted() == set()


def test_a_pack_is_removed_with_its_labels_and_one_undo_brings_it_back(bench, taught, lanes_count):
    labels, verdicts, logits = bench.labels(), bench.verdicts(), bench.board.logits.copy()
    bench.packs.remove("moods")
    assert [label.name for label in bench.labels()] == list(THINGS)
    bench.undo()
    assert (bench.labels(), bench.verdicts()) == (labels, verdicts)
    np.testing.assert_allclose(bench.board.logits, logits, atol=1e-5)


def test_what_a_lane_changed_is_still_told_after_a_restart(bench, settings):
    assert bench.packs.last_report() is None
    told = bench.packs.teach("moods")
    assert {row.pack: row.largest_change > 0 for row in told.packs}["main"] is False
    again = reopened(bench, settings)
    assert again.packs.last_report() == told
    file = again.packs.export("moods", again.path)
    taken = again.packs.take(file)
    assert (taken.kind, told.kind) == ("import", "lane")
    assert again.packs.last_report() == taken
    again.close()


def test_a_pack_that_is_removed_while_it_is_taught_gets_no_lane(bench):
    before = bench.version

    def removed(done, total, note):
        if note == "putting the lane in place":
            bench.packs.remove("moods")

    with pytest.raises(NotFoundError, match="'moods' was removed"):
        bench.packs.teach("moods", progress=removed)
    assert (bench.version, bench.learned.lanes) == (before, ())


def test_pausing_ends_what_trains_by_itself_and_nothing_else(bench):
    before = bench.version
    bench.packs.pause(True)
    job = bench.packs.teach_soon("moods", by_itself=True)
    assert bench.jobs.wait(job, 300).state == JobState.CANCELLED
    assert bench.version == before
    asked = bench.packs.teach_soon("moods")
    assert bench.jobs.wait(asked, 300).state == JobState.DONE
    assert bench.version == before + 1


@pytest.mark.slow
def test_a_training_that_was_asked_for_goes_on_after_a_restart(bench, settings):
    bench.packs.pause(True)
    started = threading.Event()
    bench.jobs.submit("wait", "In the way", lambda ticket: hold(ticket, started))
    bench.packs.teach_soon("moods")
    started.wait(10)
    bench.close()  # the training waited in the queue, as if the process had been killed
    again = api.open_project(bench.path, settings=settings, learns=True)
    (job,) = [one for one in again.jobs.list() if one.kind == "teach" and one.state.is_open]
    assert again.jobs.wait(job.id, 300).state == JobState.DONE
    assert [lane.pack for lane in again.learned.lanes] == ["moods"]
    again.close()
    last = api.open_project(bench.path, settings=settings, learns=True)
    assert not [one for one in last.jobs.list() if one.state.is_open and one.kind == "teach"]
    last.close()


@pytest.mark.parametrize(("starts", "is_started"), [(1, True), (2, False)])
def test_a_training_that_was_cut_off_twice_is_left_alone(bench, settings, starts, is_started):
    bench.packs.pause(True)
    bench.jobs.submit("wait", "In the way", lambda ticket: hold(ticket, threading.Event()))
    job = bench.packs.teach_soon("moods")
    bench.store.set(
        ASKED, {"moods": {"job": job, "starts": starts}, "gone": {"job": job, "starts": 0}}
    )
    bench.close()
    again = api.open_project(bench.path, settings=settings, learns=True)
    found = [one for one in again.jobs.list() if one.kind == "teach" and one.state.is_open]
    assert [one.title for one in found] == ["Teaching moods"] * is_started
    again.close()


def test_a_training_that_was_cancelled_does_not_come_back(bench, settings):
    bench.packs.pause(True)
    bench.jobs.submit("wait", "In the way", lambda ticket: hold(ticket, threading.Event()))
    assert bench.jobs.cancel(bench.packs.teach_soon("moods"))
    bench.close()
    again = api.open_project(bench.path, settings=settings, learns=True)
    assert not [one for one in again.jobs.list() if one.kind == "teach" and one.state.is_open]
    again.close()


def hold(ticket, started):
    """Work that lasts until it is told to stop."""
    started.set()
    while True:
        ticket.progress(0, 1)
        time.sleep(0.01)
