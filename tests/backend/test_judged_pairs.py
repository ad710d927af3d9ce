"""Samples behind the figures of the evaluation: each filter finds those of a recount by hand."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from backend import api, score_tables
from backend.agreeing import matching, read_key
from backend.errors import BadInputError, NotFoundError
from backend.evaluating import Question
from backend.pair_filters import read_what
from backend.settings import Settings
from backend.types import Verdict
from tests.backend.text_projects import found, opened_copy

THINGS = ("cat", "dog", "bread", "soup", "bus")
ONLY_YES, ONLY_NO = "always", "never"
LABELS = (*THINGS, ONLY_YES, ONLY_NO)
YES, NO = Verdict.YES, Verdict.NO


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Texts of one or two things, a fifth of the answers missing, some wrong; two packs."""
    folder = tmp_path_factory.mktemp("behind")
    random, rows, answers = np.random.default_rng(5), [], []
    for number in range(120):
        about = {THINGS[number % 5], THINGS[int(random.integers(5))]}
        rows.append(
            {
                "sample": f"t{number}",
                "text": f"{number}: a {' and a '.join(sorted(about))}",
                "split": "val" if number % 3 == 0 else "train",
                "metadata": {"place": ("home", "town")[number % 2]},
            }
        )
        for label in LABELS:
            draw = random.random()
            is_so = (label in about) != (draw > 0.9) or label == ONLY_YES
            is_so = is_so and label != ONLY_NO
            if draw > 0.2:
                verdict = "unsure" if draw < 0.24 else "yes" if is_so else "no"
                answers.append({"sample": f"t{number}", "label": label, "verdict": verdict})
    file = folder / "texts.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = Settings(home=folder / "home", threads=1)
    bench = api.create_project("behind", labels=LABELS, encoder="words", settings=settings)
    bench.add(file)
    bench.packs.move(["soup", "bread"], "warm")
    bench.correct(answers)
    bench.learn()
    bench.close()
    return bench.path


@pytest.fixture
def bench(made: Path, tmp_path: Path) -> Iterator[api.Workbench]:
    with opened_copy(made, tmp_path) as bench:
        yield bench


class Recount:
    """The pairs of the validation samples, counted one at a time."""

    def __init__(self, bench: api.Workbench, unknown: str):
        ids = {label.id: label for label in bench.labels()}
        val = {sample.id for sample in bench.samples() if sample.split == "val"}
        given = {
            (s, n): verdict
            for s, by_label in bench.verdicts().items()
            for n, verdict in by_label.items()
            if s in val
        }
        self.truth: dict[tuple[int, int], bool] = {}
        for sample in val:
            own = {n: given[sample, n] for n in ids if (sample, n) in given}
            decided = {n: verdict == YES for n, verdict in own.items() if verdict in (YES, NO)}
            if unknown == "no" and decided:
                decided |= {n: False for n in ids if n not in own}
            if unknown == "complete" and len(own) < len(ids):
                decided = {}
            self.truth |= {(sample, n): is_yes for n, is_yes in decided.items()}
        self.chance, self.at_half, self.top = {}, {}, {}
        self.is_calibrated = set()
        for told in bench.suggest():
            by_chance = []
            for one in told.suggestions:
                pair = (told.sample, one.label_id)
                chance = one.probability
                if chance is None:
                    chance = 1 / (1 + math.exp(-one.score))
                else:
                    self.is_calibrated.add(pair)
                self.chance[pair] = chance
                self.at_half[pair] = one.score > 0 if one.probability is None else chance >= 0.5
                by_chance.append((-np.float32(chance), list(ids).index(one.label_id), pair))
            for _, _, pair in sorted(by_chance)[:3]:
                self.top[pair] = True
        yes = {n for (_, n), is_yes in self.truth.items() if is_yes}
        no = {n for (_, n), is_yes in self.truth.items() if not is_yes}
        self.scopes = {"any": set(ids), "shown": yes, "ranked": yes & no}

    def said(self, way: str) -> dict[tuple[int, int], bool]:
        return self.at_half if way == "threshold" else self.top

    def rows(self, scope: str | int, test) -> set[int]:
        labels = self.scopes[scope] if isinstance(scope, str) else {scope}
        return {s for (s, n), is_yes in self.truth.items() if n in labels and test((s, n), is_yes)}


