"""Whom learners trust: from when on, what it changes, and that the log gives it back."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from backend import api, learning, replay, trusting
from backend.__main__ import main
from backend.board import Board, weigher
from backend.learning import TRUST
from backend.numerics import trust as formula
from backend.settings import Settings
from backend.store.voices import folded
from backend.types import Correction, Label, Trust, Verdict

YES, NO, UNSURE = Verdict.YES, Verdict.NO, Verdict.UNSURE
LABELS = ("animal", "food", "transport", "weather")
NUM = 40


@pytest.fixture
def bench(settings: Settings, tmp_path: Path) -> Iterator[api.Workbench]:
    path = tmp_path / "texts.jsonl"
    about = ("a dog in the yard", "bread and soup", "the late train", "rain all day")
    rows = [{"sample": f"t{i}", "text": f"{about[i % 4]}, note {i}"} for i in range(NUM)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    made = api.create_project("words", labels=LABELS, encoder="words", settings=settings)
    made.add(path)
    yield made
    made.close()


def judged(who: str, numbers: range, *, is_wrong: int = 0, says: int = 4) -> list[dict[str, str]]:
    """What a person says of texts; of every `is_wrong`-th pair the opposite of what is so.

    Ben and Eve are never wrong of the same pair.
    """
    rows = []
    for i in numbers:
        for k, label in enumerate(LABELS[:says]):
            is_so = i % 4 == k
            if is_wrong and (i * len(LABELS) + k) % is_wrong == (who == "ben"):
                is_so = not is_so
            rows.append({"sample": f"t{i}", "label": label, "verdict": "yes" if is_so else "no"})
    return rows


def three(bench: api.Workbench, numbers: range = range(20)) -> None:
    """Ann is right, Ben often, Eve mostly wrong; Eve alone judges some more."""
    bench.correct(judged("ann", numbers), who="ann")
    bench.correct(judged("ben", numbers, is_wrong=6), who="ben")
    bench.correct(judged("eve", numbers, is_wrong=3), who="eve")
    bench.correct(judged("eve", range(28, 36), is_wrong=3), who="eve")


def kinds(bench: api.Workbench) -> list[str]:
    return [step.kind for step in bench.versions()]


def reopened(bench: api.Workbench, settings: Settings, *, without_files: bool) -> api.Workbench:
    bench.close()
    if without_files:
        shutil.rmtree(bench.path / "cache" / "versions")
    return api.open_project(bench.path, settings=settings)


def same(one: learning.Learned, other: learning.Learned) -> None:
    assert (one.version, one.labels, one.trust) == (other.version, other.labels, other.trust)
    for arrays, twins in ((one.learner, other.learner), (one.calibrator, other.calibrator)):
        assert arrays.keys() == twins.keys()
        for name, array in arrays.items():
            np.testing.assert_array_equal(array, twins[name])


def test_one_person_and_a_few_shared_pairs_change_nothing(bench: api.Workbench) -> None:
    bench.correct(judged("ann", range(20)), who="ann")
    bench.correct(judged("ben", range(7), is_wrong=3), who="ben")  # 28 pairs
    bench.learn()
    assert (kinds(bench), bench.learned.trust) == (["fold"], None)
    assert "trust" not in bench.learned.info()
    assert not bench.trusting.is_due()
    twin, _ = learning.fold_in(
        bench.pipeline,
        bench.board,
        learning.start(bench.pipeline),
        verdicts=bench.board.verdicts,
        changed={label for _, label in bench.board.verdicts},
        version=1,
        offset=bench.offset,
    )
    same(bench.learned, twin)
    bench.correct(judged("ben", range(7, 8)), who="ben")
    bench.learn()
    assert bench.learned.trust is not None
    assert bench.learned.trust.people.keys() == {"ann", "ben"}


def test_who_errs_more_is_trusted_less_and_heads_are_of_those_weights(
    bench: api.Workbench,
) -> None:
    three(bench)
    bench.learn()
    assert kinds(bench) == ["fold", TRUST]
    trust = bench.learned.trust
    assert trust is not None
    (ann, ben, eve) = (trust.rates(who) for who in ("ann", "ben", "eve"))
    assert ann[0] > ben[0] > eve[0]
    assert ann[1] < ben[1] < eve[1]
    # the weights are those of the formula, from the words on the pair alone
    board, label = bench.board, bench.label("animal").id
    lessons = board.lessons(board.verdicts, {label: 0}, board.trainable, trust=trust)
    assert lessons.weights is not None
    said: dict[str, dict[str, bool]] = {}
    for row in bench.store.log.since(0):
        if row.label == label:
            name = board.samples[board.row_of[row.sample]].name
            said.setdefault(name, {})[row.who] = row.verdict is YES
    for row, target, weight in zip(lessons.rows, lessons.targets, lessons.weights, strict=True):
        votes = [(*trust.rates(who), yes) for who, yes in said[board.samples[row].name].items()]
        told = formula.weight(votes, bool(target), often=trust.often)
        assert weight == pytest.approx(told)
    # and so are the heads
    twin, _ = learning.fold_in(
        bench.pipeline,
        board,
        replay.at_version(bench.store, bench.pipeline, board, bench.live.room, 1),
        verdicts=board.verdicts,
        changed=[int(one) for one in bench.versions()[-1].detail["labels"]],
        version=2,
        offset=bench.offset,
        trust=trust,
    )
    same(bench.learned, twin)


def test_a_fold_in_goes_on_with_the_trust_of_the_version_before(bench: api.Workbench) -> None:
    three(bench)
    bench.learn()
    trust = bench.learned.trust
    before = bench.learned.learner["weights"].copy()
    bench.correct([{"sample": "t37", "label": "food", "verdict": "yes"}], who="eve")
    bench.learn()
    assert (kinds(bench)[-1], bench.learned.trust) == ("fold", trust)
    moved = np.abs(bench.learned.learner["weights"] - before).max(axis=1) > 0
    assert moved.tolist() == [label == bench.label("food").id for label in bench.learned.labels]


@pytest.mark.slow
@pytest.mark.parametrize("without_files", [True, False])
def test_the_log_gives_the_same_versions_back(
    bench: api.Workbench, settings: Settings, monkeypatch, without_files: bool
) -> None:
    monkeypatch.setattr(trusting, "AT_ONCE", 100)  # labels by ones and twos
    three(bench)
    bench.learn()
    assert kinds(bench).count(TRUST) > 1
    bench.correct(judged("zoe", range(30), is_wrong=5), who="zoe")
    bench.correct(judged("ben", range(20, 30), is_wrong=6), who="ben")
    bench.people.adjudicate([(bench.sample("t0").id, bench.label("food").id, YES)], who="ann")
    bench.learn()
    bench.correct([{"sample": "t3", "label": "weather", "verdict": None}], who="ann")
    bench.undo("ben")
    bench.learn()
    learned, logits = bench.learned, bench.board.logits.copy()
    assert learned.trust is not None
    assert "zoe" in learned.trust.people
    again = reopened(bench, settings, without_files=without_files)
    same(again.learned, learned)
    np.testing.assert_array_equal(again.board.logits, logits)
    # one that is made from it is the same as well
    again.correct([{"sample": "t38", "label": "food", "verdict": "no"}], who="eve")
    again.learn()
    assert again.learned.trust == learned.trust
    again.close()


def test_what_was_cut_off_is_finished_and_nothing_is_done_twice(
    bench: api.Workbench, settings: Settings, monkeypatch
) -> None:
    monkeypatch.setattr(trusting, "AT_ONCE", 1)
    three(bench)
    fold_in, done = bench.live.fold_in, []

    def once(weighing: replay.Weighing | None = None) -> int:
        if weighing is not None:
            if done:
                raise KeyboardInterrupt
            done.append(weighing)
        return fold_in(weighing)

    monkeypatch.setattr(bench.live, "fold_in", once)
    with pytest.raises(KeyboardInterrupt):
        bench.learn()
    monkeypatch.setattr(bench.live, "fold_in", fold_in)
    assert kinds(bench) == ["fold", TRUST]
    left = bench.versions()[-1].detail["left"]
    again = reopened(bench, settings, without_files=False)
    assert again.trusting.is_due()
    again.learn()
    assert [step.detail["labels"] for step in again.versions()[2:]] == [[label] for label in left]
    twin = learning.fold_in(
        again.pipeline,
        again.board,
        replay.at_version(again.store, again.pipeline, again.board, again.live.room, 1),
        verdicts=again.board.verdicts,
        changed=[*done[0].labels, *left],
        version=again.version,
        offset=again.offset,
        trust=again.learned.trust,
    )[0]
    same(again.learned, twin)
    assert again.learn().version == again.version == 1 + 1 + len(left)
    again.close()


def test_going_back_stands_until_there_is_more_to_compare(
    bench: api.Workbench, settings: Settings
) -> None:
    three(bench)
    bench.learn()
    bench.packs.revert(1)
    assert bench.learned.trust is None
    again = reopened(bench, settings, without_files=True)
    assert (again.learned.trust, again.trusting.is_due()) == (None, False)
    again.learn()
    assert kinds(again) == ["fold", TRUST, "revert"]
    again.packs.revert(2)
    assert again.learned.trust is not None
    assert [change.name for change in again.packs.compare(2, 4)] == []
    again.packs.revert(1)
    for who, wrong in (("ann", 0), ("ben", 6)):
        again.correct(judged(who, range(20, 36), is_wrong=wrong), who=who)
    again.learn()
    assert again.learned.trust is not None
    again.close()


def test_after_compact_it_is_estimated_anew(bench: api.Workbench, settings: Settings) -> None:
    three(bench)
    bench.learn()
    bench.remove_samples(["t0"])
    bench.learn()
    bench.compact()
    again = reopened(bench, settings, without_files=True)
    assert (again.version, again.learned.trust) == (0, None)
    again.learn()
    assert kinds(again)[-2:] == ["fold", TRUST]
    assert again.learned.trust is not None
    again.close()


def test_two_processes_see_one_trust(bench: api.Workbench, settings: Settings) -> None:
    three(bench)
    other = api.open_project(bench.path, settings=settings)
    bench.learn()
    version = bench.version
    other.learn()
    assert other.version == version
    same(other.learned, bench.learned)
    other.correct([{"sample": "t37", "label": "food", "verdict": "yes"}], who="eve")
    other.learn()
    bench.learn()
    same(other.learned, bench.learned)
    other.close()


def test_a_screen_learns_it_as_a_job_beside_corrections(
    bench: api.Workbench, settings: Settings
) -> None:
    three(bench)
    bench.close()
    screen = api.open_project(bench.path, settings=settings, learns=True)
    version = 0
    while TRUST not in kinds(screen):
        version = screen.live.wait_beyond(version, 60.0)
    job = next(job for job in screen.jobs.list() if job.kind == "trust")
    assert screen.jobs.wait(job.id, 60.0).state == "done"
    assert screen.learned.trust is not None
    screen.close()


def test_people_are_told_how_far_each_is_trusted_and_what_a_dispute_weighs(
    bench: api.Workbench, capsys: pytest.CaptureFixture[str]
) -> None:
    three(bench)
    bench.correct([{"sample": "t1", "label": "food", "verdict": "yes"}], who="new")
    before = bench.people.agreement()
    assert not before.is_trusting
    assert {(one.seen, one.wrong, one.is_known) for one in before.people} == {(None, None, False)}
    bench.learn()
    trust, found = bench.learned.trust, bench.people.agreement()
    assert trust is not None
    assert found.is_trusting
    told = {one.who: ((one.seen, one.wrong), one.is_known) for one in found.people}
    assert told == {
        **{who: (trust.people[who], True) for who in ("ann", "ben", "eve")},
        "new": (trust.anybody, False),
    }
    board, weigh = bench.board, weigher(trust)
    disputes, _ = bench.people.disputes(50)
    assert disputes
    for one in disputes:
        row = board.verdicts[one.sample, one.label_id]
        assert one.weight == weigh(row) != row.weight
    assert main(["agreement", str(bench.path), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["people"]
    assert {row["who"]: (row["seen"], row["wrong"]) for row in rows} == {
        who: rates for who, (rates, _) in told.items()
    }
    # the list of versions tells the kind, and nothing of a person
    assert main(["versions", str(bench.path), "--json"]) == 0
    out = capsys.readouterr().out
    step = json.loads(out)["versions"][-1]
    assert (step["kind"], step["detail"]["compared"]) == (TRUST, 161)
    assert not any(who in json.dumps(step) for who in ("ann", "ben", "eve"))


def words(*said: tuple[str, Verdict], source: str = "person") -> Correction:
    rows = [
        Correction(n, 1, 7, verdict, who, 0.0, "op", source=source)
        for n, (who, verdict) in enumerate(said, start=1)
    ]
    return folded(rows).verdicts[1, 7]


TRUSTED = Trust({"ann": (0.9, 0.01), "bad": (0.05, 0.9)}, (0.7, 0.1), 0.25)


def test_what_files_the_model_and_adjudication_say_weighs_as_before() -> None:
    weigh = weigher(TRUSTED)
    assert weigh(words(("import:a.csv", YES))) == 1.0
    assert weigh(words(("import:a.csv", YES), ("import:b.csv", YES), ("import:c", NO))) < 0.5
    assert weigh(words(("bad", YES), source="certain:0.9")) == 1.0
    decided = [
        Correction(1, 1, 7, NO, "bad", 0.0, "op"),
        Correction(2, 1, 7, YES, "ann", 0.0, "op"),
        Correction(3, 1, 7, NO, "bad", 0.0, "op", source="adjudication"),
    ]
    assert weigh(folded(decided).verdicts[1, 7]) == 1.0
    # a person beside a file speaks alone
    beside = folded([
        Correction(1, 1, 7, NO, "import:a.csv", 0.0, "op", source="import:a.csv"),
        Correction(2, 1, 7, YES, "ann", 0.0, "op"),
    ])  # fmt: skip
    alone = formula.weight([(0.9, 0.01, True)], True, often=0.25)
    assert weigh(beside.verdicts[1, 7]) == alone == weigh(words(("ann", YES)))


def test_nobodys_word_weighs_less_than_nothing_and_unsure_says_nothing() -> None:
    weigh = weigher(TRUSTED)
    for verdict in (YES, NO):
        assert weigh(words(("bad", verdict))) == formula.LEAST
    assert weigh(words(("ann", YES), ("new", UNSURE), ("old", YES))) == formula.weight(
        [(0.9, 0.01, True), (0.7, 0.1, True)], True, often=0.25
    )
    orders = [words(("ann", YES), ("new", NO), ("old", YES)),
              words(("old", YES), ("ann", YES), ("new", NO))]  # fmt: skip
    assert weigh(orders[0]) == weigh(orders[1])
    assert weigh(words(("ann", NO), ("new", NO), ("bad", YES))) < 1


def project(said: dict[tuple[int, int], dict[str, Verdict]], num_labels: int) -> Board:
    rows, offset = [], 0
    for (sample, label), each in said.items():
        for who, verdict in each.items():
            offset += 1
            rows.append(Correction(offset, sample, label, verdict, who, 0.0, "op"))
    found = folded(rows)
    labels = [Label(n, f"label {n}") for n in range(num_labels)]
    board = Board.empty(2, 0).resized([], labels)
    object.__setattr__(board, "verdicts", found.verdicts)
    object.__setattr__(board, "said", found.said)
    return board


def test_nothing_is_known_of_people_who_never_judged_the_same_or_always_differ() -> None:
    apart = {(n, 0): {"ann" if n % 2 else "ben": YES if n % 3 else NO} for n in range(200)}
    assert trusting.estimate(project(apart, 1)) is None
    opposite = {(n, 0): {"ann": YES, "ben": NO} for n in range(200)}
    assert trusting.estimate(project(opposite, 1)) is None
    # many who judged one pair each with Ann
    once = {(n, 0): {"ann": YES, f"who{n}": YES} for n in range(200)}
    assert trusting.estimate(project(once, 1)) is None
    assert trusting.estimate(project({}, 1)) is None
    unsure = {(n, 0): {"ann": YES, "ben": UNSURE} for n in range(200)}
    assert trusting.estimate(project(unsure, 1)) is None


def test_who_is_new_is_trusted_as_all_together_and_five_thousand_labels_are_few_numbers() -> None:
    said = {
        (n, n): {"ann": YES if n % 4 == 0 else NO, "ben": YES if n % 5 == 0 else NO}
        for n in range(5000)
    }
    said[0, 1] = {"new": YES, "ann": YES}
    trust = trusting.estimate(project(said, 5000))
    assert trust is not None
    assert trust.people.keys() == {"ann", "ben"}
    assert trust.rates("new") == trust.anybody
    assert len(json.dumps(trust.as_json())) < 300
    assert Trust.from_json(json.loads(json.dumps(trust.as_json()))) == trust


def test_an_adjudication_tells_who_was_right(bench: api.Workbench) -> None:
    numbers = range(20)
    bench.correct(judged("ann", numbers), who="ann")
    bench.correct(judged("ben", numbers, is_wrong=3), who="ben")
    before = trusting.estimate(bench.board)
    label = bench.label("food").id
    for i in numbers:
        verdict = YES if i % 4 == 1 else NO
        bench.people.adjudicate([(bench.sample(f"t{i}").id, label, verdict)], who="eve")
    after = trusting.estimate(bench.board)
    assert before is not None
    assert after is not None
    assert after.rates("ann")[1] < before.rates("ann")[1]
    assert after.rates("ben")[1] > before.rates("ben")[1]
    assert "eve" not in after.people


def test_labels_that_go_and_people_with_other_names_change_no_other_version(
    bench: api.Workbench, settings: Settings
) -> None:
    three(bench)
    bench.learn()
    bench.merge_labels("weather", "transport")
    bench.remove_label("food")
    bench.learn()
    bench.correct(judged("ann2", range(20, 24), says=1), who="ann2")
    bench.learn()
    at = [bench.board.column_of[bench.label(name).id] for name in ("animal", "transport")]
    logits = bench.board.logits[:, at].copy()
    again = reopened(bench, settings, without_files=True)
    at = [again.board.column_of[again.label(name).id] for name in ("animal", "transport")]
    np.testing.assert_array_equal(again.board.logits[:, at], logits)
    again.close()
