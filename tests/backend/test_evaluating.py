"""Comparisons on a real project: every cell is the samples its filter finds, twins for the rest."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score

from backend import api, score_tables
from backend.errors import BadInputError, MissingTruthError, NotFoundError
from backend.evaluating import Question
from backend.scorecard import FOLDS
from backend.settings import Settings
from backend.types import Lessons, Verdict
from tests.backend.text_projects import found, opened_copy

THINGS = ("cat", "dog", "bread", "soup", "bus")
FORMULA = "=1+cmd"
LABELS = (*THINGS, FORMULA)
SAID = ("yes", "no")


def answers() -> list[dict[str, object]]:
    """One hundred and twenty texts of one or two things, some answers missing, some unsure."""
    random = np.random.default_rng(11)
    rows: list[dict[str, object]] = []
    for number in range(120):
        about = {THINGS[number % 5], THINGS[int(random.integers(5))]}
        for label in LABELS:
            draw = random.random()
            if draw < 0.15:
                continue
            verdict = "unsure" if draw < 0.2 else "yes" if label in about else "no"
            if label == FORMULA:
                verdict = "yes"  # a label with only YES
            # One in ten is answered the wrong way round, so that nothing is perfect.
            if draw > 0.9 and verdict in SAID and label != FORMULA:
                verdict = SAID[1 - SAID.index(verdict)]
            rows.append({"sample": f"t{number}", "label": label, "verdict": verdict})
    return rows


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project, learned; never opened by a test itself."""
    folder = tmp_path_factory.mktemp("made")
    file = folder / "texts.jsonl"
    random = np.random.default_rng(11)
    rows = []
    for number in range(120):
        other = THINGS[int(random.integers(5))]
        [random.random() for _ in LABELS]
        text = f"{number}: a {THINGS[number % 5]} and a {other}"
        place = ("home", "town", "sea")[number % 3 - number % 2]
        rows.append(
            {
                "sample": f"t{number}",
                "text": text,
                "split": "val" if number % 3 == 0 else "train",
                "metadata": {"place": place, "n": number},
            }
        )
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = Settings(home=folder / "home", threads=1)
    bench = api.create_project("made", labels=LABELS, encoder="words", settings=settings)
    assert bench.add(file).imported == 120
    bench.correct(answers())
    bench.learn()
    bench.close()
    return bench.path


@pytest.fixture
def bench(made: Path, tmp_path: Path) -> Iterator[api.Workbench]:
    with opened_copy(made, tmp_path) as bench:
        yield bench


def cells(bench: api.Workbench) -> dict[tuple[int, int], Verdict]:
    return {
        (sample, label): verdict
        for sample, by_label in bench.verdicts().items()
        for label, verdict in by_label.items()
    }


@pytest.mark.parametrize("unknown", ["masked", "no", "complete"])
def test_every_count_of_a_label_is_the_samples_its_filters_find(
    bench: api.Workbench, unknown: str
) -> None:
    comparison = bench.evaluator.compare(Question("val", unknown=unknown))
    base = ["split:val", *(["complete:yes"] if unknown == "complete" else [])]
    assert comparison.table.num_samples > 5
    for one in comparison.labels():
        no = [f"label:{one.id}:no", *([f"label:{one.id}:unknown"] if unknown == "no" else [])]
        yes = f"label:{one.id}:yes"
        said, unsaid = f"said:{one.id}:yes", f"said:{one.id}:no"
        assert one.yes == len(found(bench, *base, yes))
        assert one.no == len(found(bench, *base, *no))
        assert one.hits == len(found(bench, *base, yes, said))
        assert one.misses == len(found(bench, *base, yes, unsaid))
        assert one.alarms == len(found(bench, *base, *no, said))
    assert sum(one.misses for one in comparison.labels()) > 0


