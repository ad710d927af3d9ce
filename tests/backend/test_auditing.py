"""The audit of a project of real words: what it finds, groups, accepts, dismisses and forgets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from backend import api, audit_case, auditing
from backend.errors import BadInputError, NotFoundError
from backend.settings import Settings
from backend.types import Verdict

PETS = ("cat", "dog", "kitten", "puppy", "rabbit", "horse", "hamster", "goat", "cow", "sheep")
FOODS = ("bread", "cake", "soup", "rice", "cheese", "apple", "pizza", "salad", "honey", "butter")
DOES = ("sleeps on the sofa", "walks in the park", "barks at the postman", "likes the garden")
TASTES = ("tastes of salt and pepper", "was baked in the oven", "is eaten with a spoon")
ROWS = [f"the {pet} {does}" for pet in PETS for does in DOES]
ROWS += [f"the {food} {tastes}" for food in FOODS for tastes in TASTES]
IS_ANIMAL = [True] * 40 + [False] * 30
WRONG = (3, 17, 50, 66)
"""Texts whose verdict on "animal" is turned round."""


def project(settings: Settings, folder: Path, name: str, rows: list[dict]) -> api.Workbench:
    made = api.create_project(name, labels=["animal", "food"], encoder="words", settings=settings)
    file = folder / f"{name}.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    report = made.add(file)
    assert report.imported == len(rows), report.errors
    return made


@pytest.fixture
def open_bench(settings: Settings, tmp_path: Path) -> Iterator[api.Workbench]:
    rows = [{"sample": f"t{at}", "text": text} for at, text in enumerate(ROWS)]
    rows[41]["split"] = "test"
    rows.append({"sample": "copy", "text": ROWS[41].upper() + "!"})
    made = project(settings, tmp_path, "words", rows)
    yield made
    made.close()


@pytest.fixture
def bench(open_bench: api.Workbench) -> api.Workbench:
    said = [yes ^ (at in WRONG) for at, yes in enumerate(IS_ANIMAL)]
    open_bench.correct(
        [
            {"sample": f"t{at}", "label": "animal", "verdict": "yes" if yes else "no"}
            for at, yes in enumerate(said)
        ]
        + [
            {"sample": f"t{at}", "label": "food", "verdict": "no" if yes else "yes"}
            for at, yes in enumerate(IS_ANIMAL)
        ]
    )
    return open_bench


def label_errors(bench: api.Workbench, report: api.AuditReport) -> dict[str, api.Suspect]:
    """Strongest first."""
    found = sorted(report.suspects, key=lambda one: -one.strength)
    return {bench.sample(one.samples[0]).name: one for one in found if one.kind == "label"}


def test_turned_verdicts_are_found_first_with_their_evidence(
    bench: api.Workbench,
) -> None:
    found = label_errors(bench, auditing.audit(bench, kinds=("label",)))
    assert set(list(found)[:4]) == {f"t{at}" for at in WRONG}, {
        name: one.strength for name, one in found.items()
    }
    wrong_yes = found["t50"]
    assert wrong_yes.given == (Verdict.YES,)
    assert wrong_yes.proposal == "no"
    assert wrong_yes.evidence["heads"] < 0.5
    assert "animal was given" in wrong_yes.reason
    assert found["t3"].proposal == "yes"
    assert found["t3"].part >= 0


def test_a_group_is_accepted_in_one_action_and_one_undo_brings_it_back(
    bench: api.Workbench,
) -> None:
    report = auditing.audit(bench, kinds=("label",))
    group = report.groups[0]
    before = bench.verdicts()
    receipt = auditing.accept(bench, auditing.chosen(report, [group.key]), who="ann")
    assert len(receipt.pairs) == len(group.suspects)
    for one in group.suspects:
        assert bench.verdicts([one.samples[0]])[one.samples[0]][one.labels[0]] == one.proposal
    left = auditing.still_open(bench, report)
    assert group.key not in {each.key for each in left.groups}
    assert len(left.suspects) == len(report.suspects) - len(group.suspects)
    bench.undo("ann")
    assert bench.verdicts() == before
    assert auditing.still_open(bench, report) == report


def test_what_is_dismissed_stays_so_and_undo_brings_it_back(
    bench: api.Workbench, settings: Settings
) -> None:
    report = auditing.audit(bench, kinds=("label",))
    first = report.suspects[0]
    auditing.dismiss(bench, [first], who="ann", op="dismissal-1")
    auditing.dismiss(bench, [first], who="ann", op="dismissal-1")
    assert first.key not in {one.key for one in auditing.still_open(bench, report).suspects}
    again = auditing.audit(bench, kinds=("label",))
    assert first.key not in {one.key for one in again.suspects}
    assert again.dismissed == 1
    twin = api.open_project("words", settings=settings)
    assert first.key not in {one.key for one in auditing.audit(twin, kinds=("label",)).suspects}
    twin.close()
    bench.compact()
    assert first.key in bench.store.dismissals.current()
    auditing.dismiss(bench, [report.suspects[1]], who="ann")
    bench.undo("ann")
    assert bench.store.dismissals.current() == {first.key}


def test_undo_of_a_dismissal(bench: api.Workbench) -> None:
    report = auditing.audit(bench, kinds=("label",))
    auditing.dismiss(bench, report.suspects[:2], who="ann")
    assert bench.undo("ann") is not None
    assert bench.store.dismissals.current() == frozenset()
    assert auditing.still_open(bench, report) == report


def test_a_dismissed_pair_is_a_new_finding_once_its_verdict_changed(bench: api.Workbench) -> None:
    report = auditing.audit(bench, kinds=("label",))
    for at in (4, 5, 6):
        bench.correct([{"sample": f"t{at}", "label": "animal", "verdict": "no"}])
    keys = {one.key for one in auditing.audit(bench, kinds=("label",)).suspects}
    assert {one.key for one in report.suspects} <= keys


def test_copies_are_found_across_splits_and_the_taught_one_goes(bench: api.Workbench) -> None:
    report = auditing.audit(bench, kinds=("duplicate",))
    (found,) = [one for one in report.suspects if one.evidence.get("splits", 0) > 1]
    names = [bench.sample(each).name for each in found.samples]
    assert names == ["t41", "copy"]
    assert "in test and train" in found.reason
    auditing.accept(bench, [found], who="ann")
    with pytest.raises(NotFoundError):
        bench.sample("copy")
    assert bench.sample("t41").name == "t41"
    assert found.key not in {one.key for one in auditing.still_open(bench, report).suspects}
    bench.undo("ann")
    assert bench.sample("copy").name == "copy"


def test_without_verdicts_it_says_so_and_still_finds_copies(open_bench: api.Workbench) -> None:
    report = auditing.audit(open_bench)
    assert {one.kind for one in report.suspects} == {"duplicate"}
    assert any("no label has a YES or NO yet" in note for note in report.notes)


def test_verdicts_of_one_person_and_labels_with_too_few_are_told(bench: api.Workbench) -> None:
    bench.add_labels(["rare"])
    bench.correct([{"sample": "t1", "label": "rare", "verdict": "yes"}])
    notes = " ".join(auditing.audit(bench, kinds=("label",)).notes)
    assert "all verdicts are by me" in notes
    assert "1 label has too few YES or too few NO" in notes


@pytest.mark.slow
def test_five_thousand_labels_cost_what_their_verdicts_do(bench: api.Workbench) -> None:
    bench.add_labels([f"label {number}" for number in range(5000)])
    found = label_errors(bench, auditing.audit(bench, kinds=("label", "ambiguous")))
    assert set(list(found)[:4]) == {f"t{at}" for at in WRONG}


def test_a_label_renamed_or_merged_since_is_no_trouble(bench: api.Workbench) -> None:
    report = auditing.audit(bench, kinds=("label",))
    bench.rename_label("animal", "beast")
    assert auditing.still_open(bench, report).suspects == report.suspects
    again = label_errors(bench, auditing.audit(bench, kinds=("label",)))
    assert "beast" in again["t50"].reason
    assert again["t50"].key == label_errors(bench, report)["t50"].key
    bench.merge_labels("beast", "food")
    assert auditing.still_open(bench, report).suspects == ()


def test_contradictory_verdicts_of_copies_are_told(bench: api.Workbench) -> None:
    bench.correct([{"sample": "copy", "label": "animal", "verdict": "yes"}])
    report = auditing.audit(bench, kinds=("duplicate",))
    found = max(report.suspects, key=lambda one: one.evidence.get("contradictions", 0))
    assert "with different verdicts on animal" in found.reason


def test_unsure_and_accepted_by_the_machine_are_no_witnesses(bench: api.Workbench) -> None:
    bench.correct(
        [{"sample": f"t{at}", "label": "animal", "verdict": "unsure"} for at in WRONG[:2]]
    )
    found = label_errors(bench, auditing.audit(bench, kinds=("label",)))
    assert set(list(found)[:2]) == {f"t{at}" for at in WRONG[2:]}
    assert not set(found) & {f"t{at}" for at in WRONG[:2]}


def test_unknown_kinds_and_findings_are_refused_by_name(bench: api.Workbench) -> None:
    with pytest.raises(BadInputError, match="not typo"):
        auditing.audit(bench, kinds=("typo",))
    report = auditing.audit(bench, kinds=("label",))
    with pytest.raises(NotFoundError, match="label:99"):
        auditing.chosen(report, ["label:99"])


def test_ambiguous_samples_are_settled_by_unsure_and_not_found_again(bench: api.Workbench) -> None:
    """Texts of both kinds, and heads that have to tell two labels by them."""
    rows = [{"sample": f"t{at}", "label": "food", "verdict": None} for at in range(70)]
    bench.correct(rows)
    draw = np.random.default_rng(0).random((70, 2)) < 0.5
    names = ("animal", "food")
    bench.correct(
        [
            {"sample": f"t{at}", "label": names[k], "verdict": "yes" if draw[at, k] else "no"}
            for at in range(70)
            for k in range(2)
        ]
    )
    report = auditing.audit(bench, kinds=("ambiguous",), measures_pruning=True)
    assert report.suspects, "verdicts at random leave every label in doubt"
    assert report.pruning is not None
    assert report.pruning.pairs == sum(
        (bench.verdicts([one.samples[0]])[one.samples[0]]).get(label) in ("yes", "no")
        for one in report.suspects
        for label in one.labels
    )
    values = (report.pruning.before, report.pruning.after, report.pruning.at_random)
    assert all(0 <= value <= 1 for value in values)
    auditing.accept(bench, report.suspects)
    one = report.suspects[0]
    assert set(bench.verdicts([one.samples[0]])[one.samples[0]].values()) == {Verdict.UNSURE}
    again = {each.key for each in auditing.audit(bench, kinds=("ambiguous",)).suspects}
    assert not again & {each.key for each in report.suspects}


def test_imported_labels_are_judged_by_text_prototype_heads_and_neighbours(
    settings: Settings, tmp_path: Path
) -> None:
    rows = [
        {
            "sample": f"t{at}",
            "text": text,
            "labels": {"animal": "yes" if yes ^ (at in WRONG) else "no",
                       "food": "no" if yes ^ (at in WRONG) else "yes"},
        }
        for at, (text, yes) in enumerate(zip(ROWS, IS_ANIMAL, strict=True))
    ]  # fmt: skip
    bench = project(settings, tmp_path, "brought", rows)
    report = auditing.audit(bench, kinds=("import",))
    found = {bench.sample(one.samples[0]).name: one for one in report.suspects}
    assert {f"t{at}" for at in WRONG} <= set(found)
    one = found["t50"]
    assert {"text", "prototype", "heads", "neighbours"} <= set(one.evidence)
    before = bench.verdicts()
    relabelled = [each for each in report.suspects if each.proposal == "relabel"]
    assert relabelled
    auditing.accept(bench, report.suspects, who="ann")
    food = bench.label("food").id
    for each in relabelled:
        said = bench.verdicts([each.samples[0]])[each.samples[0]]
        assert said[each.labels[0]] == Verdict.NO
        assert said[each.labels[1]] == Verdict.YES
        assert food in each.labels
    bench.undo("ann")
    assert bench.verdicts() == before
    bench.close()


def test_words_beside_pictures_are_found_in_their_metadata() -> None:
    told = {"captions": ["a cat", "on a mat"], "tags": "grey", "size": 3, "title": None}
    assert audit_case.beside(told) == "a cat on a mat grey"
    assert audit_case.beside({}) == ""


def test_every_sample_has_its_nearest_others(bench: api.Workbench) -> None:
    vectors = bench.board.pooled
    near = audit_case.neighbours(bench, vectors)
    assert (near != np.arange(len(vectors))[:, None]).all()
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -2)
    best = -np.sort(-cosines, axis=1)[:, : near.shape[1]]
    np.testing.assert_allclose(np.take_along_axis(cosines, near, 1), best, atol=1e-5)


def test_who_accepts_decides_for_everybody_only_where_others_spoke(bench: api.Workbench) -> None:
    first, second = auditing.audit(bench, kinds=("label",)).suspects[:2]
    auditing.accept(bench, [first], who="me")
    pair = (first.samples[0], first.labels[0])
    assert bench.board.verdicts[pair].source == "person"
    auditing.accept(bench, [second], who="ann")
    pair = (second.samples[0], second.labels[0])
    assert bench.board.verdicts[pair].source == "adjudication"
    assert bench.board.verdicts[pair].verdict == second.proposal
