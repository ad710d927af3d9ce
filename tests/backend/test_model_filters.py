"""Filters on what models say: each finds what a loop over the samples finds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from threading import Event

import numpy as np
import pytest

from backend import api, model_filters, pack_facts, views
from backend.board import Board
from backend.errors import BadInputError, NotFoundError
from backend.live import Live
from backend.model_filters import BANDS
from backend.settings import Settings
from tests.backend.text_projects import opened_copy

LABELS = ("cat", "bread", "bus")
TEXTS = ("a cat sleeps", "bread and soup", "the bus was late", "a cat on the bus")
NUMBER = 60


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty texts, verdicts in two lessons, the scores of two other models of some."""
    folder = tmp_path_factory.mktemp("made")
    settings = Settings(home=folder / "home", threads=1)
    bench = api.create_project("made", labels=LABELS, encoder="words", settings=settings)
    rows = [{"sample": f"t{i}", "text": f"{TEXTS[i % 4]} {i}"} for i in range(NUMBER)]
    write(folder / "texts.jsonl", rows)
    assert bench.add(folder / "texts.jsonl").imported == NUMBER
    # cats at random, which leaves the model in doubt; then bread is what has to do with cats
    draw = np.random.default_rng(0)
    for label, first in (("cat", 0), ("bread", 20)):
        said = {
            "cat": draw.random(20) < 0.5,
            "bread": ["cat" in TEXTS[i % 4] for i in range(first, first + 20)],
        }[label]
        given = [
            {"sample": f"t{first + i}", "label": label, "verdict": "yes" if is_yes else "no"}
            for i, is_yes in enumerate(said)
        ]
        bench.correct(given)
        bench.learn()
    for source, step in (("rival", 3), ("a:b", 7)):
        said = [
            {"sample": f"t{i}", "label": "cat", "score": (i % step) / step}
            for i in range(0, NUMBER, 2 if source == "rival" else 5)
        ]
        write(folder / f"{source}.jsonl", said)
        bench.add(folder / f"{source}.jsonl")
    bench.close()
    return bench.path


def write(file: Path, rows: list[dict[str, object]]) -> None:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def bench(made: Path, tmp_path: Path) -> Iterator[api.Workbench]:
    with opened_copy(made, tmp_path) as bench:
        yield bench


def find(bench: api.Workbench, *filters: str) -> set[str]:
    conditions = bench.evaluator.conditions(filters)
    found = set(bench.evaluator.matching(conditions).tolist())
    return {sample.name for sample in bench.samples() if sample.id in found}


def doubts(bench: api.Workbench, label: str | None = None) -> dict[str, float]:
    """How doubtful each sample's most doubtful undecided label is, one by one."""
    told, chances = {}, bench.chances()
    verdicts = bench.verdicts()
    for row, sample in enumerate(bench.samples()):
        said = verdicts.get(sample.id, {})
        open_ = [
            1 - abs(2 * float(chances[row, column]) - 1)
            for column, one in enumerate(bench.labels())
            if one.id not in said and label in (None, one.name)
        ]
        told[sample.name] = max(open_, default=0.0)
    return told


def test_doubt_is_of_the_most_doubtful_undecided_label(bench: api.Workbench) -> None:
    low, high = np.quantile(list(doubts(bench).values()), [0.3, 0.7]).tolist()
    twin = {name for name, value in doubts(bench).items() if low <= value < high}
    assert 5 < len(twin) < NUMBER - 5
    assert find(bench, f"doubt:any:{low}:{high}") == twin
    bread = {name for name, value in doubts(bench, "bread").items() if value >= 0.1}
    by_id = f"doubt:{bench.label('bread').id}:0.1:2"
    assert find(bench, "doubt:bread:0.1:2") == find(bench, by_id) == bread != set()
    # values of one key are either-or, and keys go together
    below, above = f"doubt:any:0:{low}", f"doubt:any:{low}:2"
    assert len(find(bench, below, above)) == NUMBER
    assert find(bench, above, "label:cat:yes") <= find(bench, "label:cat:yes")


def test_a_band_holds_its_lower_end_and_not_its_upper_and_nothing_unknown() -> None:
    values = np.array([0.5, 0.8, 0.95, np.nan], np.float32)
    found = model_filters._in_bands(values, ["0.5:0.8", "0.95:1.01"])
    assert found.tolist() == [True, False, True, False]
    assert model_filters._bands("doubt:any", values) == {
        "doubt:any:0:0.5": 0,
        "doubt:any:0.5:0.8": 1,
        "doubt:any:0.8:0.95": 1,
        "doubt:any:0.95:1.01": 1,
    }


def test_distance_is_that_of_the_furthest_label_of_any_model_or_of_one(
    bench: api.Workbench,
) -> None:
    chances = bench.chances()[:, bench.board.column_named["cat"]]
    said = bench.others.brought()
    cat = bench.label("cat").id
    for source in ("rival", "a:b", ""):
        apart = {
            sample.name: max(
                (
                    abs(score - float(chances[row]))
                    for (i, label, by), score in said.items()
                    if (i, label) == (sample.id, cat) and source in ("", by)
                ),
                default=-1.0,
            )
            for row, sample in enumerate(bench.samples())
        }
        twin = {name for name, value in apart.items() if 0.3 <= value < 0.8}
        assert 0 < len(twin) < NUMBER
        assert find(bench, f"disagree:0.3:0.8:{source}".rstrip(":")) == twin
    assert len(find(bench, "disagree:0:2:rival")) == NUMBER / 2


