"""The whole loop on real words: suggest, explain, correct, learn, undo, replay, two at once."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from backend import api
from backend.board import is_held_back
from backend.errors import BadInputError, MissingTruthError, NotFoundError
from backend.settings import Settings
from backend.types import Kind, Region, Verdict
from tests.backend.text_projects import LABELS, TEXTS, made_project, numbered
from tests.reading import picture


@pytest.fixture
def home(settings: Settings) -> Settings:
    return settings


@pytest.fixture
def bench(home: Settings, tmp_path: Path) -> Iterator[api.Workbench]:
    made = made_project(
        numbered(TEXTS), tmp_path, home, labels=LABELS, encoder="words", name="words"
    )
    yield made
    made.close()


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    path = tmp_path / "lines.jsonl"
    rows = [{"sample": f"t{i}", "text": text} for i, text in enumerate(TEXTS)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def scores(bench: api.Workbench) -> dict[tuple[str, str], float]:
    return {(s.name, x.label): x.score for s in bench.suggest() for x in s.suggestions}


def say(bench: api.Workbench, label: str, yes: str = "", no: str = "", **more: object) -> None:
    rows = [{"sample": f"t{i}", "label": label, "verdict": "yes"} for i in yes.split()]
    rows += [{"sample": f"t{i}", "label": label, "verdict": "no"} for i in no.split()]
    bench.correct(rows, **more)


def test_everything_works_before_any_verdict(bench: api.Workbench) -> None:
    assert bench.kind == Kind.TEXT
    best = {found.name: found.suggestions[0].label for found in bench.suggest()}
    assert best["t5"] == "food"
    assert best["t6"] == "transport"
    assert all(x.probability is None for found in bench.suggest() for x in found.suggestions)
    hits = bench.search(text="kitten", k=3)
    assert "t2" in [hit.name for hit in hits]
    assert len({entry.sample for entry in bench.next(7)}) == 7
    assert all(entry.reason for entry in bench.next(3))
    with pytest.raises(MissingTruthError, match="nothing to evaluate"):
        bench.evaluate()


def test_an_explanation_points_at_the_word(bench: api.Workbench) -> None:
    found = bench.explain("t5", label="food")
    spans = found.layout.spans
    assert spans is not None
    start, end = spans[int(found.backward[:, 0].argmax())]
    assert TEXTS[5][start:end] in ("soup", "salt", "pepper")
    whole = bench.explain("t5")
    assert whole.labels == tuple(LABELS)
    assert whole.plan.sum() == pytest.approx(1, abs=1e-5)
    assert whole.forward.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert whole.backward.sum(axis=0) == pytest.approx(1, abs=1e-5)


def test_verdicts_move_their_label_and_no_other(bench: api.Workbench) -> None:
    before = scores(bench)
    say(bench, "animal", yes="0 1 2 3 8 12 14 16 19", no="4 5 6 7 9 10 11 15 17 18")
    report = bench.learn()
    after = scores(bench)
    assert (report.version, report.from_version) == (1, 0)
    yes = np.mean([after[f"t{i}", "animal"] for i in (0, 1, 2, 3)])
    no = np.mean([after[f"t{i}", "animal"] for i in (5, 6, 7, 11)])
    was = np.mean([before[f"t{i}", "animal"] for i in (0, 1, 2, 3)])
    assert yes - no > 1
    assert yes > was
    others = [pair for pair in before if pair[1] != "animal"]
    assert [after[pair] for pair in others] == [before[pair] for pair in others]
    assert bench.learn().version == 1, "nothing new, so no new version"


@pytest.mark.parametrize(("until", "rounds"), [(None, 4), (1000.0, 4), (2.5, 3), (0.5, 1)], ids=str)
def test_learning_goes_on_in_rounds_until_converged_or_out_of_time(
    bench: api.Workbench, monkeypatch: pytest.MonkeyPatch, until: float | None, rounds: int
) -> None:
    clock, steps = [0.0], iter((7, 5, 3, 0))

    def one_round() -> int:
        clock[0] += 1.0
        return next(steps)

    monkeypatch.setattr(bench.live, "fold_in", one_round)
    monkeypatch.setattr("backend.workbench.time.monotonic", lambda: clock[0])
    report = bench.learn(until=until)
    monkeypatch.undo()
    assert clock[0] == rounds
    assert report.steps == sum((7, 5, 3, 0)[:rounds])


def test_unsure_is_not_no_and_held_back_verdicts_teach_nothing(bench: api.Workbench) -> None:
    before = scores(bench)
    held = [s for s in bench.samples() if is_held_back(s.content_hash, bench.board.split_seed)]
    assert held, "the share of held-back texts is a fifth"
    rows = [{"sample": s.id, "label": "food", "verdict": "yes"} for s in held]
    others = [s for s in bench.samples() if s not in held][:4]
    rows += [{"sample": s.id, "label": "food", "verdict": "unsure"} for s in others]
    bench.correct(rows)
    bench.learn()
    assert scores(bench) == before
    assert bench.evaluate().n == len(held)


def test_replay_of_the_log_equals_the_live_model(home: Settings, bench: api.Workbench) -> None:
    say(bench, "animal", yes="0 1 2 8", no="4 5 6")
    bench.learn()
    say(bench, "food", yes="4 5 11 18", no="0 1 7")
    say(bench, "animal", yes="12", no="17")
    bench.learn()
    say(bench, "food", yes="16", no="6")
    bench.learn()
    live = scores(bench)
    bench.close()
    for lost in ("cache/versions", "cache"):
        shutil.rmtree(home.home / "words" / lost)
        again = api.open_project("words", settings=home)
        if lost == "cache":
            assert again.num_encoded == 0
            assert again.encode() == len(TEXTS)
        assert again.version == 3
        assert scores(again) == live, f"without {lost}"
        again.close()


def test_scores_after_one_correction_are_those_of_a_project_opened_anew(
    home: Settings, bench: api.Workbench
) -> None:
    say(bench, "animal", yes="0 1 2 8", no="4 5 6")
    bench.learn()
    before = bench.board.logits
    say(bench, "food", yes="4 5 11", no="0 1")
    bench.learn()
    names = [label.name for label in bench.labels()]
    moved = (bench.board.logits != before).any(axis=0)
    assert dict(zip(names, moved.tolist(), strict=True)) == {
        "animal": False,
        "food": True,
        "transport": False,
    }
    again = api.open_project("words", settings=home)
    assert np.array_equal(again.board.logits, bench.board.logits)
    assert np.array_equal(again.board.probabilities, bench.board.probabilities, equal_nan=True)
    again.close()
    bench.add_labels(["weather"])
    say(bench, "weather", yes="10", no="3 4")
    bench.learn()
    again = api.open_project("words", settings=home)
    # The zero-shot scores of a label that came later were a matrix product of their own.
    assert np.allclose(again.board.logits, bench.board.logits, atol=1e-5)
    again.close()


def test_replay_with_a_label_that_came_later(home: Settings, bench: api.Workbench) -> None:
    say(bench, "animal", yes="0 1 2 8", no="4 5 6")
    bench.learn()
    bench.add_labels(["weather"])
    say(bench, "weather", yes="10", no="3 4")
    bench.learn()
    live = scores(bench)
    bench.close()
    shutil.rmtree(home.home / "words" / "cache" / "versions")
    again = api.open_project("words", settings=home)
    # All labels are now multiplied in one block, so the last bits of float32 may differ.
    assert scores(again) == pytest.approx(live, abs=1e-5)
    again.close()


def test_undo_takes_a_whole_action_back_and_learning_forgets_it(bench: api.Workbench) -> None:
    before = scores(bench)
    say(bench, "animal", yes="0 1 2", no="5 6")
    say(bench, "food", yes="4 5")
    bench.learn()
    bench.undo()
    assert {label for found in bench.verdicts().values() for label in found} == {
        bench.label("animal").id
    }
    bench.undo()
    assert not any(bench.verdicts().values())
    bench.learn()
    after = scores(bench)
    assert max(abs(after[pair] - before[pair]) for pair in before) < 1e-5


def test_complete_says_no_to_all_that_is_undecided(bench: api.Workbench) -> None:
    receipt = bench.correct(
        [{"sample": "t0", "label": "animal", "verdict": "yes"}, {"sample": "t0", "complete": True}]
    )
    found = bench.verdicts(["t0"])[bench.sample("t0").id]
    names = {label.id: label.name for label in bench.labels()}
    assert {names[i]: v for i, v in found.items()} == {
        "animal": Verdict.YES,
        "food": Verdict.NO,
        "transport": Verdict.NO,
    }
    assert len(receipt.pairs) == 3
    bench.undo()
    assert bench.verdicts(["t0"])[bench.sample("t0").id] == {}


def test_a_bad_row_is_named_and_nothing_is_stored(bench: api.Workbench) -> None:
    good = {"sample": "t0", "label": "animal", "verdict": "yes"}
    for bad, error, words in (
        ({"sample": "t0", "label": "animal", "verdict": "maybe"}, BadInputError, "row 2: 'maybe'"),
        ({"sample": "t0", "label": "animal"}, BadInputError, "row 2 gives no verdict"),
        ({"label": "animal", "verdict": "yes"}, BadInputError, "row 2 names no sample"),
        ({"sample": "nobody", "label": "animal", "verdict": "yes"}, NotFoundError, "nobody"),
        ({**good, "regions": [{"box": [0, 0, "x", 1]}]}, BadInputError, "row 2"),
        ({**good, "regions": [{"box": [0, 0, 1, 1]}]}, BadInputError, "t0 is a text"),
        ({**good, "regions": [{"span": [0, 9], "here": "x"}]}, BadInputError, "row 2: here is"),
        ({**good, "regions": [{"span": [0, 999]}]}, BadInputError, "ends at 999"),
        ({**good, "part": {"span": [0, 9]}, "here": True}, BadInputError, "row 2 has a part"),
        (
            {**good, "verdict": "no", "regions": [{"span": [0, 9], "here": True}]},
            BadInputError,
            "row 2 says no to the whole sample and yes to a place",
        ),
        (
            {"sample": "t0", "label": "animal", "part": {"span": [0, 9]}},
            BadInputError,
            "row 2 does not say if it is here",
        ),
    ):
        with pytest.raises(error, match=words):
            bench.correct([good, bad])
    assert not any(bench.verdicts().values())


def test_a_used_id_is_answered_for_what_it_stored_and_for_nothing_else(
    bench: api.Workbench,
) -> None:
    row = {"sample": "t0", "label": "food", "verdict": "yes"}
    food, gone = bench.label("food").id, {**row, "sample": "gone"}
    first = bench.correct([row], op="x1")
    assert bench.correct([row, gone], op="x1") == first, "a sample may have gone since"
    for other in ({**row, "verdict": "no"}, {**row, "sample": "t1"}):
        with pytest.raises(BadInputError, match=r"'x1' was used before.*nothing was saved"):
            bench.correct([other, gone], op="x1")
    with pytest.raises(BadInputError, match="'x1' was used before, for 'correct' by me"):
        bench.correct([row, gone], op="x1", who="ben")
    bench.remove_label("food", op="x2")
    with pytest.raises(BadInputError, match="'x2' was used before"):
        bench.correct_living([{**row, "label": food}], op="x2")
    assert bench.correct_living([{**row, "label": food}], op="x1").receipt == first


def test_rows_say_where_a_label_is_and_where_it_is_not(bench: api.Workbench) -> None:
    pair = {"sample": "t0", "label": "animal"}
    cat, sofa = Region("span", (4, 7)), Region("span", (27, 31), Verdict.NO)
    sample, label = bench.sample("t0").id, bench.label("animal").id

    def holds() -> tuple[Verdict | None, tuple[Region, ...]]:
        said = bench.verdicts([sample])[sample].get(label)
        return said, bench.marks([sample])[sample].get(label, ())

    bench.correct([{**pair, "part": {"span": [27, 31]}, "here": False}])
    assert holds() == (None, (sofa,))
    assert bench.info().verdicts == 0
    bench.correct([{**pair, "verdict": "unsure"}])
    assert holds() == (Verdict.UNSURE, (sofa,))
    here = [{"span": [4, 7]}, {"span": [27, 31], "here": False}]
    bench.correct([{**pair, "verdict": "yes", "regions": here}])
    assert holds() == (Verdict.YES, (cat, sofa))
    bench.correct([{**pair, "verdict": "no", "regions": [{"span": [27, 31]}]}])
    assert holds() == (Verdict.NO, (sofa,))  # without a word it agrees with the verdict
    bench.undo()
    assert holds() == (Verdict.YES, (cat, sofa))
    bench.correct([{"sample": "t0", "complete": True}])
    assert holds() == (Verdict.YES, (cat, sofa))
    bench.correct([{**pair, "verdict": None, "regions": []}])
    assert holds() == (None, ())


def test_no_to_the_rest_counts_a_label_with_marks_alone(bench: api.Workbench) -> None:
    bench.correct([{"sample": "t0", "label": "food", "part": {"span": [4, 7]}, "here": False}])
    bench.correct([{"sample": "t0", "complete": True}])
    sample, label = bench.sample("t0").id, bench.label("food").id
    assert bench.verdicts([sample])[sample][label] is Verdict.NO
    assert bench.marks([sample])[sample][label] == (Region("span", (4, 7), Verdict.NO),)


def test_marks_go_out_and_come_back_as_lines(
    bench: api.Workbench, home: Settings, tmp_path: Path
) -> None:
    bench.correct(
        [
            {"sample": "t0", "label": "animal", "part": {"span": [4, 7]}, "here": True},
            {"sample": "t0", "label": "food", "part": {"span": [4, 7]}, "here": False},
            {"sample": "t1", "label": "food", "verdict": None, "regions": [{"span": [2, 5]}]},
        ]
    )
    bench.correct([{"sample": "t0", "label": "animal", "verdict": "no"}])  # and sleeps
    report = bench.export(tmp_path / "out")
    assert report.annotations == 4
    other = api.create_project("again", labels=LABELS, encoder="words", settings=home)
    other.add(tmp_path / "out")

    def said(of: api.Workbench) -> dict:
        names = {sample.id: sample.name for sample in of.samples()}
        return {
            (names[sample], label): (row.verdict, row.regions)
            for (sample, label), row in of.store.log.current().items()
        }

    assert said(other) == said(bench)
    other.close()


def test_two_processes_see_each_others_work(home: Settings, bench: api.Workbench) -> None:
    other = api.open_project("words", settings=home)
    say(other, "animal", yes="0 1 2", no="5 6")
    other.learn()
    assert bench.refresh(0, timeout=0) in (0, 1)
    say(bench, "food", yes="4 5", no="1")
    report = bench.learn()
    assert report.version == 2
    other.learn()
    assert scores(other) == scores(bench)
    other.close()


def test_a_screen_gets_new_suggestions_by_itself(home: Settings, bench: api.Workbench) -> None:
    bench.close()
    serving = api.open_project("words", settings=home, learns=True)
    before = scores(serving)
    say(serving, "animal", yes="0 1 2 3", no="4 5 6 7")
    assert serving.refresh(0, timeout=20) >= 1
    assert scores(serving) != before
    serving.close()


def test_another_encoder_keeps_every_verdict(home: Settings, bench: api.Workbench) -> None:
    say(bench, "animal", yes="0 1 2 3", no="4 5 6 7")
    bench.learn()
    verdicts = bench.verdicts()
    assert bench.change_encoder("words+words") == len(TEXTS)
    assert bench.verdicts() == verdicts
    bench.close()
    again = api.open_project("words", settings=home)
    assert again.encoder_id == "words+words"
    assert again.verdicts() == verdicts
    assert again.learn().version == 2, "the old version belongs to the old encoder"
    again.close()


def test_a_project_takes_the_kind_of_what_comes_first(home: Settings, texts: Path) -> None:
    with (
        closing(api.create_project("new", labels=LABELS, settings=home)) as made,
        closing(api.open_project("new", settings=home)) as other,
    ):
        assert made.kind == Kind.IMAGE
        report = made.add(texts)
        assert (report.imported, report.errors) == (len(TEXTS), ())
        assert made.kind == Kind.TEXT
        assert [hit.name for hit in made.search(text=TEXTS[7], k=1)] == ["t7"]
        # another process that had it open goes along
        other.live.resync()
        assert (other.kind, other.encoder_id) == (Kind.TEXT, made.encoder_id)
        assert other.suggest()[0].suggestions
    with closing(api.open_project("new", settings=home)) as again:
        assert again.kind == Kind.TEXT


def test_what_is_in_a_project_or_chosen_for_it_keeps_its_kind(
    home: Settings, texts: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    Image.new("RGB", (32, 24), "teal").save(folder / "teal.png")
    # texts that come along with more pictures do not make it a project of texts
    (folder / "a-licence.txt").write_text("to be named, not taken in")
    Image.new("RGB", (32, 24), "navy").save(folder / "navy.png")
    with closing(api.create_project("pictures", settings=home)) as made:
        report = made.add(folder, encode=False)
        assert (made.kind, report.imported) == (Kind.IMAGE, 2)
        assert [problem.file for problem in report.errors] == ["a-licence.txt"]
        assert len(made.add(texts, encode=False).errors) == len(TEXTS)
        assert made.kind == Kind.IMAGE
    with closing(api.create_project("chosen", encoder="words", settings=home)) as made:
        assert made.add(folder, encode=False).imported == 1
        assert made.kind == Kind.TEXT


def test_labels_can_be_renamed_merged_and_removed(bench: api.Workbench) -> None:
    say(bench, "animal", yes="0 1")
    bench.rename_label("animal", "beast")
    assert [label.name for label in bench.labels()] == ["beast", "food", "transport"]
    assert bench.verdicts(["t0"])[bench.sample("t0").id] == {bench.label("beast").id: Verdict.YES}
    bench.remove_label("beast")
    assert [label.name for label in bench.labels()] == ["food", "transport"]
    bench.undo()
    assert "beast" in [label.name for label in bench.labels()]
    assert len(bench.suggest(["t0"])[0].suggestions) == 3


def test_removed_samples_are_gone_until_undo(bench: api.Workbench) -> None:
    bench.remove_samples(["t2"])
    assert "t2" not in [hit.name for hit in bench.search(text="kitten", k=20)]
    assert len(bench.suggest()) == len(TEXTS) - 1
    bench.undo()
    assert bench.search(text="my kitten chased a mouse under the table", k=1)[0].name == "t2"


def test_what_is_deleted_for_good_is_not_called_cancelled(
    bench: api.Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.remove_samples(["t0"])
    plain = bench.store.compact

    def cancelled(**given: str) -> api.CompactReport:
        report = plain(**given)
        assert bench.jobs.cancel(bench.jobs.list()[0].id)
        return replace(report, note="do it again later")

    monkeypatch.setattr(bench.store, "compact", cancelled)
    job = bench.jobs.wait(bench.compact_soon(), 30)
    assert (job.state, job.note) == ("done", "do it again later")
    assert bench.store.removed() == (0, 0)


def test_colours_belong_to_the_points_of_the_map(bench: api.Workbench) -> None:
    say(bench, "animal", yes="0", no="5")
    points = bench.map()
    assert points.method == "pca"
    assert len(points.ids) == len(TEXTS)
    colours = bench.colours("verdict", label="animal")
    by_name = {bench.sample(int(i)).name: c for i, c in zip(points.ids, colours, strict=True)}
    assert by_name["t0"] == 1
    assert by_name["t5"] == 0
    assert np.isnan(by_name["t7"])
    assert bench.colours("doubt").shape == points.ids.shape
    with pytest.raises(BadInputError, match="cannot colour by 'size'"):
        bench.colours("size")


def test_neighbours_leave_the_sample_itself_out(bench: api.Workbench) -> None:
    hits = bench.neighbours("t0", 4)
    assert len(hits) == 4
    assert "t0" not in [hit.name for hit in hits]
    assert [hit.score for hit in hits] == sorted([hit.score for hit in hits], reverse=True)
    vectors = bench.board.pooled
    row = bench.board.row_of[bench.sample("t0").id]
    similar = vectors @ vectors[row]
    similar[row] = -2
    assert hits[0].sample == bench.board.ids[similar.argmax()]


def test_projects_are_listed_put_aside_and_brought_back(
    home: Settings, bench: api.Workbench
) -> None:
    say(bench, "animal", yes="0")
    bench.close()
    (info,) = api.list_projects(home)
    assert (info.name, info.samples, info.labels, info.verdicts) == ("words", 20, 3, 1)
    api.remove_project("words", settings=home)
    assert api.list_projects(home) == []
    with pytest.raises(NotFoundError, match="there is no project 'words'"):
        api.open_project("words", settings=home)
    api.restore_project("words", settings=home)
    again = api.open_project("words", settings=home)
    assert any(again.verdicts().values())
    again.close()


def test_other_models_are_shown_and_searched_beside_ours(
    bench: api.Workbench, tmp_path: Path
) -> None:
    scored = tmp_path / "rival.jsonl"
    rows = [{"sample": "t0", "label": "animal", "score": 0.25}]
    scored.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert bench.add(scored).annotations == 1
    found = {s.label: s.brought for s in bench.suggest(["t0"])[0].suggestions}
    assert found == {"animal": {"rival": 0.25}, "food": {}, "transport": {}}

    class Asked(dict):
        """Gives single scores, of a million perhaps, and one key to whoever checks types."""

        def __iter__(self) -> Iterator[object]:
            yield next(super().__iter__())
            raise AssertionError("looks at all scores for one sample")

    asked = Asked(bench.others.brought())
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(bench.others, "brought", lambda: asked)
        assert {s.label: s.brought for s in bench.suggest(["t0"])[0].suggestions} == found
    vectors = np.eye(len(TEXTS), dtype=np.float32)
    vectors[0] = vectors[7] * 2 + vectors[9] * 0.1
    names = np.array([f"t{i}" for i in range(len(TEXTS))])
    np.savez(tmp_path / "other.npz", names=names, vectors=vectors)
    bench.add(tmp_path / "other.npz")
    assert bench.brought() == {"predictions": ["rival"], "vectors": ["other"]}
    assert [hit.name for hit in bench.neighbours("t0", 2, vectors="other")] == ["t7", "t9"]
    assert bench.search(sample="t0", vectors="other", k=2)[0].name == "t0"
    with pytest.raises(NotFoundError, match=r"nobody.*other"):
        bench.neighbours("t0", vectors="nobody")
    with pytest.raises(BadInputError, match="by a sample"):
        bench.search(text="cat", vectors="other")


def test_where_another_model_says_something_else_comes_first(
    bench: api.Workbench, tmp_path: Path
) -> None:
    ours = bench.chances()
    theirs = {f"t{i}": float(ours[i, 0] < 0.5) for i in range(2)} | {"t2": float(ours[2, 0])}
    rows = [{"sample": name, "label": "animal", "score": value} for name, value in theirs.items()]
    (tmp_path / "rival.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    bench.add(tmp_path / "rival.jsonl")
    animal = bench.labels()[0].id
    expected = np.full(len(TEXTS), np.nan)
    expected[:3] = abs(ours[:3, 0] - list(theirs.values()))
    assert np.allclose(bench.colours("disagree", source="rival"), expected, equal_nan=True)
    said = bench.colours("brought", label=animal, source="rival")
    assert np.allclose(said[:3], list(theirs.values()))
    assert np.isnan(said[3:]).all()

    found = bench.disagreements()
    assert [entry.score for entry in found] == sorted((e.score for e in found), reverse=True)
    assert {entry.name for entry in found} == {f"t{i}" for i in range(3) if expected[i] >= 0.25}
    first = found[0]
    assert first.reason.startswith(f"animal: rival {theirs[first.name]:.2f}, here ")
    say(bench, "animal", yes=first.name[1:])
    assert first.name not in [entry.name for entry in bench.disagreements()]


def test_scores_outside_of_0_to_1_are_logits(bench: api.Workbench, tmp_path: Path) -> None:
    rows = [{"sample": "t0", "label": "animal", "score": score} for score in (0.0,)]
    rows += [{"sample": "t1", "label": "animal", "score": -2.0}]
    (tmp_path / "logits.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    bench.add(tmp_path / "logits.jsonl")
    said = bench.colours("brought", label=bench.labels()[0].id, source="logits")
    assert np.allclose(said[:2], [0.5, 1 / (1 + np.exp(2))])


@pytest.mark.parametrize("name", ["set.zip", "set.tar.gz"])
def test_every_picture_of_an_archive_comes_in(home: Settings, tmp_path: Path, name: str) -> None:
    """More than a batch of them: the last batch is stored after the archive was read to its end."""
    folder = tmp_path / "set"
    for at in range(103):
        picture(folder / f"{at}.png", (at, 0, 0), (4, 4))
    kind = name.removeprefix("set.").replace("tar.gz", "gztar")
    packed = Path(shutil.make_archive(str(folder), kind, folder))
    with closing(api.create_project("pictures", kind=Kind.IMAGE, settings=home)) as bench:
        report = bench.add(packed, encode=False)
        assert (report.imported, report.errors) == (103, ())
        one = bench.sample("102.png")
        assert bench.store.media.path(one).read_bytes() == (folder / "102.png").read_bytes()
        with pytest.raises(BadInputError, match="can only be copied; unpack it first"):
            bench.add(packed, link=True, encode=False)


def test_a_map_is_called_by_the_projector_of_the_recipe(home: Settings, tmp_path: Path) -> None:
    recipe = tmp_path / "flat.toml"
    default = Path("assets/recipes/default.toml").read_text("utf-8")
    recipe.write_text(default.replace("projectors/umap_plane", "projectors/pca"), "utf-8")
    made = api.create_project("flat", encoder="words", recipe=str(recipe), settings=home)
    file = tmp_path / "few.jsonl"
    file.write_text("".join(json.dumps({"sample": x, "text": x}) + "\n" for x in TEXTS), "utf-8")
    assert made.add(file).imported == len(TEXTS)
    at_once = made.map()
    assert not made.live.finder.needs_projection(made.board)  # it would say the same
    made.project()
    fitted = made.map()
    assert (at_once.method, fitted.method) == ("pca", "pca")
    np.testing.assert_allclose(fitted.xy, at_once.xy)
    made.close()
