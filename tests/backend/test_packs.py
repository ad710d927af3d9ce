"""Packs and their lanes in an open project: taught, replayed, reverted, carried elsewhere."""

from __future__ import annotations

import functools
import json
import shutil

import numpy as np
import pytest

from backend import api, pipeline
from backend.errors import BadInputError, NotFoundError
from backend.settings import Settings
from backend.types import Kind

THINGS = ("apple", "river", "engine", "violin")
MOODS = ("gladness", "fear")
WORDS = {
    "apple": ["ripe fruit from the orchard", "a red apple in the basket", "cider and apple cake"],
    "river": ["the river was high", "boats on the stream", "we swam in the cold river"],
    "engine": ["the motor would not start", "oil on the engine", "a loud diesel engine"],
    "violin": ["she tuned her violin", "strings and a bow", "the fiddle played all night"],
    "gladness": ["everybody laughed", "what a happy day", "we were delighted"],
    "fear": ["he was afraid of the dark", "a terrifying noise", "they ran away in panic"],
}


def texts():
    """Forty short texts, each with one thing and some with a mood, and what they are about."""
    draw = np.random.default_rng(4)
    rows = []
    for number in range(40):
        about = {THINGS[number % 4]}
        if number % 3:
            about.add(MOODS[number % 2])
        told = ", ".join(str(draw.choice(WORDS[label])) for label in sorted(about))
        rows.append((f"t{number}", f"{number}: {told}", about))
    return rows


@pytest.fixture(scope="module", autouse=True)
def one_encoder():
    """The encoder is compiled once: what takes seconds here is nothing that is tested."""
    with pytest.MonkeyPatch.context() as patch:
        cached = functools.cache(pipeline.load_encoder)
        patch.setattr("backend.workbench.load_encoder", cached)
        yield


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    return Settings(home=tmp_path_factory.mktemp("home"), threads=1)


@pytest.fixture(scope="module")
def made(one_encoder, settings, tmp_path_factory):
    """A project that was answered in full, never opened by a test itself."""
    bench = api.create_project(
        "made", labels=THINGS, kind=Kind.TEXT, encoder="sentence:minilm", settings=settings
    )
    bench.add_labels(MOODS, pack="moods")
    file = tmp_path_factory.mktemp("in") / "texts.jsonl"
    file.write_text("\n".join(json.dumps({"sample": n, "text": t}) for n, t, _ in texts()))
    bench.add(file)
    bench.correct(answers(range(32)))
    bench.learn()
    bench.close()
    return bench.path


def answers(numbers, labels=(*THINGS, *MOODS)):
    rows = texts()
    return [
        {
            "sample": rows[number][0],
            "label": label,
            "verdict": "yes" if label in rows[number][2] else "no",
        }
        for number in numbers
        for label in labels
    ]


@pytest.fixture
def bench(made, settings, tmp_path):
    path = tmp_path / "project"
    shutil.copytree(made, path)
    opened = api.open_project(path, settings=settings)
    yield opened
    opened.close()


def reopened(bench, settings):
    bench.close()
    return api.open_project(bench.path, settings=settings)


def columns(bench, pack):
    return [bench.board.column_of[label.id] for label in bench.labels() if label.pack == pack]


def test_teaching_a_pack_leaves_the_others_bit_by_bit(bench):
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


def test_a_lane_counts_in_the_scores_of_its_pack(bench):
    before = bench.board.logits.copy()
    report = bench.packs.teach("moods")
    moved = np.abs(bench.board.logits - before)[:, columns(bench, "moods")].max()
    assert (moved > 0) == (report.share > 0)


@pytest.mark.parametrize("gone", [("cache/versions",), ("cache/versions", "lanes")])
def test_replaying_the_log_gives_the_same_model(bench, settings, gone):
    bench.packs.teach("moods")
    bench.correct(answers([33], MOODS))
    bench.learn()
    version, logits = bench.version, bench.board.logits.copy()
    bench.close()
    for folder in gone:
        shutil.rmtree(bench.path / folder)
    again = api.open_project(bench.path, settings=settings)
    assert again.version == version
    np.testing.assert_array_equal(again.board.logits, logits)
    again.close()


def test_a_lost_cache_of_tokens_is_read_again(bench):
    shutil.rmtree(bench.path / "cache" / "tokens", ignore_errors=True)
    report = bench.packs.teach("moods")
    assert report.steps > 0


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