def test_every_pair_of_labels_is_the_samples_its_filters_find(bench: api.Workbench) -> None:
    comparison = bench.evaluator.compare(Question("val"))
    ids = [label.id for label in bench.labels()]
    wrong = comparison.instead()
    pairs = list(zip(wrong.pairs.first, wrong.pairs.second, wrong.pairs.counts, strict=True))
    assert pairs
    for a, b, count in pairs:
        missed, alarm = ids[a], ids[b]
        filters = (f"label:{missed}:yes", f"said:{missed}:no", f"label:{alarm}:no")
        assert count == len(found(bench, "split:val", *filters, f"said:{alarm}:yes"))
    for column, label in enumerate(ids):
        alone = ("split:val", f"label:{label}:yes", f"said:{label}:no", "alarms:no")
        assert wrong.missed_alone[column] == len(found(bench, *alone))
        alone = ("split:val", f"label:{label}:no", f"said:{label}:yes", "misses:no")
        assert wrong.alarms_alone[column] == len(found(bench, *alone))
    both = comparison.together()
    assert len(both.shown.counts) > 3
    for at, (a, b) in enumerate(zip(both.shown.first, both.shown.second, strict=True)):
        shown = found(bench, "split:val", f"label:{ids[a]}:yes", f"label:{ids[b]}:yes")
        assert both.shown.counts[at] == len(shown)
        said = found(bench, "split:val", f"said:{ids[a]}:yes", f"said:{ids[b]}:yes")
        decided = [
            {s for s in said if cells(bench).get((s, ids[c])) in (Verdict.YES, Verdict.NO)}
            for c in (a, b)
        ]
        assert both.said[at] == len(decided[0] & decided[1])


def test_a_bin_of_the_reliability_diagram_is_the_samples_its_filter_finds(
    bench: api.Workbench,
) -> None:
    comparison = bench.evaluator.compare(Question("val"))
    label = next(one for one in comparison.labels() if one.ece is not None)
    bins = comparison.label(label.id).reliability
    val = {sample.id for sample in bench.samples() if sample.split == "val"}
    decided = [v for (s, n), v in cells(bench).items() if s in val and n == label.id]
    assert sum(bins.counts) == sum(verdict != Verdict.UNSURE for verdict in decided) > 0
    for (low, high), count in zip(bins.edges, bins.counts, strict=True):
        high = high if high < 1 else 2
        text = f"chance:{label.id}:{low:.6f}:{high:.6f}"
        assert count == len(found(bench, "split:val", text))


def test_the_numbers_are_those_of_sklearn_on_the_decided_pairs(bench: api.Workbench) -> None:
    told = bench.evaluate("val")
    comparison = bench.evaluator.compare(Question("val"))
    said = {(s.sample, x.label_id): x for s in bench.suggest() for x in s.suggestions}
    val = {sample.id for sample in bench.samples() if sample.split == "val"}
    by_label: dict[int, list[tuple[float, bool, bool]]] = {}
    for (sample, label), verdict in cells(bench).items():
        if sample in val and verdict != Verdict.UNSURE:
            one = said[sample, label]
            is_said = one.score > 0 if one.probability is None else one.probability >= 0.5
            by_label.setdefault(label, []).append((one.score, verdict == Verdict.YES, is_said))
    assert told.pairs == sum(map(len, by_label.values()))
    aps, f1s, everything = {}, [], []
    for label in bench.labels():
        scores, truth, predicted = (
            np.array(each) for each in zip(*by_label[label.id], strict=True)
        )
        if 0 < truth.sum() < len(truth):
            aps[label.name] = average_precision_score(truth, scores)
        f1s.append(f1_score(truth, predicted))
        everything.append((truth, predicted))
    assert dict(told.ap) == pytest.approx(aps)
    assert told.mAP == pytest.approx(np.mean(list(aps.values())))
    assert told.f1["threshold"]["CF1_mean"] == pytest.approx(np.mean(f1s))
    truth, predicted = (np.concatenate(each) for each in zip(*everything, strict=True))
    assert told.OF1 == told.f1["threshold"]["OF1"] == pytest.approx(f1_score(truth, predicted))
    assert told.CF1 == told.f1["threshold"]["CF1"] >= told.f1["threshold"]["CF1_mean"]
    low, high = told.intervals["mAP"]
    assert low < told.mAP < high
    assert set(told.ap_intervals) == set(told.ap)
    assert FORMULA not in told.ap, "a label with only YES has no ranking"
    assert comparison.evaluation() is bench.evaluator.compare(Question("val")).evaluation()


def test_what_becomes_of_undecided_pairs_is_said_and_done(bench: api.Workbench) -> None:
    masked, no, complete = (
        bench.evaluate("val", unknown=how) for how in ("masked", "no", "complete")
    )
    assert [each.unknown for each in (masked, no, complete)] == ["masked", "no", "complete"]
    val = {sample.id for sample in bench.samples() if sample.split == "val"}
    verdicts = {pair: v for pair, v in cells(bench).items() if pair[0] in val}
    unsure = sum(verdict == Verdict.UNSURE for verdict in verdicts.values())
    assert masked.pairs == len(verdicts) - unsure
    assert no.pairs == len(val) * len(LABELS) - unsure
    whole = {s for s in val if all((s, label.id) in verdicts for label in bench.labels())}
    assert complete.n == len(whole) < masked.n == len(val)
    with pytest.raises(BadInputError, match="undecided pairs can be masked, no, complete"):
        bench.evaluate("val", unknown="maybe")


