"""A version and its scores appear at one moment, whatever else looks or rescores meanwhile."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import pytest

from backend import api, learning, replay


@pytest.fixture
def bench(settings: api.Settings, tmp_path: Path) -> Iterator[api.Workbench]:
    """Texts with verdicts that are not learned yet."""
    file = tmp_path / "texts.jsonl"
    texts = ("the soup was cold", "the bread was warm", "the bus was late", "the train was full")
    rows = [{"text": f"{text} on day {day}"} for day in range(4) for text in texts]
    file.write_text("\n".join(json.dumps(row) for row in rows), "utf-8")
    bench = api.create_project("two", labels=["food"], encoder="words", settings=settings)
    bench.add(file)
    bench.correct(
        [
            {"sample": s.id, "label": "food", "verdict": "yes" if "the b" in s.text else "no"}
            for s in bench.samples()
        ]
    )
    yield bench
    bench.close()


def scores(bench: api.Workbench) -> tuple[int, list[float]]:
    found = bench.suggest()
    return found[0].version, [one.score for each in found for one in each.suggestions]


def test_nobody_sees_a_version_with_the_scores_of_the_one_before(
    bench: api.Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = scores(bench)
    made, go = Event(), Event()
    real = replay.next_version

    def next_version(*args: Any, **options: Any) -> Any:
        found = real(*args, **options)
        made.set()
        assert go.wait(30)
        return found

    monkeypatch.setattr(replay, "next_version", next_version)
    step = Thread(target=bench.learn)
    step.start()
    assert made.wait(30)
    # A page that is being answered holds the lock; the step wants to publish meanwhile.
    with bench.live.lock:
        go.set()
        step.join(0.5)
        assert scores(bench) == before
    step.join(30)
    after = scores(bench)
    assert after[0] == 1
    assert after[1] != before[1]


def test_scores_that_another_thread_works_out_are_not_taken_for_the_new_versions(
    bench: api.Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned = next_version(bench)
    scoring, go = Event(), Event()
    real = learning.score

    def score(*args: Any, **options: Any) -> Any:
        found = real(*args, **options)
        if not scoring.is_set():
            scoring.set()
            assert go.wait(30)
        return found

    monkeypatch.setattr(learning, "score", score)
    other = Thread(target=bench.live._rescore)  # as at the end of every resync
    other.start()
    assert scoring.wait(30)
    step = Thread(target=bench.live.adopt, args=(learned,))
    step.start()
    step.join(0.5)
    go.set()
    other.join(30)
    step.join(30)
    wanted, _ = real(bench.pipeline, bench.board, learned)
    np.testing.assert_allclose(bench.board.logits, wanted, atol=1e-6)


def next_version(bench: api.Workbench) -> learning.Learned:
    """The next version, as the fold-in makes it, not yet adopted."""
    learned, _ = replay.next_version(
        bench.store,
        bench.pipeline,
        bench.board,
        bench.learned,
        bench.live.room,
        offset=bench.offset,
    )
    return learned