WHATS = {
    "decided": lambda said, yes: True,
    "yes": lambda said, yes: yes,
    "no": lambda said, yes: not yes,
    "said": lambda said, yes: said,
    "hit": lambda said, yes: said and yes,
    "missed": lambda said, yes: yes and not said,
    "alarm": lambda said, yes: said and not yes,
    "wrong": lambda said, yes: said != yes,
}


@pytest.mark.parametrize("unknown", ["masked", "no", "complete"])
def test_a_filter_finds_the_samples_of_a_recount(bench: api.Workbench, unknown: str) -> None:
    twin = Recount(bench, unknown)
    assert len(twin.scopes["ranked"]) < len(twin.scopes["any"]), "the scopes differ"
    labels = [bench.label(name).id for name in ("soup", ONLY_YES, ONLY_NO)]
    sizes = set()
    for scope in ("any", "shown", "ranked", *labels):
        for what, test in WHATS.items():
            for way in ("threshold", "top-3"):
                if way == "top-3" and what in ("decided", "yes", "no"):
                    continue
                said = twin.said(way)
                wanted = twin.rows(scope, lambda pair, y, s=said, f=test: f(s.get(pair, False), y))
                more = "" if way == "threshold" else f":{way}"
                text = f"judged:{unknown}:{scope}:{what}{more}"
                assert found(bench, "split:val", text) == wanted, text
                sizes.add(len(wanted))
    assert len(sizes) > 5, "the filters tell samples apart"


@pytest.mark.parametrize("unknown", ["masked", "no"])
def test_each_figure_of_the_summary_tells_its_samples(bench: api.Workbench, unknown: str) -> None:
    comparison = bench.evaluator.compare(Question("val", unknown=unknown))
    twin, figures = Recount(bench, unknown), comparison.figures()
    parts = {
        "CF1": ("shown", "decided", "hit", "wrong"),
        "CF1_mean": ("shown", "decided", "hit", "wrong"),
        "OF1": ("any", "decided", "hit", "wrong"),
        "CP": ("shown", "said", "hit", "alarm"),
        "CR": ("shown", "yes", "hit", "missed"),
        "OP": ("any", "said", "hit", "alarm"),
        "OR": ("any", "yes", "hit", "missed"),
    }
    told = comparison.evaluation()
    assert set(parts) == set(told.f1["threshold"])
    assert set(figures["OP"]) == set(told.f1)
    for name, (scope, *whats) in parts.items():
        for way in ("threshold", "top-3"):
            said, figure = twin.said(way), figures[name][way]
            for what, behind in zip(whats, (figure.all, figure.right, figure.wrong), strict=True):
                test = WHATS[what]
                wanted = twin.rows(scope, lambda pair, y, s=said, f=test: f(s.get(pair, False), y))
                assert found(bench, "split:val", behind.filter) == wanted, (name, way, what)
                assert behind.samples == len(wanted)
        best = figures[name]["best-threshold"]
        table = comparison.table
        columns = [c for c, label in enumerate(table.labels) if label.id in twin.scopes[scope]]
        wrong = table.known & (table.best_said != (table.targets > 0))
        if whats[-1] == "wrong":
            rows = wrong[:, columns].any(axis=1)
            assert found(bench, "split:val", best.wrong.filter) == set(table.ids[rows].tolist())
    for name, scope in (("mAP", "ranked"), ("mAP_weighted", "ranked"), ("mAP_micro", "any")):
        wanted = twin.rows(scope, lambda pair, y: True)
        assert found(bench, "split:val", figures[name][""].all.filter) == wanted
    wanted = twin.rows("any", lambda pair, y: pair in twin.is_calibrated)
    assert found(bench, "split:val", figures["ece"][""].all.filter) == wanted
    assert "ece_cross_fitted" not in figures, "these took no part in fitting"
    rows = {(r[0], r[1]): r[-3:] for r in score_tables.scores(comparison)}
    op = figures["OP"]["top-3"]
    assert rows["OP", "top-3"] == (op.all.samples, op.right.samples, op.wrong.samples)


