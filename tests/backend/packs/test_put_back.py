"""Lanes that the log has in use come back from their files, and nothing is taught over at once."""

from __future__ import annotations

import shutil
import time
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

from backend import api, replay
from backend.pack_facts import lessons_of_packs
from backend.pipeline import EncoderFacts
from backend.store.lane_files import LaneFile
from backend.store.project import ProjectStore
from backend.types import Lane, LearnStep, Split, Verdict
from tests.backend.packs.conftest import MOODS, answers, columns, reopened

pytestmark = pytest.mark.slow

RECIPE = """
[methods]
aligner = "aligners/transport"
learner = "learners/lanes"
calibrator = "calibrators/platt"
picker = "pickers/doubt"
index = "indexes/exact"
projector = "projectors/umap_plane"

[settings."learners/lanes"]
"""


def compacted(bench):
    """Taught, then a sample removed for good and the files of all versions lost."""
    digest = bench.packs.teach("moods").digest
    bench.remove_samples(["t5"])
    bench.learn()
    bench.compact()
    bench.close()
    shutil.rmtree(bench.path / "cache" / "versions")
    return digest


def kinds(bench, count):
    return [step.kind for step in bench.versions()[-count:]]


def test_after_compact_and_lost_versions_lanes_come_back_from_their_files(
    bench, settings, lanes_count
):
    digest = compacted(bench)
    again = api.open_project(bench.path, settings=settings)
    assert (again.version, again.learned.lanes) == (0, ())
    again.learn()
    assert [lane.digest for lane in again.learned.lanes] == [digest]
    assert kinds(again, 2) == ["fold", "back"]
    assert again.packs.last_report().kind == "back"
    assert again.packs.due() == ["main"]
    version, logits = again.version, again.board.logits.copy()
    again.learn()
    assert again.version == version
    again.close()
    shutil.rmtree(bench.path / "cache" / "versions")
    last = api.open_project(bench.path, settings=settings)
    assert last.version == version
    np.testing.assert_array_equal(last.board.logits, logits)
    last.close()


def test_a_pack_whose_lane_has_no_file_is_due_again(bench, settings, lanes_count):
    compacted(bench)
    shutil.rmtree(bench.path / "lanes")
    again = api.open_project(bench.path, settings=settings)
    assert again.packs.due() == ["main"]
    again.learn()
    assert again.learned.lanes == ()
    assert again.packs.due() == ["main", "moods"]
    again.close()


def test_a_screen_puts_lanes_back_by_itself(bench, settings, lanes_count):
    digest = compacted(bench)
    bench.store.set("teaching_paused", True)
    screen = api.open_project(bench.path, settings=settings, learns=True)
    wait(lambda: screen.learned.lanes)
    assert [lane.digest for lane in screen.learned.lanes] == [digest]
    screen.close()


def test_a_screen_completes_an_encoder_that_another_process_chose(bench, settings, lanes_count):
    digest = compacted(bench)
    bench.store.set("teaching_paused", True)
    screen = api.open_project(bench.path, settings=settings, learns=True)
    wait(lambda: screen.learned.lanes)
    own = screen.store.encoder()
    words = EncoderFacts.of(api.load_encoder("words", settings)).as_json()
    with closing(ProjectStore.open(bench.path, settings=settings)) as beside:
        beside.change_encoder("words", words)
        screen.refresh(0, timeout=0)
        assert (screen.encoder_id, screen.learned.lanes) == ("words", ())
        wait(lambda: screen.board.encoded.all())  # nobody else has encoded these samples
        beside.remove_samples([beside.find("t6").id], who="me")
        beside.compact()  # so that the version with the lane cannot be computed again
        shutil.rmtree(bench.path / "cache" / "versions")
        beside.change_encoder(*own)
        screen.refresh(0, timeout=0)
        wait(lambda: screen.learned.lanes)
    assert [lane.digest for lane in screen.learned.lanes] == [digest]
    screen.close()


def wait(is_so):
    until = time.monotonic() + 120
    while not is_so() and time.monotonic() < until:
        time.sleep(0.05)
    assert is_so()


@pytest.mark.parametrize(
    ("changed", "lanes", "due"),
    [("rate = 0.02", 1, ["main"]), ("selectors = 4", 0, ["main", "moods"])],
)
def test_another_recipe_takes_over_the_lanes_that_fit_it(
    bench, taught, settings, tmp_path, lanes_count, changed, lanes, due
):
    digest = bench.packs.last_report().digest
    file = tmp_path / "other.toml"
    file.write_text(RECIPE + changed)
    bench.store.set("recipe", str(file))
    other = reopened(bench, settings)
    other.learn()
    assert [lane.digest for lane in other.learned.lanes] == [digest] * lanes
    assert other.packs.due() == due
    other.store.set("recipe", "default")
    back = reopened(other, settings)
    back.learn()
    assert [lane.digest for lane in back.learned.lanes] == [digest]
    back.close()


