"""Several people on one project: what learners get, agreement, disputes, adjudication, blind."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import krippendorff
import numpy as np
import pytest

from backend import api, learning
from backend.__main__ import main
from backend.board import Board
from backend.errors import BadInputError
from backend.people import own_board
from backend.settings import Settings
from backend.store.corrections import NewCorrection
from backend.store.voices import Words, folded, words_of
from backend.types import Correction, Label, Verdict
from tests.backend.text_projects import LABELS, TEXTS, made_project, numbered

YES, NO, UNSURE = Verdict.YES, Verdict.NO, Verdict.UNSURE


@pytest.fixture
def bench(settings: Settings, tmp_path: Path) -> Iterator[api.Workbench]:
    made = made_project(
        numbered(TEXTS), tmp_path, settings, labels=LABELS, encoder="words", name="words"
    )
    yield made
    made.close()


def say(bench: api.Workbench, who: str, label: str, *, yes: str = "", no: str = "") -> None:
    rows = [{"sample": f"t{i}", "label": label, "verdict": "yes"} for i in yes.split()]
    rows += [{"sample": f"t{i}", "label": label, "verdict": "no"} for i in no.split()]
    bench.correct(rows, who=who)


def trainable(bench: api.Workbench) -> list[str]:
    """Numbers of texts that learners are taught on, as `say` takes them."""
    rows = np.flatnonzero(bench.board.trainable)
    return [bench.board.samples[row].name.removeprefix("t") for row in rows]


def last_row_wins(bench: api.Workbench) -> dict[tuple[int, int], Correction]:
    """The fold from before people were told apart."""
    found: dict[tuple[int, int], Correction] = {}
    for row in bench.store.log.since(0):
        found[row.sample, row.label] = row
    return {pair: row for pair, row in found.items() if not row.is_blank}


def test_one_person_gives_the_model_that_the_last_row_gave(
    bench: api.Workbench, tmp_path: Path
) -> None:
    """Contradicting oneself, taking back, undo, an import corrected: bit by bit the same."""
    file = tmp_path / "labels.jsonl"
    file.write_text('{"sample": "t3", "label": "animal", "verdict": "no"}\n' * 2)
    bench.add(file)
    say(bench, "me", "animal", yes="0 1 2 3", no="4 5 6 7")
    say(bench, "me", "animal", yes="4", no="0")  # the last word counts
    say(bench, "me", "food", yes="4 5 9", no="0 1 6")
    bench.correct([{"sample": "t9", "label": "food", "verdict": None}])
    say(bench, "me", "animal", yes="5 6 7")
    bench.undo()
    bench.correct([{"sample": "t11", "complete": True}])
    naive = last_row_wins(bench)
    assert bench.board.verdicts == naive
    assert bench.board.said.keys() == {(bench.sample("t3").id, bench.label("animal").id)}
    bench.learn()
    twin, _ = learning.fold_in(
        bench.pipeline,
        bench.board,
        learning.start(bench.pipeline),
        verdicts=naive,
        changed={label for _, label in naive},
        version=1,
        offset=bench.offset,
    )
    assert twin.labels == bench.learned.labels
    for name, array in bench.learned.learner.items():
        np.testing.assert_array_equal(array, twin.learner[name])


def test_what_was_accepted_in_bulk_is_told_as_the_models_word(bench: api.Workbench) -> None:
    """Not as a word of who accepted it."""
    sample, label = bench.sample("t0").id, bench.label("animal").id
    bench.store.log.append(
        [NewCorrection(sample, label, YES)], who="ann", op="in-bulk-1", source="certain:0.9"
    )
    say(bench, "ben", "animal", yes="0")
    say(bench, "eve", "animal", no="0")
    (found,), _ = bench.people.disputes()
    told = [(word.who, word.verdict) for word in found.words]
    assert told == [("certain at 90%", YES), ("ben", YES), ("eve", NO)]
    seen = [word.who for word in bench.people.others(sample, "ann")[label]]
    assert seen == ["certain at 90%", "ben", "eve"]


def test_learners_get_the_majority_by_its_lead_and_no_ties(bench: api.Workbench) -> None:
    a, b, c = trainable(bench)[:3]
    for who, yes, no in (
        ("ann", f"{a} {b} {c}", ""),
        ("ben", b, f"{a} {c}"),
        ("eve", f"{b} {c}", ""),
    ):
        say(bench, who, "animal", yes=yes, no=no)
    board, label = bench.board, bench.label("animal").id
    lessons = board.lessons(board.verdicts, {label: 0}, board.trainable)
    taught = {board.samples[row].name for row in lessons.rows}
    assert taught == {f"t{b}", f"t{c}"}  # one against one on `a`
    assert lessons.weights is not None
    by_name = dict(zip((board.samples[r].name for r in lessons.rows), lessons.weights, strict=True))
    assert by_name == {f"t{b}": 1.0, f"t{c}": pytest.approx(1 / 3)}
    assert lessons.targets.tolist() == [1.0, 1.0]


def test_a_verdict_that_few_agree_on_moves_the_model_less(bench: api.Workbench) -> None:
    a = trainable(bench)[0]
    row, label = bench.board.row_of[bench.sample(f"t{a}").id], bench.label("transport").id
    column = bench.board.column_of[label]
    before = bench.board.logits[row, column]
    say(bench, "ann", "transport", yes=a)
    bench.learn()
    alone = bench.board.logits[row, column]
    say(bench, "ben", "transport", no=a)
    bench.learn()
    assert bench.board.logits[row, column] == pytest.approx(
        before, abs=1e-4
    )  # a tie teaches nothing
    say(bench, "eve", "transport", yes=a)
    bench.learn()
    assert before < bench.board.logits[row, column] < alone
    bench.people.adjudicate([(bench.sample(f"t{a}").id, label, YES)], who="eve")
    bench.learn()
    assert bench.board.logits[row, column] == pytest.approx(alone, abs=1e-3)


def test_replay_with_several_people_is_exact(bench: api.Workbench, settings: Settings) -> None:
    for who, yes, no in (
        ("ann", "0 1 2 8", "4 5"),
        ("ben", "0 1 4", "2 5 6"),
        ("eve", "2 4", "0 7"),
    ):
        say(bench, who, "animal", yes=yes, no=no)
        bench.learn()
    bench.undo("ann")  # changes no last row of the log, and yet what counts
    bench.learn()
    bench.people.adjudicate(
        [(bench.sample("t0").id, bench.label("animal").id, NO)], who="ann", op="decide-t0"
    )
    bench.learn()
    version, state = bench.version, bench.learned.learner
    words = bench.store.log.words()
    assert (bench.board.verdicts, bench.board.said) == (words.verdicts, words.said)
    bench.close()
    shutil.rmtree(bench.path / "cache" / "versions")
    again = api.open_project(bench.path, settings=settings)
    assert again.version == version == 5
    for name, array in state.items():
        np.testing.assert_array_equal(again.learned.learner[name], array)
    again.close()


def test_agreement_is_the_reference_librarys(bench: api.Workbench) -> None:
    rng = np.random.default_rng(0)
    names = [None, "yes", "no", "unsure"]
    people = ("ann", "ben", "eve")
    said = rng.choice(4, (3, len(TEXTS), 2), p=[0.3, 0.35, 0.25, 0.1])
    for who, table in zip(people, said, strict=True):
        bench.correct(
            [
                {"sample": f"t{i}", "label": LABELS[k], "verdict": names[table[i, k]]}
                for i, k in zip(*np.nonzero(table), strict=True)
            ],
            who=who,
        )
    data = np.where(said == 0, np.nan, said)
    reference = [
        krippendorff.alpha(reliability_data=part, level_of_measurement="nominal")
        for part in (data.reshape(3, -1), data[:, :, 0], data[:, :, 1])
    ]
    found = bench.people.agreement()
    alphas = {one.label: one.alpha for one in found.labels}
    assert [found.alpha, alphas[LABELS[0]], alphas[LABELS[1]]] == pytest.approx(reference)
    assert alphas[LABELS[2]] is None
    judged = (~np.isnan(data)).sum(axis=0) > 1
    same = np.fmax.reduce(data) == np.fmin.reduce(data)
    assert (found.pairs, found.agreed) == (judged.sum(), (judged & same).sum())
    assert found.disputed == found.pairs - found.agreed
    facts = {one.who: one for one in found.people}
    assert {who: facts[who].verdicts for who in people} == {
        who: int((table > 0).sum()) for who, table in zip(people, said, strict=True)
    }
    ann, others = data[0], data[1:]
    shares = [
        np.mean(others[:, i, k][~np.isnan(others[:, i, k])] == ann[i, k])
        for i, k in zip(*np.nonzero(judged & ~np.isnan(ann)), strict=True)
    ]
    assert facts["ann"].shared == len(shares)
    assert facts["ann"].agreeing == pytest.approx(np.mean(shares))


def test_disputes_come_ties_first_and_go_when_adjudicated(bench: api.Workbench) -> None:
    for who, yes, no in (("ann", "0 1 2 3", ""), ("ben", "0", "1 2"), ("eve", "0 3", "1")):
        say(bench, who, "animal", yes=yes, no=no)
    say(bench, "ben", "food", yes="3")  # alone: nobody to differ from
    found, total = bench.people.disputes()
    assert [(one.name, one.verdict) for one in found] == [("t2", None), ("t1", NO)]
    assert total == 2
    assert [(word.who, word.verdict) for word in found[1].words] == [
        ("ann", YES), ("ben", NO), ("eve", NO),
    ]  # fmt: skip
    assert bench.people.disputes(1, skip=1)[0] == found[1:]
    assert bench.people.disputes(label=bench.label("food").id) == ([], 0)
    table = bench.people.agreement()
    assert (table.disputed, table.tied, table.adjudicated) == (2, 1, 0)
    one = found[0]
    bench.people.adjudicate([(one.sample, one.label_id, YES)], who="eve", op="decide-1")
    assert [each.name for each in bench.people.disputes()[0]] == ["t1"]
    assert bench.people.agreement().adjudicated == 1
    told = bench.people.others(one.sample, "ben")[one.label_id]
    assert [(word.who, word.verdict, word.is_decision) for word in told] == [
        ("ann", YES, False), ("eve", YES, True),
    ]  # fmt: skip
    bench.undo("eve")
    assert bench.people.disputes()[1] == 2
    with pytest.raises(BadInputError, match="1 to 5,000"):
        bench.people.adjudicate([], who="eve")


def test_each_sees_their_own_word_and_what_others_said(bench: api.Workbench) -> None:
    animal, food = bench.label("animal").id, bench.label("food").id
    sample = bench.sample("t0").id
    say(bench, "ann", "animal", yes="0")
    say(bench, "ben", "animal", no="0")
    say(bench, "ann", "food", no="0")
    assert bench.verdicts([sample]) == {sample: {food: NO}}
    assert bench.verdicts([sample], who="ann") == {sample: {animal: YES, food: NO}}
    assert bench.verdicts([sample], who="ben") == {sample: {animal: NO, food: NO}}
    assert bench.verdicts([sample], who="eve") == {sample: {food: NO}}
    told = bench.people.others(sample, "ben")
    assert {label: [(w.who, w.verdict) for w in words] for label, words in told.items()} == {
        animal: [("ann", YES)],
        food: [("ann", NO)],
    }
    assert bench.people.others(sample, "ann").keys() == {animal}
    every = bench.verdicts(who="ben")
    assert every == {sample: {animal: NO, food: NO}}
    bench.people.set_blind(True)
    assert bench.verdicts([sample], who="ben") == {sample: {animal: NO}}
    assert bench.verdicts([sample], who="eve") == {sample: {}}
    assert bench.people.others(sample, "ben") == {}
    # what the others decided is open for who cannot see it
    assert {e.sample for e in bench.next(50, who="eve")} == {s.id for s in bench.samples()}
    bench.correct([{"sample": sample, "complete": True}], who="ben")
    assert bench.verdicts([sample], who="ben")[sample] == {
        animal: NO, food: NO, bench.label("transport").id: NO,
    }  # fmt: skip
    assert bench.people.agreement().pairs == 2


def test_complete_spares_ones_own_word_where_it_is_a_tie(bench: api.Workbench) -> None:
    say(bench, "ann", "animal", yes="0")
    say(bench, "ben", "animal", no="0")
    bench.correct([{"sample": "t0", "complete": True}], who="ann")
    sample, label = bench.sample("t0").id, bench.label("animal").id
    assert bench.verdicts([sample], who="ann")[sample][label] is YES


def test_why_there_is_no_alpha_is_said(bench: api.Workbench) -> None:
    assert "nobody has given a verdict" in bench.people.agreement().why
    say(bench, "ann", "animal", yes="0 1")
    assert "all verdicts are from 'ann'" in bench.people.agreement().why
    say(bench, "ben", "food", yes="0 1")
    assert "no two of them judged the same pair" in bench.people.agreement().why
    say(bench, "ben", "animal", yes="0 1")
    found = bench.people.agreement()
    assert "the same one thing of all 2 pairs" in found.why
    assert (found.alpha, found.agreed) == (None, 2)


def test_files_are_people_only_when_asked(bench: api.Workbench, tmp_path: Path) -> None:
    say(bench, "ann", "animal", yes="0", no="1")
    file = tmp_path / "theirs.jsonl"
    rows = [{"sample": f"t{i}", "label": "animal", "verdict": "yes"} for i in range(3)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    bench.add(file, on_conflict="both")
    assert [one.who for one in bench.people.agreement().people] == ["ann"]
    both = bench.people.agreement(with_files=True)
    assert {one.who: one.verdicts for one in both.people} == {"ann": 2, "import:theirs.jsonl": 3}
    assert (both.pairs, both.agreed) == (2, 1)
    sample = bench.sample("t1").id
    assert bench.verdicts([sample])[sample] == {bench.label("animal").id: NO}  # ann's word counts


def test_five_thousand_labels(bench: api.Workbench) -> None:
    labels = [Label(n, f"label {n}", "main") for n in range(5000)]
    words = Words()
    offset = 0
    sample = bench.samples()[0]
    for label in labels:
        for who, verdict in (("ann", YES), ("ben", NO if label.id % 5 == 0 else YES)):
            offset += 1
            words.take(Correction(offset, sample.id, label.id, verdict, who, 0.0, "op"))
    board = Board.empty(3, 0).resized(bench.samples(), labels)
    board = replace(board, verdicts=words.verdicts, said=words.said)
    bench.live.board = board
    people = bench.people
    found = people.agreement()
    assert (found.pairs, found.disputed, found.tied) == (5000, 1000, 1000)
    assert len(found.labels) == 5000
    assert people.disputes(10)[1] == 1000
    assert len(people.others(sample.id, "ben")) == 5000


def test_the_command_tells_adjudicates_and_blinds(
    bench: api.Workbench, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch
) -> None:
    say(bench, "ann", "animal", yes="0 1")
    say(bench, "ben", "animal", yes="0", no="1")
    path = str(bench.path)
    assert main(["agreement", path, "--json", "--blind", "on"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["pairs"], told["disputed"], told["is_blind"]) == (2, 1, True)
    assert told["alpha"] == pytest.approx(0.0)
    assert [one["name"] for one in told["disputes"]] == ["t1"]
    file = tmp_path / "decided.jsonl"
    file.write_text('{"sample": "t1", "label": "animal", "verdict": "no"}\n')
    args = ["correct", path, "--from", str(file), "--who", "eve", "--adjudicate", "--json"]
    assert main(args) == 0
    capsys.readouterr()
    assert main(["agreement", path, "--label", "animal", "--json", "--blind", "off"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["disputed"], told["adjudicated"], told["is_blind"]) == (0, 1, False)
    assert [one["label"] for one in told["labels"]] == ["animal"]
    file.write_text('{"sample": "t1", "complete": true}\n')
    assert main(args) == 1
    assert "an adjudication has sample, label and verdict" in capsys.readouterr().err


def test_the_board_of_one_person_is_the_fold_of_their_rows_alone(bench: api.Workbench) -> None:
    say(bench, "ann", "animal", yes="0 1 2", no="3")
    say(bench, "ben", "animal", yes="3", no="0 1")
    say(bench, "ben", "food", yes="4 5")
    bench.correct([{"sample": "t1", "label": "animal", "verdict": None}], who="ben")
    bench.people.adjudicate([(bench.sample("t2").id, bench.label("animal").id, NO)], who="ben")
    say(bench, "ann", "animal", no="2")
    rows = bench.store.log.since(0)
    for who in ("ann", "ben", "eve"):
        own = own_board(bench.board, who)
        twin = folded(row for row in rows if row.who == who and row.source == "person")
        assert {pair: row.verdict for pair, row in own.verdicts.items()} == {
            pair: row.verdict for pair, row in twin.verdicts.items()
        }
        assert own.said == {}
        assert own.logits is bench.board.logits
    assert bench.people.board_of("eve") is bench.board
    bench.people.set_blind(True)
    assert bench.people.board_of(None) is bench.board
    assert bench.people.board_of("eve").verdicts == {}
    assert bench.people.board_of("ann") is bench.people.board_of("ann")
    assert bench.people.is_hidden("ann")
    assert not bench.people.board_of("eve").decided.any()


def test_blind_marks_are_ones_own_where_nobody_else_has_a_say(bench: api.Workbench) -> None:
    part = {"span": [0, 3]}
    bench.correct([{"sample": "t0", "label": "animal", "part": part, "here": True}], who="ann")
    bench.correct([{"sample": "t1", "label": "animal", "part": part, "here": True}], who="ann")
    say(bench, "ann", "animal", yes="1")
    say(bench, "ben", "animal", yes="1 2")
    ids = [bench.sample(f"t{i}").id for i in range(2)]
    label = bench.label("animal").id
    assert {i: set(found) for i, found in bench.marks(ids, who="ben").items()} == {
        i: {label} for i in ids
    }
    bench.people.set_blind(True)
    assert bench.marks(ids, who="ben") == {i: {} for i in ids}
    assert {i: set(found) for i, found in bench.marks(ids, who="ann").items()} == {
        ids[0]: {label},
        ids[1]: set(),
    }


def words(bench: api.Workbench) -> dict[tuple[str, str], dict[str, Verdict]]:
    """(sample, label) -> voice -> verdict, of all that is said; adjudication is nobody's word."""
    board = bench.board
    names = {label.id: label.name for label in board.labels}
    found: dict[tuple[str, str], dict[str, Verdict]] = {}
    for pair in {*board.verdicts, *board.said}:
        for row in words_of(board.verdicts, board.said, pair).values():
            if row.source not in ("adjudication", "certain:0.9"):
                sample = board.samples[board.row_of[pair[0]]].name
                found.setdefault((sample, names[pair[1]]), {})[row.who] = row.verdict
    return found