def test_bins_are_the_pairs_that_the_diagrams_count(bench: api.Workbench) -> None:
    twin = Recount(bench, "masked")
    comparison = bench.evaluator.compare(Question("val"))
    shown = comparison.calibration().shown
    counted = 0
    for (low, _), n in zip(shown.edges, shown.counts, strict=True):
        at = round(low * 15)
        pairs = [
            pair
            for pair in twin.truth
            if pair in twin.is_calibrated and min(int(twin.chance[pair] * 15), 14) == at
        ]
        assert len(pairs) == n
        text = f"judged:masked:any:stated:15:{at}"
        assert found(bench, "split:val", text) == {s for s, _ in pairs}
        counted += 1
    assert counted > 3
    cat = bench.label("cat").id
    yes, no = comparison.label(cat).spread(20)
    for what, counts in (("yes", yes), ("no", no)):
        for at, n in enumerate(counts):
            rows = found(bench, "split:val", f"judged:masked:{cat}:{what}:20:{at}")
            assert len(rows) == n
    assert yes.sum() + no.sum() == len(found(bench, "split:val", f"judged:masked:{cat}:decided"))


def test_crossed_bins_are_those_of_the_curve_fitted_without_them(bench: api.Workbench) -> None:
    comparison = bench.evaluator.compare()
    cross, table = comparison._cross, comparison.table
    told = comparison.calibration().cross
    assert told is not None
    for (low, _), n in zip(told.edges, told.counts, strict=True):
        at = round(low * 15)
        known = table.known & ~np.isnan(cross)
        bins = np.minimum((np.nan_to_num(cross).astype(float) * 15).astype(int), 14)
        inside = known & (bins == at)
        assert inside.sum() == n
        text = f"judged:masked:any:crossed:15:{at}"
        rows = set(table.ids[inside.any(axis=1)].tolist())
        assert found(bench, "held-back:yes", text) == rows
    figure = comparison.figures()["ece_cross_fitted"][""].all
    assert figure.samples == len(found(bench, "held-back:yes", figure.filter)) > 0


def test_a_threshold_of_the_curve_finds_what_it_counts(bench: api.Workbench) -> None:
    soup = bench.label("soup").id
    curve = bench.evaluator.compare(Question("val")).label(soup).curve
    for k in range(0, len(curve.thresholds), 5):
        way = json.loads(json.dumps(float(curve.thresholds[k])))
        said = found(bench, "split:val", f"judged:masked:{soup}:said:{way}")
        hits = found(bench, "split:val", f"judged:masked:{soup}:hit:{way}")
        assert (len(said), len(hits)) == (curve.predicted[k], curve.hits[k])


def test_misses_and_alarms_alone(bench: api.Workbench) -> None:
    twin = Recount(bench, "no")
    wrong = {s: {"missed": set(), "alarm": set()} for s, _ in twin.truth}
    for (sample, label), is_yes in twin.truth.items():
        if twin.at_half[sample, label] != is_yes:
            wrong[sample]["missed" if is_yes else "alarm"].add(label)
    seen = 0
    for label in bench.labels():
        for what, mine, other in (("alone", "missed", "alarm"), ("idle", "alarm", "missed")):
            wanted = {s for s, w in wrong.items() if label.id in w[mine] and not w[other]}
            assert found(bench, "split:val", f"judged:no:{label.id}:{what}") == wanted
            seen += len(wanted)
    assert seen > 5