def test_versions_differ_where_the_learn_page_says_so(bench: api.Workbench) -> None:
    assert bench.version == 2
    told = {change.name for change in bench.packs.compare(1, 2, most=1000)}
    assert 0 < len(told) < NUMBER
    assert find(bench, "changed:1:2") == find(bench, "changed:2:1") == told
    assert find(bench, "changed:2:2") == set()
    either = {one.name for v in (0, 1) for one in bench.packs.compare(v, 2, most=1000)}
    assert find(bench, "changed:0:2", "changed:1:2") == either


def test_every_count_is_the_samples_its_filter_finds(bench: api.Workbench) -> None:
    told = bench.counted()
    assert set(told) == {"doubt", "disagree", "changed"}
    assert list(told["changed"]) == ["changed:1:2"]
    assert {f"disagree:0.25:1.01:{source}" for source in ("rival", "a:b")} <= set(told["disagree"])
    for counts in told.values():
        for text, number in counts.items():
            assert len(find(bench, text)) == number > 0, text
    bands = [n for text, n in told["doubt"].items() if text.startswith("doubt:any:")]
    assert sum(bands) == NUMBER
    assert len(bands) <= len(BANDS["doubt"])


def test_the_scores_of_each_model_are_placed_once_for_all_counts(
    bench: api.Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    placed: list[str] = []
    place = views.brought_chances

    def noted(board: Board, brought: views.Brought, source: str) -> np.ndarray:
        placed.append(source)
        return place(board, brought, source)

    told = bench.counted()
    monkeypatch.setattr(views, "brought_chances", noted)
    assert bench.counted() == told
    assert placed == ["a:b", "rival"]


def test_what_people_dispute_is_counted_and_a_blind_person_sees_none_of_it(
    bench: api.Workbench,
) -> None:
    bench.correct([{"sample": "t50", "label": "bus", "verdict": "yes"}], who="ann")
    bench.correct([{"sample": "t50", "label": "bus", "verdict": "no"}], who="ben")
    told = bench.counted()["people"]
    assert told == {"agreement:any:disputed": 1, "agreement:any:tied": 1}
    assert all(len(find(bench, text)) == number for text, number in told.items())
    bench.people.set_blind(True)
    eve = bench.counted(who="eve")
    assert "people" not in eve
    # what is undecided for her is in doubt, whatever others decided of it
    nobody = (1 - np.abs(2 * bench.chances() - 1)).max(axis=1)
    for text, number in eve["doubt"].items():
        low, high = map(float, text.split(":")[2:])
        assert number == ((nobody >= low) & (nobody < high)).sum()
    assert eve["changed"] == bench.counted()["changed"]


def test_the_last_change_is_told_where_it_is_quick_to_have(bench: api.Workbench) -> None:
    assert bench.others.last_change() == (1, 2)
    bench.packs.revert(1)
    assert bench.others.last_change() == (2, 3)
    assert find(bench, "changed:1:3") == set()
    for file in (bench.path / "cache").rglob("2.safetensors"):
        file.unlink()
    with opened_again(bench) as again:
        assert again.others.last_change() is None
        assert "changed" not in again.counted()
        # asked for by name it is made again from the log
        assert find(again, "changed:2:3") == find(bench, "changed:1:2")


def test_the_last_change_is_told_once_its_file_is_there(
    bench: api.Workbench, tmp_path: Path
) -> None:
    (file,) = (bench.path / "cache").rglob("1.safetensors")
    file.rename(tmp_path / "aside")
    with opened_again(bench) as again:
        assert again.others.last_change() is None
        (tmp_path / "aside").rename(file)
        assert again.others.last_change() == (1, 2)


def test_nobody_waits_for_a_version_that_is_made_again(
    bench: api.Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, done = Event(), Event()
    logits_of, board = pack_facts.logits_of, bench.board

    def slowly(live: Live, board: Board, version: int) -> np.ndarray:
        begun.set()
        assert done.wait(60)
        return logits_of(live, board, version)

    monkeypatch.setattr(pack_facts, "logits_of", slowly)
    with ThreadPoolExecutor() as people:
        asked = people.submit(bench.others.changed, board, 0, 2)
        assert begun.wait(60)
        told = people.submit(bench.others.last_change)
        is_free = told in wait([told], timeout=20).done
        done.set()
        assert is_free
        assert told.result() == (1, 2)
        names = {board.samples[row].name for row in np.flatnonzero(asked.result())}
    assert names == {change.name for change in bench.packs.compare(0, 2, most=1000)}
    # kept for the same rows, and no longer than they are
    done.clear()
    begun.clear()
    assert (bench.others.changed(board, 0, 2) == asked.result()).all()
    assert not begun.is_set()


def opened_again(bench: api.Workbench):
    from contextlib import closing

    return closing(api.open_project(bench.path, settings=bench.settings))


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("doubt:any:0.8", BadInputError, "doubt:any:0.8:1.01"),
        ("doubt:any:0.8:0.2", BadInputError, "cannot be read"),
        ("doubt:nothing:0:1", NotFoundError, "nothing"),
        ("disagree:a:b", BadInputError, "disagree:0.5:1.01"),
        ("disagree:0:1:nobody", NotFoundError, "nobody.*a:b, rival"),
        ("changed:1", BadInputError, "changed:3:7"),
        ("changed:1:-2", BadInputError, "changed:3:7"),
        ("changed:1:99", NotFoundError, "no version 99"),
    ],
)
def test_wrong_values_are_named(
    bench: api.Workbench, text: str, kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words):
        find(bench, text)


def test_evaluation_takes_them_as_slices(bench: api.Workbench) -> None:
    whole = bench.evaluate("train")
    some = bench.evaluate("train", filters=["changed:1:2"])
    assert some.slice == ("changed:1:2",)
    assert 0 < some.n < whole.n