@pytest.mark.parametrize("format", ["jsonl-by-person", "csv-by-person"])
def test_everybodys_own_word_goes_out_and_comes_back(
    bench: api.Workbench, settings: Settings, tmp_path: Path, format: str
) -> None:
    file = tmp_path / "labels.jsonl"
    file.write_text('{"sample": "t3", "label": "animal", "verdict": "no"}\n')
    bench.add(file)
    say(bench, "ann", "animal", yes="0 1 2 3", no="4")
    say(bench, "=ben", "animal", yes="4", no="0 1")
    say(bench, "eve", "food", yes="0 9", no="4")
    bench.correct([{"sample": "t0", "label": "food", "verdict": "unsure"}], who="ann")
    bench.correct([{"sample": "t1", "label": "animal", "verdict": None}], who="=ben")
    part = {"span": [0, 3]}
    bench.correct([{"sample": "t2", "label": "animal", "part": part, "here": True}], who="eve")
    bench.people.adjudicate([(bench.sample("t0").id, bench.label("animal").id, YES)], who="eve")
    report = bench.export(tmp_path / "out", format=format)
    assert report.lost["adjudications"] == 1
    assert "words_of_several_people" not in report.lost
    assert report.samples == len(TEXTS)
    made = api.create_project("again", labels=LABELS, encoder="words", settings=settings)
    imported = made.add(tmp_path / "out")
    assert imported.errors == ()
    assert [sample.name for sample in made.samples()] == [s.name for s in bench.samples()]
    assert words(made) == words(bench)
    assert words(made)["t0", "animal"] == {"ann": YES, "=ben": NO}
    assert words(made)["t3", "animal"] == {"import:labels.jsonl": NO, "ann": YES}
    pair = made.sample("t2").id, made.label("animal").id
    kept = made.marks([pair[0]]).get(pair[0], {})
    if format.startswith("jsonl"):
        assert kept == {pair[1]: bench.marks(["t2"])[pair[0]][pair[1]]}
    else:
        assert (report.lost["regions"], kept) == (1, {})
    made.close()


def test_a_loss_is_counted_of_what_is_taken_along(bench: api.Workbench, tmp_path: Path) -> None:
    for who, yes in (("ann", "0 1 2"), ("ben", "0 1")):
        say(bench, who, "animal", yes=yes)
    label = bench.label("animal").id
    pairs = [(bench.sample(name).id, label, YES) for name in ("t0", "t1")]
    bench.people.adjudicate(pairs, who="eve")
    for names, several in ((["t0", "t5"], 1), (["t2", "t5"], 0), (None, 2)):
        told = {
            format: bench.export(tmp_path / f"{format}-{several}", format, samples=names).lost
            for format in ("jsonl", "jsonl-by-person")
        }
        assert told["jsonl"].get("words_of_several_people", 0) == several
        assert told["jsonl-by-person"].get("adjudications", 0) == several


def test_a_long_table_keeps_people_apart(bench: api.Workbench, tmp_path: Path) -> None:
    file = tmp_path / "long.csv"
    file.write_text("sample,label,verdict,who\nt0,animal,yes,ann\nt0,animal,no,ben\n")
    assert bench.add(file).errors == ()
    assert words(bench) == {("t0", "animal"): {"ann": YES, "ben": NO}}
