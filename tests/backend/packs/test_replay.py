"""From the log to the same model: files gone, versions gone, what was compacted, two at once."""

from __future__ import annotations

import shutil
import time
from dataclasses import replace

import numpy as np
import pytest

from backend import api, replay
from backend.errors import BusyError, NotFoundError
from tests.backend.packs.conftest import MOODS, answers, columns, reopened


@pytest.mark.parametrize("gone", [("cache/versions",), ("cache/versions", "lanes")])
def test_replaying_the_log_gives_the_same_model(bench, taught, settings, gone, lanes_count):
    bench.packs.teach("main")  # starts from the other lane
    bench.correct(answers([33], MOODS))
    bench.learn()
    version, logits = bench.version, bench.board.logits.copy()
    digests = [lane.digest for lane in bench.learned.lanes]
    bench.close()
    for folder in gone:
        shutil.rmtree(bench.path / folder)
    again = api.open_project(bench.path, settings=settings)
    assert again.version == version
    assert [lane.digest for lane in again.learned.lanes] == digests
    np.testing.assert_array_equal(again.board.logits, logits)
    again.close()


@pytest.mark.slow
def test_a_lane_taught_with_trust_is_taught_with_it_again(bench, settings, lanes_count):
    def judges(who, numbers, wrong):
        rows = answers(numbers)
        for row in rows[::wrong]:
            row["verdict"] = "no" if row["verdict"] == "yes" else "yes"
        bench.correct(rows, who=who)

    judges("ann", range(32), 40)
    judges("ben", range(32), 4)
    bench.learn()
    trust = bench.learned.trust
    assert trust is not None
    assert trust.rates("ben")[1] > trust.rates("ann")[1]
    digest = bench.packs.teach("moods").digest
    assert bench.versions()[-1].detail[replay.TAUGHT_TRUST] == trust.as_json()
    # a later estimate: the lane keeps its own
    judges("eve", range(40), 2)
    bench.learn()
    assert bench.learned.trust != trust
    logits = bench.board.logits.copy()
    bench.close()
    for folder in ("cache/versions", "lanes"):
        shutil.rmtree(bench.path / folder)
    again = api.open_project(bench.path, settings=settings)
    assert [lane.digest for lane in again.learned.lanes] == [digest]
    np.testing.assert_array_equal(again.board.logits, logits)
    again.close()


def test_verdicts_given_before_a_sample_was_read_are_learned_then(bench, settings, tmp_path):
    file = tmp_path / "more.jsonl"
    file.write_text('{"sample": "late", "text": "an apple pie with cider"}')
    bench.add(file, encode=False)
    bench.correct([{"sample": "late", "label": "river", "verdict": "yes"}])
    bench.correct([{"sample": "t33", "label": "river", "verdict": "no"}])
    bench.learn()
    early, at = bench.version, bench.board.column_of[bench.label("river").id]
    assert bench.learned.unread == {bench.sample("late").id}
    before = bench.board.logits[:, at].copy()
    bench.encode()
    bench.learn()
    assert bench.version == early + 1
    assert bench.learned.unread == frozenset()
    moved = bench.board.logits[:-1, at] - before[:-1]
    assert np.abs(moved).max() > 1e-3
    logits = bench.board.logits.copy()
    bench.close()
    shutil.rmtree(bench.path / "cache" / "versions")
    again = api.open_project(bench.path, settings=settings)
    # One row more in a product may change its last bits.
    np.testing.assert_allclose(again.board.logits, logits, atol=1e-5)
    again.packs.revert(early)
    np.testing.assert_allclose(again.board.logits[:-1, at], before[:-1], atol=1e-5)
    again.close()


def test_nothing_is_repeated_on_samples_that_have_to_be_read_first(
    bench, taught, settings, lanes_count
):
    version, logits = bench.version, bench.board.logits.copy()
    bench.close()
    shutil.rmtree(bench.path / "cache")
    again = api.open_project(bench.path, settings=settings)
    for step in (lambda: again.packs.drop("moods"), lambda: again.packs.revert(1)):
        with pytest.raises(BusyError, match="read again first"):
            step()
    again.encode()
    assert again.version == version
    np.testing.assert_allclose(again.board.logits, logits, atol=1e-5)
    again.close()