def test_what_was_accepted_in_bulk_is_behind_no_figure(bench: api.Workbench) -> None:
    """The evaluation leaves out what nobody looked at, and so do the samples that it opens."""
    cat = bench.label("cat").id
    val = {sample.id for sample in bench.samples() if sample.split == "val"}
    free = next(s for s in sorted(val) if cat not in bench.verdicts()[s])
    bench.store.log.append(
        [api_row(free, cat)], who="ann", op="accepted-in-bulk", version=1, source="certain:0.9"
    )
    bench.refresh(bench.version, timeout=5)
    assert bench.verdicts()[free][cat] == YES
    assert free in found(bench, "split:val", f"label:{cat}:yes")
    assert free not in found(bench, "split:val", f"judged:masked:{cat}:decided")
    one = next(o for o in bench.evaluator.compare(Question("val")).labels() if o.id == cat)
    assert one.yes == len(found(bench, "split:val", f"judged:masked:{cat}:yes"))


def api_row(sample: int, label: int):
    from backend.store.corrections import NewCorrection

    return NewCorrection(sample, label, YES)


def test_filters_narrow_in_turn_and_a_slice_counts_what_is_left(bench: api.Workbench) -> None:
    cat, dog = (bench.label(name).id for name in ("cat", "dog"))
    both = found(bench, "split:val", f"judged:masked:{cat}:missed", f"judged:masked:{dog}:alarm")
    one = found(bench, "split:val", f"judged:masked:{cat}:missed")
    other = found(bench, "split:val", f"judged:masked:{dog}:alarm")
    assert both == one & other
    text = f"judged:masked:{cat}:decided"
    home = [*found(bench, "split:val", "meta:place:home", text)]
    assert bench.evaluate("val", filters=["meta:place:home", text]).n == len(home) > 0
    for slice_ in bench.evaluator.slices("meta:place", Question("val")):
        rows = found(bench, "split:val", slice_.filter, "judged:masked:any:decided")
        assert len(rows) == slice_.n
        inside = bench.evaluator.compare(Question("val", (slice_.filter,)))
        best = inside.figures()["OF1"]["best-threshold"].wrong
        # The best thresholds are those of the slice, not of all samples.
        assert len(found(bench, "split:val", slice_.filter, best.filter)) == best.samples


def test_the_learning_curve_opens_the_samples_of_a_pack(bench: api.Workbench) -> None:
    warm = {bench.label(name).id for name in ("soup", "bread")}
    board = bench.board
    held = {int(i) for i in board.ids[board.held_back]}
    verdicts = bench.verdicts()
    decided = {
        (s, n): verdicts[s][n] for s in held for n in warm if verdicts[s].get(n) in (YES, NO)
    }
    both = {n for n in warm if {v for (_, m), v in decided.items() if m == n} == {YES, NO}}
    wanted = {s for s, n in decided if n in both}
    assert len(wanted) > 3
    assert found(bench, "held-back:yes", "judged:masked:ranked:decided:warm") == wanted
    assert found(bench, "held-back:yes", "judged:masked:ranked:decided:cold") == set()


@pytest.mark.parametrize(
    "text",
    [
        *("judged:maybe:any:hit", "judged:masked:any:moon", "judged:masked:any", "judged:masked"),
        *("judged:masked:any:stated", "judged:masked:any:stated:15:15", "judged:no:any:yes:3"),
        *("judged:masked:any:hit:top-4", "judged:masked:any:hit:2", "judged:masked:any:alone:1"),
        *("judged:masked:any:left:1", "judged:masked:any:left:nan", "judged:masked:any:hit:nan"),
        *("agreement:any:moon", "agreement:disputed", "voice:given:", "voice:moon:me"),
    ],
)
def test_what_cannot_be_read_is_said(text: str) -> None:
    with pytest.raises(BadInputError, match=f"the filter '{text}' cannot be read"):
        api.parse_conditions([text])