def test_probabilities_of_held_back_samples_are_fitted_without_them(bench: api.Workbench) -> None:
    comparison = bench.evaluator.compare()
    table = comparison.table
    found = comparison.calibration()
    assert found.cross is not None
    calibrator, twin = bench.pipeline.calibrator, np.full(table.logits.shape, np.nan)
    for fold in range(FOLDS):
        there = np.flatnonzero(table.folds != fold)
        rows, columns = np.nonzero(table.known[there])
        targets = table.targets[there][rows, columns]
        state = calibrator.fit(table.logits[there], Lessons(rows, columns, targets))
        here = table.folds == fold
        twin[here] = calibrator.probabilities(state, table.logits[here])
    used = table.known & ~np.isnan(twin)
    assert found.cross.counts.sum() == used.sum()
    assert found.cross.brier == pytest.approx(
        ((twin[used] - table.targets[used]) ** 2).mean(), rel=1e-5
    )
    told = bench.evaluate()
    assert told.ece_cross_fitted == pytest.approx(found.cross.ece)
    assert told.ece == pytest.approx(found.shown.ece)
    # Samples that took no part in calibration need none of this.
    assert bench.evaluate("val").ece_cross_fitted is None
    assert bench.evaluator.compare(Question("val")).calibration().why == "unseen"


def test_a_slice_is_what_its_filter_evaluates_to(bench: api.Workbench) -> None:
    keys = {key.key: key.values for key in bench.evaluator.slice_keys()}
    # "n" has a value of its own for each sample: nothing to slice by.
    assert keys == {"label": len(LABELS), "meta:place": 3}
    for by in keys:
        slices = bench.evaluator.slices(by, Question("val"))
        assert len(slices) > 1
        for one in slices:
            told = bench.evaluate("val", filters=[one.filter])
            assert (one.n, one.pairs, one.mAP) == (told.n, told.pairs, told.mAP)
            assert (one.CF1, one.OF1, one.ece) == (told.CF1, told.OF1, told.ece)
            assert told.slice == (one.filter,)
    places = bench.evaluator.slices("meta:place", Question("val"))
    assert sum(one.n for one in places) == bench.evaluate("val").n
    with pytest.raises(BadInputError, match="no 'meta:n' to slice by; there is label, meta:place"):
        bench.evaluator.slices("meta:n")