def test_with_the_whole_cache_gone_the_model_comes_back(bench, taught, settings, lanes_count):
    bench.correct(answers([33], MOODS))
    bench.learn()
    version, logits = bench.version, bench.board.logits.copy()
    bench.close()
    shutil.rmtree(bench.path / "cache")
    again = api.open_project(bench.path, settings=settings)
    assert again.version == 0  # what it learned from has to be read first
    again.encode()
    assert again.version == version
    assert np.isfinite(again.board.lane_cls[again.learned.lanes[0].digest]).all()
    np.testing.assert_allclose(again.board.logits, logits, atol=1e-5)
    again.close()


def test_what_a_lane_read_comes_back_without_the_readings(bench, taught, settings, lanes_count):
    digest = bench.packs.last_report().digest
    cls = bench.board.lane_cls[digest].copy()
    bench.close()
    for file in ("tokens", "vectors.sqlite3"):
        path = bench.path / "cache" / file
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    again = api.open_project(bench.path, settings=settings)
    again.encode()
    np.testing.assert_allclose(again.board.lane_cls[digest], cls, atol=1e-4)
    again.close()


def test_reverting_brings_the_earlier_suggestions_back_and_work_goes_on(bench, settings):
    start, before = bench.version, bench.board.logits.copy()
    bench.packs.teach("moods")
    bench.correct(answers([34]))
    bench.learn()
    newest, after = bench.version, bench.board.logits.copy()
    assert not np.array_equal(after, before)
    number = bench.packs.revert(start)
    np.testing.assert_array_equal(bench.board.logits, before)
    assert bench.version == number == newest + 1
    assert bench.learn().version == number  # nothing is new: the revert stands
    again = reopened(bench, settings)
    np.testing.assert_array_equal(again.board.logits, before)
    again.packs.revert(newest)
    np.testing.assert_array_equal(again.board.logits, after)
    again.correct(answers([35]))
    assert again.learn().version == number + 2
    again.close()


def test_a_compacted_project_opens_and_learns_what_is_left(bench, taught, settings):
    old = bench.version
    bench.remove_samples(["t5"])
    bench.learn()
    bench.compact()
    shown = bench.board.logits.copy()
    again = reopened(bench, settings)
    np.testing.assert_array_equal(again.board.logits, shown)  # from its file
    again.close()
    shutil.rmtree(bench.path / "cache" / "versions")
    again = api.open_project(bench.path, settings=settings)
    with pytest.raises(NotFoundError, match="compact"):
        again.packs.revert(old)
    again.learn()
    assert again.version > old
    rows = [row for row, sample in enumerate(again.board.samples) if sample.name in ("t0", "t1")]
    signs = {
        name: again.board.logits[rows[0], again.board.column_of[again.label(name).id]] > 0
        for name in ("apple", "river")
    }
    assert signs == {"apple": True, "river": False}
    again.close()


@pytest.mark.slow
def test_two_processes_build_on_each_others_versions(bench, settings, lanes_count):
    second = api.open_project(bench.path, settings=settings)
    digest = bench.packs.teach("moods").digest
    second.correct(answers([33]))
    second.learn()
    assert [lane.digest for lane in second.learned.lanes] == [digest]
    number = bench.packs.drop("moods")
    assert number == second.version + 1
    steps = bench.versions()
    assert [step.from_version for step in steps[1:]] == [step.version for step in steps[:-1]]
    second.correct(answers([34]))
    second.learn()
    assert second.learned.lanes == ()
    logits = second.board.logits.copy()
    second.close()
    bench.close()
    shutil.rmtree(bench.path / "cache" / "versions")
    again = api.open_project(bench.path, settings=settings)
    np.testing.assert_array_equal(again.board.logits, logits)
    again.close()


@pytest.mark.slow
def test_a_screen_takes_the_version_over_that_another_process_made(bench, settings):
    screen = api.open_project(bench.path, settings=settings, learns=True)
    version = bench.packs.teach("moods").version
    until = time.monotonic() + 60
    while screen.version < version and time.monotonic() < until:
        screen.refresh(screen.version, timeout=0.1)
    assert screen.version == version
    at = columns(bench, "moods")
    np.testing.assert_allclose(screen.board.logits[:, at], bench.board.logits[:, at], atol=1e-5)
    screen.close()


def test_a_version_of_another_recipe_overtakes_nobody(bench):
    known, store = bench.learned, bench.store
    newest = store.versions.latest()
    assert newest is not None
    assert not replay.is_overtaken(store, bench.pipeline, known)
    other = replace(newest, version=newest.version + 1, recipe="another recipe")
    store.versions.save(other, {}, {})
    assert not replay.is_overtaken(store, bench.pipeline, known)
    store.versions.save(replace(other, version=other.version + 1, recipe=newest.recipe), {}, {})
    assert replay.is_overtaken(store, bench.pipeline, known)