def test_labels_may_be_named_and_are_missed_when_gone(bench: api.Workbench) -> None:
    cat = bench.label("cat").id
    by_name = found(bench, "split:val", "judged:masked:cat:missed")
    assert by_name == found(bench, "split:val", f"judged:masked:{cat}:missed")
    bench.rename_label("cat", "cat: tabby")
    # The name with a colon; its scores are others, since the name is part of them.
    by_id = found(bench, "split:val", f"judged:masked:{cat}:missed")
    assert found(bench, "split:val", "judged:masked:cat: tabby:missed") == by_id
    with pytest.raises(NotFoundError, match="no label 'cow'"):
        bench.evaluator.conditions(["judged:masked:cow:missed"])
    with pytest.raises(NotFoundError, match="no label has the id 999"):
        bench.evaluator.matching(api.parse_conditions(["judged:masked:999:missed"]))
    assert read_what("hit:0").way == 0.0
    assert read_what("hit").way == "threshold"


def test_people_and_labels_of_the_agreement_open_their_samples(bench: api.Workbench) -> None:
    """Every count of the two tables against the log, read row by row."""
    rows = [
        ("t0", "cat", "ann", "yes"), ("t0", "cat", "ben", "no"), ("t3", "cat", "ann", "no"),
        ("t3", "cat", "ben", "no"), ("t6", "dog", "ann", "yes"), ("t6", "dog", "ben", "yes"),
        ("t6", "dog", "eve", "no"), ("t9", "dog", "eve", "no"), ("t0", "dog", "ben", "unsure"),
    ]  # fmt: skip
    for name, label, who, verdict in rows:
        bench.correct([{"sample": name, "label": label, "verdict": verdict}], who=who)
    bench.people.adjudicate([(bench.sample("t6").id, bench.label("dog").id, YES)], who="ann")
    words: dict[tuple[int, int], dict[str, str]] = {}
    for row in bench.store.log.since(0):
        if row.verdict is not None and row.source != "adjudication":
            words.setdefault((row.sample, row.label), {})[row.who] = row.verdict
    twice = {pair: said for pair, said in words.items() if len(said) > 1}
    told, board = bench.people.agreement(), bench.board

    def opened(*parts: str) -> set[int]:
        return found(bench, ":".join(parts))

    for one in told.people:
        given = {s for (s, _), said in words.items() if one.who in said}
        shared = {s for (s, _), said in twice.items() if one.who in said}
        apart = {
            s for (s, _), said in twice.items() if one.who in said and len({*said.values()}) > 1
        }
        assert opened("voice", "given", one.who) == given
        assert opened("voice", "shared", one.who) == shared
        assert opened("voice", "apart", one.who) == apart
        assert one.verdicts == sum(one.who in said for said in words.values())
    assert {one.who for one in told.people} >= {"ann", "ben", "eve"}
    decided = (bench.sample("t6").id, bench.label("dog").id)
    for label in told.labels:
        if not label.pairs:
            continue
        mine = {s: said for (s, n), said in twice.items() if n == label.label_id}
        agreed = {s for s, said in mine.items() if len({*said.values()}) == 1}
        apart = {s for s in mine if s not in agreed and (s, label.label_id) != decided}
        assert opened("agreement", str(label.label_id), "twice") == set(mine)
        assert opened("agreement", label.label, "agreed") == agreed
        assert opened("agreement", str(label.label_id), "disputed") == apart
        assert (label.pairs, label.agreed, label.disputed) == (len(mine), len(agreed), len(apart))
    assert opened("agreement", "any", "adjudicated") == {decided[0]}
    assert len(opened("agreement", "any", "tied")) == 1
    assert read_key("voice", "given:a:b") == ("voice:given", "a:b"), "a name may hold a colon"
    assert not matching(board, "voice:given", ["nobody"]).any()


def test_a_file_is_a_voice_where_files_count(bench: api.Workbench, tmp_path: Path) -> None:
    file = tmp_path / "labels.jsonl"
    file.write_text('{"sample": "t1", "label": "cat", "verdict": "no"}\n')
    bench.add(file)
    voice = next(
        one.who for one in bench.people.agreement(with_files=True).people if ":" in one.who
    )
    t1 = {bench.sample("t1").id}
    assert found(bench, f"voice:given+files:{voice}") == t1
    assert found(bench, f"voice:given:{voice}") == set()
    with_files = found(bench, "agreement:any:twice+files")
    assert with_files - found(bench, "agreement:any:twice") <= t1