def test_versions_say_what_kind_they_are(bench):
    start = bench.version
    bench.packs.teach("moods")
    bench.packs.drop("moods")
    bench.packs.revert(start)
    assert [step.kind for step in bench.versions()[-3:]] == ["lane", "drop", "revert"]
    with pytest.raises(NotFoundError, match="no version 99"):
        bench.packs.revert(99)


def test_dropping_a_lane_gives_the_heads_back(bench):
    before = bench.board.logits.copy()
    bench.packs.teach("moods")
    bench.packs.drop("moods")
    np.testing.assert_allclose(bench.board.logits, before, atol=1e-4)
    with pytest.raises(NotFoundError, match="no lane"):
        bench.packs.drop("moods")


def test_a_lane_goes_home_in_a_file_and_works_elsewhere(bench, made, settings, tmp_path):
    bench.packs.teach("moods")
    file = bench.packs.export("moods", tmp_path)
    other = api.create_project(
        tmp_path / "other", kind=Kind.TEXT, encoder="sentence:minilm", settings=settings
    )
    source = tmp_path / "some.jsonl"
    source.write_text("\n".join(json.dumps({"sample": n, "text": t}) for n, t, _ in texts()))
    other.add(source)
    report = other.packs.take(file)
    assert report.digest in {lane.digest for lane in other.learned.lanes}
    assert [label.name for label in other.labels()] == list(MOODS)
    at = columns(bench, "moods")
    np.testing.assert_allclose(
        other.board.logits[:, columns(other, "moods")], bench.board.logits[:, at], atol=1e-4
    )
    logits = other.board.logits.copy()
    other.close()
    shutil.rmtree(other.path / "cache" / "versions")
    again = api.open_project(other.path, settings=settings)
    np.testing.assert_array_equal(again.board.logits, logits)
    again.close()


def test_files_that_are_no_lane_of_this_encoder_change_nothing(bench, settings, tmp_path):
    bench.packs.teach("moods")
    content = bench.packs.export("moods", tmp_path).read_bytes()
    version, labels = bench.version, bench.labels()
    edited = bytearray(content)
    edited[-3] ^= 1
    hostile = {
        "cut off": content[: len(content) // 2],
        "no lane": b"not a lane at all, but long enough to look at",
        "changed": bytes(edited),
        "huge header": (1 << 60).to_bytes(8, "little") + content[8:],
    }
    for name, bad in hostile.items():
        with pytest.raises(BadInputError, match=r"bad\.safetensors"):
            bench.packs.take(bad, name="bad.safetensors")
        assert bench.version == version, name
    words = api.create_project(
        tmp_path / "words", kind=Kind.TEXT, encoder="words", settings=settings
    )
    with pytest.raises(BadInputError, match="heads alone"):
        words.packs.take(content)
    assert words.room.refusal
    words.close()
    assert bench.labels() == labels


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


def test_a_pack_of_500_labels_is_taught(bench):
    bench.add_labels([f"label {number}" for number in range(500)], pack="many")
    bench.correct(
        [
            {"sample": f"t{sample}", "label": f"label {number}", "verdict": verdict}
            for sample in range(6)
            for number, verdict in ((sample, "yes"), (sample + 1, "no"))
        ]
    )
    bench.learn()
    bench.packs.teach("many")
    assert np.isfinite(bench.board.logits).all()


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


def test_moved_labels_keep_their_lane_until_the_new_pack_is_taught(bench):
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


def test_the_curve_has_a_point_per_version_on_the_same_verdicts(bench):
    bench.packs.teach("moods")
    points = bench.packs.curve()
    assert [point.version for point in points] == [1, 2]
    now = {info.name: info.mAP for info in bench.packs.list()}
    assert points[-1].packs == pytest.approx(now)


def test_where_a_lane_looked_is_told_over_the_words(bench):
    report = bench.packs.teach("moods")
    looks = bench.explain("t1", with_lanes=True).lanes
    if report.share == 0:
        assert looks == {}
        return
    np.testing.assert_allclose(looks["moods"].sum(), 1, atol=1e-5)
    assert len(looks["moods"]) == len(bench.explain("t1").forward)
    assert (looks["moods"] >= 0).all()