def test_an_imported_lane_comes_back_with_its_heads(bench, taught, settings, tmp_path, lanes_count):
    file = bench.packs.export("moods", tmp_path)
    bench.packs.drop("moods")
    bench.packs.take(file)
    bench.packs.move(["fear"], "dread")
    bench.packs.teach("dread")
    bench.remove_samples(["t5"])
    bench.learn()
    bench.compact()
    bench.close()
    shutil.rmtree(bench.path / "cache" / "versions")
    again = api.open_project(bench.path, settings=settings)
    again.learn()
    assert {lane.pack: lane.labels for lane in again.learned.lanes} == {
        "moods": (again.label("gladness").id,),
        "dread": (again.label("fear").id,),
    }
    column = again.learned.columns[again.label("gladness").id]
    kept = again.store.lanes.load_import(again.versions()[-2].detail["file"])
    anchor = again.learned.learner["anchor"][column]
    np.testing.assert_array_equal(anchor[2:-1], kept.heads["weights"][0])
    version, logits = again.version, again.board.logits.copy()
    again.close()
    shutil.rmtree(bench.path / "cache" / "versions")
    last = api.open_project(bench.path, settings=settings)
    assert last.version == version
    np.testing.assert_array_equal(last.board.logits, logits)
    last.close()


def test_a_pack_without_its_lane_is_left_alone_until_more_is_said(bench, taught):
    bench.packs.drop("moods")
    assert bench.packs.due() == ["main"]
    bench.correct(answers(range(32, 38), MOODS))  # 76 verdicts are no quarter more than 64
    assert bench.packs.due() == ["main"]
    bench.correct(answers(range(38, 40), MOODS))
    assert bench.packs.due() == ["main", "moods"]


def test_a_lane_that_was_brought_is_not_taught_over_at_once(bench, taught, tmp_path):
    file = bench.packs.export("moods", tmp_path)
    bench.packs.drop("moods")
    bench.store.set("taught_verdicts", {})
    assert bench.packs.due() == ["main", "moods"]
    bench.packs.take(file)
    assert bench.packs.due() == ["main"]


def test_only_verdicts_that_a_lane_learns_from_make_its_pack_due(bench):
    board = bench.board
    known = lessons_of_packs(board)["moods"]
    rows = [board.row_of[sample] for (sample, label) in board.verdicts]
    assert known.verdicts == len(MOODS) * len(set(rows))
    yes = {
        board.row_of[sample]
        for (sample, label), said in board.verdicts.items()
        if said.verdict == Verdict.YES and label in {bench.label(name).id for name in MOODS}
    }
    assert known.yes == sum(board.trainable[row] for row in yes)
    tests = tuple(replace(sample, split=Split.TEST) for sample in board.samples)
    for nothing in (
        replace(board, samples=tests),
        replace(board, pooled=np.full_like(board.pooled, np.nan)),
    ):
        assert set(lessons_of_packs(nothing).values()) == {type(known)()}


def test_a_removed_pack_that_is_brought_back_after_a_lost_cache_says_what_it_said(
    bench, taught, settings, lanes_count
):
    bench.packs.pause(True)
    digest = bench.packs.last_report().digest
    logits = bench.board.logits[:, columns(bench, "moods")].copy()
    bench.packs.remove("moods")
    bench.close()
    shutil.rmtree(bench.path / "cache" / "versions")
    screen = api.open_project(bench.path, settings=settings, learns=True)
    assert columns(screen, "moods") == []
    screen.undo()
    at = columns(screen, "moods")
    assert len(at) == len(MOODS)
    wait(lambda: np.allclose(screen.board.logits[:, at], logits, atol=1e-5))
    assert [lane.digest for lane in screen.learned.lanes] == [digest], "the lane itself is back"
    screen.close()


def step(version, kind="fold", labels=(), to=0, since=None):
    detail = {"labels": list(labels), "to": to, "digest": f"d{version}"}
    since = version - 1 if since is None else since
    return LearnStep(version, since, 0, "r", 0, 0, 0, 0.0, kind, detail)


def test_the_log_alone_says_which_lanes_are_in_use():
    def found(*steps, **options):
        return [(one.version, labels) for one, labels in replay.placed(steps, **options)]

    one, two = step(1, "lane", (1, 2, 3)), step(2, "import", (3, 4))
    assert found() == found(step(1)) == []
    assert found(one, two) == [(1, (1, 2)), (2, (3, 4))]
    assert found(one, two, step(3, "drop", (1, 2))) == [(2, (3, 4))]
    assert found(one, two, step(3, "revert", to=1)) == [(1, (1, 2, 3))]
    assert found(one, two, step(3, "revert", to=0), step(4)) == []
    assert found(one, two, step(3, since=0), step(4, "back", (1, 2))) == [(2, (3, 4)), (4, (1, 2))]
    assert found(one, two, counts=lambda each: each.kind != "import") == [(1, (1, 2, 3))]


def test_heads_are_those_of_the_labels_that_a_step_placed():
    lane = Lane("p", (), "k", {}, 1.0, "d", "m")
    file = LaneFile(lane, ("a", "b", "c"), {"offset": np.arange(3.0)})
    assert replay.heads_of(file, step(1))["offset"].tolist() == [0, 1, 2]
    some = replace(step(1), detail={"rows": [2, 0]})
    assert replay.heads_of(file, some)["offset"].tolist() == [2, 0]