def test_a_saved_slice_is_evaluated_and_follows_what_is_in_it(bench: api.Workbench) -> None:
    ids = [sample.id for sample in bench.samples()]
    decided = {sample for sample, said in bench.verdicts().items() if said}
    val = {sample.id for sample in bench.samples() if sample.split == "val"} & decided
    bench.save_slice("third", ids[::3])
    bench.save_slice("first half", ids[: len(ids) // 2])
    for filters, twin in (
        (["slice:third"], {*ids[::3]}),
        (["slice:Third", "slice:first half"], {*ids[::3], *ids[: len(ids) // 2]}),
    ):
        assert bench.evaluate("val", filters=filters).n == len(twin & val) > 1
    sizes = {one.name: one.n for one in bench.evaluator.slices("slice", Question("val"))}
    assert sizes["third"] == len(val & {*ids[::3]})
    bench.take_from_slice("third", ids[::6])
    assert bench.evaluate("val", filters=["slice:third"]).n == len(val & {*ids[3::6]})
    bench.remove_slice("first half")
    with pytest.raises(NotFoundError, match="no slice 'first half'; there are 'third'"):
        bench.evaluate("val", filters=["slice:first half"])
    bench.remove_slice("third")
    assert "slice" not in {key.key for key in bench.evaluator.slice_keys()}


def test_filters_may_name_labels_and_are_refused_with_a_sentence(bench: api.Workbench) -> None:
    cat = bench.label("cat").id
    by_name = bench.evaluate("val", filters=["label:cat:yes"])
    assert by_name.n == bench.evaluate("val", filters=[f"label:{cat}:yes"]).n > 0
    for text, words in (
        ("label:cat:maybe", "'maybe' is no verdict"),
        ("chance:cat:0.5:0.2", "cannot be read"),
        ("chance:cat:nan:1", "cannot be read"),
        ("colour:red", "cannot be read"),
        ("complete:perhaps", "cannot be read"),
    ):
        with pytest.raises(BadInputError, match=words):
            bench.evaluate("val", filters=[text])
    with pytest.raises(NotFoundError, match="no label 'cow'"):
        bench.evaluate("val", filters=["label:cow:yes"])
    with pytest.raises(MissingTruthError, match="in this slice"):
        bench.evaluate("val", filters=["meta:place:moon"])


def test_a_chosen_threshold_counts_and_is_taken_back_by_undo(bench: api.Workbench) -> None:
    cat, dog = bench.label("cat").id, bench.label("dog").id
    question = Question("val")
    curve = bench.evaluator.compare(question).label(cat)
    before = curve.score
    limit = curve.wishes["recall"]
    bench.evaluator.set_thresholds({cat: limit, dog: 1.0})
    after = bench.evaluator.compare(question).label(cat).score
    assert (after.threshold, after.is_chosen, before.is_chosen) == (limit, True, False)
    at = np.flatnonzero(curve.curve.thresholds >= limit)[-1]
    assert (after.hits, after.hits + after.alarms) == (
        curve.curve.hits[at],
        curve.curve.predicted[at],
    )
    assert after.recall >= 0.9
    assert bench.evaluator.compare(question).label(dog).score.hits == 0
    told = bench.evaluate("val")
    assert dict(told.thresholds) == {"cat": limit, "dog": 1.0}
    assert len(found(bench, "split:val", f"said:{dog}:yes")) == 0
    everybody = [sample.id for sample in bench.samples()]
    said = bench.evaluator.suggested(everybody)
    assert {s for s in everybody if cat in said[s]} == found(bench, f"said:{cat}:yes")
    assert bench.store.newest_deed("me").kind == "set thresholds"
    receipt = bench.undo()
    assert bench.evaluator.thresholds() == {}
    assert bench.evaluator.compare(question).label(cat).score == before
    bench.undo(op=receipt.op)  # naming it brings it back
    assert bench.evaluator.thresholds() == {cat: limit, dog: 1.0}
    bench.evaluator.set_thresholds({dog: None})
    assert bench.evaluator.thresholds() == {cat: limit}


def test_thresholds_follow_a_label_that_is_renamed_merged_or_removed(
    bench: api.Workbench, tmp_path: Path
) -> None:
    cat, dog, soup = (bench.label(name).id for name in ("cat", "dog", "soup"))
    bench.evaluator.set_thresholds({cat: 0.3, dog: 0.4, soup: 0.6})
    bench.rename_label("cat", "kitten")
    assert dict(bench.evaluate("val").thresholds) == {"kitten": 0.3, "dog": 0.4, "soup": 0.6}
    bench.merge_labels("dog", "kitten")
    assert bench.evaluator.thresholds() == {cat: 0.3, soup: 0.6}
    bench.undo()
    assert bench.evaluator.thresholds() == {cat: 0.3, dog: 0.4, soup: 0.6}
    bench.remove_label("soup")
    assert bench.evaluator.thresholds() == {cat: 0.3, dog: 0.4}
    bench.compact()
    assert bench.evaluator.thresholds() == {cat: 0.3, dog: 0.4}
    bench.close()
    again = api.open_project(bench.path, settings=Settings(home=tmp_path, threads=1))
    assert again.evaluator.thresholds() == {cat: 0.3, dog: 0.4}
    again.close()


@pytest.mark.parametrize("value", [-0.1, 1.5, float("nan")])
def test_a_threshold_is_a_probability(bench: api.Workbench, value: float) -> None:
    cat, dog = bench.label("cat").id, bench.label("dog").id
    with pytest.raises(BadInputError, match="a threshold is a probability from 0 to 1"):
        bench.evaluator.set_thresholds({dog: 0.4, cat: value})
    with pytest.raises(NotFoundError, match="no label 999"):
        bench.evaluator.set_thresholds({dog: 0.4, 999: 0.4})
    assert bench.evaluator.thresholds() == {}


def test_tables_hold_what_the_comparison_says_and_run_nothing(bench: api.Workbench) -> None:
    comparison = bench.evaluator.compare(Question("val"))

    def read(rows: list) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(score_tables.csv_of(rows))))

    labels = read(score_tables.table("labels", comparison))
    assert [row["label"] for row in labels] == [*THINGS, f"'{FORMULA}"]
    for row, one in zip(labels, comparison.labels(), strict=True):
        assert (int(row["yes"]), int(row["false alarms"])) == (one.yes, one.alarms)
        assert float(row["ap"] or "nan") == pytest.approx(
            float("nan") if one.ap is None else one.ap, rel=1e-5, nan_ok=True
        )
    assert labels[-1]["ap"] == ""
    told = comparison.evaluation()
    scores = {(r["measure"], r["predicted by"]): r for r in read(score_tables.scores(comparison))}
    assert float(scores["mAP", ""]["value"]) == pytest.approx(told.mAP, rel=1e-5)
    for way, found_ in told.f1.items():
        assert float(scores["OF1", way]["value"]) == pytest.approx(found_["OF1"], rel=1e-5)
    instead = read(score_tables.instead(comparison))
    assert sum(int(r["samples"]) for r in instead if r["missed"] and not r["said instead"]) == int(
        comparison.instead().missed_alone.sum()
    )
    bins = read(score_tables.calibration(comparison))
    assert sum(int(row["pairs"]) for row in bins) == int(
        (comparison.table.known & comparison.table.is_calibrated).sum()
    )
    together = read(score_tables.together(comparison))
    assert all(int(row["both yes"]) <= int(row["both decided"]) for row in together)
    curve = read(score_tables.trade_off(comparison.label(bench.label("cat").id)))
    assert [float(row["recall"]) for row in curve][-1] == 1
    slices = bench.evaluator.slices("meta:place", Question("val"))
    assert {row["meta:place"] for row in read(score_tables.slices(slices, "meta:place"))} == {
        one.name for one in slices
    }
    points = bench.packs.curve()
    assert len(read(score_tables.learning_curve(points))) == len(points) > 0
    with pytest.raises(BadInputError, match="no table 'moon'; there are scores, labels"):
        score_tables.table("moon", comparison)


def test_no_verdicts_are_an_empty_comparison(settings: Settings, tmp_path: Path) -> None:
    bench = api.create_project("none", labels=["cat"], encoder="words", settings=settings)
    try:
        comparison = bench.evaluator.compare()
        assert comparison.table.num_samples == 0
        told = comparison.evaluation()
        assert (told.mAP, told.CF1, told.ece, told.n, told.intervals) == (None, None, None, 0, {})
        assert [one.ap for one in comparison.labels()] == [None]
        assert comparison.label(comparison.labels()[0].id).curve.thresholds.size == 0
        assert len(comparison.instead().pairs.counts) == len(comparison.together().known) == 0
        assert comparison.calibration().why == "uncalibrated"
        for name in score_tables.TABLES:
            assert len(score_tables.csv_of(score_tables.table(name, comparison)).splitlines()) >= 1
        assert bench.evaluator.slices("label") == []
    finally:
        bench.close()


def test_five_thousand_labels_are_judged_by_those_that_were_decided(
    settings: Settings, tmp_path: Path
) -> None:
    file = tmp_path / "texts.jsonl"
    rows = [
        {"sample": f"t{i}", "text": f"{i} a {THINGS[i % 5]}", "split": "val"} for i in range(20)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    names = [*THINGS, *(f"label {number}" for number in range(5_000 - len(THINGS)))]
    bench = api.create_project("many", labels=names, encoder="words", settings=settings)
    try:
        bench.add(file)
        bench.correct(
            [
                # Four are said to show what they do not name, which is missed.
                {"sample": f"t{i}", "label": name, "verdict": "yes" if shown == k else "no"}
                for i in range(20)
                for shown in [(i + (i > 15)) % 5]
                for k, name in enumerate(THINGS)
            ]
        )
        comparison = bench.evaluator.compare(Question("val"))
        assert set(comparison.evaluation().ap) == set(THINGS)
        assert len(comparison.labels()) == 5_000
        assert sum(one.yes for one in comparison.labels()) == 20
        # Where everything else is NO, every label takes part, and all is still counted.
        whole = bench.evaluator.compare(Question("val", unknown="no"))
        assert whole.evaluation().pairs == 20 * 5_000
        wrong, table = whole.instead(), whole.table
        misses = (table.said < (table.targets > 0)).sum(axis=1)
        alarms = (table.said > (table.targets > 0)).sum(axis=1)
        assert table.known.all()
        assert misses.sum() > 0
        assert alarms.sum() > 0
        # A sample with two misses and three false alarms is in six pairs; with none in no pair.
        assert wrong.pairs.counts.sum() == (misses * alarms).sum()
        assert wrong.missed_alone.sum() == misses[alarms == 0].sum()
        assert wrong.alarms_alone.sum() == alarms[misses == 0].sum()
    finally:
        bench.close()
