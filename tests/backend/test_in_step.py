"""Verdicts while the board is behind what is stored, or cannot be made: right, and never lost."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from backend import api, encoding
from backend.errors import SaveError
from backend.pipeline import EncoderFacts
from backend.settings import Settings
from backend.store.corrections import NewCorrection
from backend.store.project import ProjectStore
from backend.types import Verdict
from tests.backend.text_projects import LABELS, TEXTS, made_project, numbered

PATIENCE = 30.0


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    bench = made_project(
        numbered(TEXTS), folder, Settings(home=folder), labels=LABELS, encoder="words", name="words"
    )
    bench.close()
    return bench.path


@pytest.fixture
def bench(made: Path, settings: Settings) -> Iterator[api.Workbench]:
    shutil.copytree(made, settings.home / "words")
    opened = api.open_project("words", settings=settings)
    yield opened
    opened.close()


@pytest.fixture
def other(bench: api.Workbench, settings: Settings) -> Iterator[ProjectStore]:
    """The same project as another process has it."""
    store = ProjectStore.open(bench.path, settings=settings)
    yield store
    store.close()


@contextmanager
def reading_stopped(monkeypatch: pytest.MonkeyPatch) -> Iterator[Event]:
    """Hold whoever reads vectors for the board; the event says that somebody does."""
    begun, go_on, plain = Event(), Event(), encoding.filled

    def held(*args: Any) -> Any:
        begun.set()
        assert go_on.wait(PATIENCE)
        return plain(*args)

    with monkeypatch.context() as patch:
        patch.setattr(encoding, "filled", held)
        try:
            yield begun
        finally:
            go_on.set()


def beside(work: Callable[[], Any]) -> Future[Any]:
    """Do something on a thread of its own."""
    pool = ThreadPoolExecutor(1)
    future = pool.submit(work)
    pool.shutdown(wait=False)
    return future


def no_to_the_rest(bench: api.Workbench, sample: str = "t0") -> set[str]:
    """The labels that were made NO."""
    receipt = bench.correct([{"sample": sample, "complete": True}])
    names = {label.id: label.name for label in bench.store.labels()}
    stored = bench.store.log.current()
    assert all(stored[pair].verdict is Verdict.NO for pair in receipt.pairs)
    return {names[label] for _, label in receipt.pairs}


def test_no_to_the_rest_during_a_change_of_the_encoder_is_stored(
    bench: api.Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = bench.live._build_pipeline(None)
    with reading_stopped(monkeypatch) as begun:
        changing = beside(lambda: bench.live.change_encoder(pipeline))
        assert begun.wait(PATIENCE)
        saving = beside(lambda: no_to_the_rest(bench))
        with pytest.raises(TimeoutError):
            saving.result(0.3)  # a board without labels is no board to complete a sample by
    changing.result(PATIENCE)
    assert saving.result(PATIENCE) == set(LABELS)


def test_no_to_the_rest_spares_what_another_process_said(
    bench: api.Workbench, other: ProjectStore
) -> None:
    sample, label = bench.sample("t0").id, bench.label("animal").id
    other.log.append([NewCorrection(sample, label, Verdict.YES)], who="me")
    assert no_to_the_rest(bench) == {"food", "transport"}
    assert bench.verdicts([sample])[sample][label] is Verdict.YES


def test_no_to_the_rest_knows_labels_of_another_process(
    bench: api.Workbench, other: ProjectStore
) -> None:
    other.remove_label("food", who="me")
    other.add_labels(["weather"], who="me")
    assert no_to_the_rest(bench) == {"animal", "transport", "weather"}


def test_a_name_means_what_it_means_in_the_store(bench: api.Workbench, other: ProjectStore) -> None:
    food = bench.label("food").id
    other.rename_label("animal", "creature", who="me")
    other.rename_label("food", "animal", who="me")
    receipt = bench.correct([{"sample": "t0", "label": "animal", "verdict": "yes"}])
    assert receipt.pairs == ((bench.sample("t0").id, food),)


def test_saving_does_not_wait_while_somebody_reads_vectors(
    bench: api.Workbench, other: ProjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    other.add_labels(["weather"], who="me")
    with reading_stopped(monkeypatch) as begun:
        looking = beside(bench.live.resync)
        assert begun.wait(PATIENCE)
        assert "weather" not in {label.name for label in bench.labels()}
        assert beside(lambda: no_to_the_rest(bench)).result(PATIENCE) == {*LABELS, "weather"}
        assert not looking.done()
    looking.result(PATIENCE)
    assert bench.board.decided[bench.board.row_of[bench.sample("t0").id]].all()


def test_what_could_not_be_read_is_looked_at_again(
    bench: api.Workbench, other: ProjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    other.add_labels(["weather"], who="me")
    with monkeypatch.context() as patch:

        def full(*_: Any) -> Any:
            raise SaveError("the disk is full")

        patch.setattr(encoding, "filled", full)
        with pytest.raises(SaveError, match="disk is full"):
            bench.refresh(0, timeout=0)
        # a verdict needs no vectors: it is stored and answered
        assert no_to_the_rest(bench) == {*LABELS, "weather"}
        undone = bench.undo()
        assert undone is not None
        assert len(undone.pairs) == len(LABELS) + 1
        bench.correct([{"sample": "t1", "label": "weather", "verdict": "yes"}])
    bench.refresh(0, timeout=0)
    assert [label.name for label in bench.labels()] == [*LABELS, "weather"]
    said = bench.verdicts(["t1"])[bench.sample("t1").id]
    assert said == {bench.label("weather").id: Verdict.YES}


def test_what_was_stored_is_answered_though_it_cannot_be_taken_over_yet(
    bench: api.Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:

        def full(*_: Any) -> Any:
            raise SaveError("the disk is full")

        patch.setattr(encoding, "filled", full)
        (weather,) = bench.add_labels(["weather"])
        bench.rename_label("animal", "creature")
        bench.describe_label("food", definition="what one eats")
        bench.set_parent(weather.id, "transport")
        bench.save_slice("night", ["t0"])
        bench.remove_samples(["t1"])
        bench.remove_label("transport")
        assert bench.compact().labels == 1
    assert {label.name for label in bench.labels()} == set(LABELS)
    bench.refresh(0, timeout=0)
    assert {label.name for label in bench.labels()} == {"creature", "food", "weather"}
    assert bench.label("food").definition == "what one eats"
    assert list(bench.saved_slices()) == ["night"]
    assert len(bench.samples()) == len(TEXTS) - 1


def test_a_label_that_another_process_removed_costs_nothing_while_vectors_cannot_be_read(
    bench: api.Workbench, other: ProjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = bench.sample("t0").id
    rows = [{"sample": sample, "label": bench.label(n).id, "verdict": "yes"} for n in LABELS]
    other.remove_label("food", who="me")

    def full(*_: Any) -> Any:
        raise SaveError("the disk is full")

    monkeypatch.setattr(encoding, "filled", full)
    told = bench.correct_living(rows)
    assert [label.name for label in told.gone] == ["food"]
    assert told.receipt is not None
    assert len(told.receipt.pairs) == len(LABELS) - 1


def test_a_fault_of_claims_stops_no_verdict(
    bench: api.Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fault(*_: Any) -> None:
        raise ValueError("a fault of ours")

    monkeypatch.setattr(bench.certainty, "claims", fault)
    bench.correct([{"sample": "t0", "label": "food", "verdict": "yes"}], op="the-first-one")
    stored = bench.store.log.current()
    assert {pair: row.verdict for pair, row in stored.items()} == {
        (bench.sample("t0").id, bench.label("food").id): Verdict.YES
    }


def test_an_encoder_that_another_process_chose_is_taken_over(
    bench: api.Workbench, settings: Settings
) -> None:
    bench.correct([{"sample": "t0", "label": "animal", "verdict": "yes"}])
    bench.correct([{"sample": "t5", "label": "animal", "verdict": "no"}])
    assert bench.learn().version == 1
    beside_it = api.open_project("words", settings=settings)
    assert beside_it.change_encoder("words+words") == len(TEXTS)
    assert bench.suggest(["t1"])[0].encoder == "words", "it answers for what it still has"
    bench.refresh(0, timeout=0)
    assert bench.encoder_id == "words+words"
    assert bench.pipeline.fingerprint == beside_it.pipeline.fingerprint
    assert bench.board.encoded.all()
    assert beside_it.learn().version == 2
    bench.refresh(0, timeout=0)
    bench.learn()
    assert bench.version == 2
    assert (bench.board.logits == beside_it.board.logits).all()
    beside_it.close()


def test_a_newer_version_of_another_encoder_hides_none_of_this_one(
    bench: api.Workbench, settings: Settings
) -> None:
    bench.correct([{"sample": f"t{i}", "label": "animal", "verdict": "yes"} for i in range(3)])
    bench.correct([{"sample": f"t{i}", "label": "animal", "verdict": "no"} for i in range(4, 8)])
    bench.learn()
    learned = bench.board.logits.copy()
    bench.change_encoder("words+words")
    assert bench.learn().version == 2
    bench.change_encoder("words")
    assert bench.version == 1
    assert (bench.board.logits == learned).all()
    bench.close()
    again = api.open_project("words", settings=settings)
    assert again.version == 1
    again.correct([{"sample": "t8", "label": "animal", "verdict": "yes"}])
    report = again.learn()
    assert (report.from_version, report.version) == (1, 3)
    again.close()


def test_another_encoder_reads_once_the_first_has_ended(
    other: ProjectStore, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = api.open_project("words", settings=settings, learns=True)
    begun, go_on = Event(), Event()

    def reading(**_: Any) -> None:
        begun.set()
        assert go_on.wait(PATIENCE)

    with monkeypatch.context() as patch:
        patch.setattr(screen, "encode", reading)
        first = screen.encode_soon()
        assert begun.wait(PATIENCE)
        both = EncoderFacts.of(api.load_encoder("words+words", settings)).as_json()
        other.change_encoder("words+words", both)
        screen.refresh(0, timeout=0)
    second = screen.encode_soon()
    assert second != first
    go_on.set()
    assert screen.jobs.wait(second, PATIENCE).state == "done"
    assert screen.board.encoded.all()
    screen.close()
