"""Ways with words, through the real text side, on a few made-up pictures."""

from dataclasses import replace

import numpy as np
import pytest

from backend.bench import captions, languages
from backend.bench._embedded_measures import PhotoSet
from backend.bench._wordings import COCO, Pictures, Trial, Way
from backend.bench.captions import present_way, ways
from backend.methods.encoders._words import unit_rows
from backend.methods.encoders.embedded import EmbeddedEncoder
from backend.types import Encoded, Layout

NAMES = ["dog", "cat", "pizza", "bus"]
TEXTS = [
    "A dog runs after a ball.",
    "Two dogs and a cat on a sofa",
    "A pizza on a wooden table",
    "A bus stops in a city street",
    "A cat sleeps in a sink",
]


@pytest.fixture(scope="module")
def encoder() -> EmbeddedEncoder:
    return EmbeddedEncoder(EmbeddedEncoder.Settings(threads=1))


@pytest.fixture(scope="module")
def trial(encoder) -> Trial:
    """Pictures that lie near the names of what they show, two names each."""
    rng = np.random.default_rng(0)
    labels = encoder.encode_labels(NAMES)
    rows, pooled, parts = [], [], []
    for number in range(8):
        own = [number % 4, (number + 1 + number // 4) % 4]
        boxes = [
            {"label": NAMES[name], "xywh": [side * 50, 0, 50, 100]} for side, name in enumerate(own)
        ]
        rows.append(
            {
                "file": f"{number}.jpg",
                "labels": [NAMES[name] for name in own],
                "boxes": boxes,
                "width": 100,
                "height": 100,
            }
        )
        cells = labels[[own[0], own[1], own[0], own[1]]] + rng.normal(0, 0.02, (4, 384))
        parts.append(unit_rows(cells.astype(np.float32)))
        pooled.append(unit_rows(cells.mean(axis=0, keepdims=True).astype(np.float32))[0])
    encoded = Encoded(np.stack(pooled), tuple(parts), (Layout(grid=(2, 2)),) * 8)
    seen = Pictures(rows, encoded)
    val = [{"labels": [name]} for name in NAMES]
    photos = PhotoSet(val, [], [], NAMES, NAMES)
    return Trial(encoder, seen, seen, {COCO: seen, "mosaic_open": seen}, photos, labels)


def test_pictures_beside_their_names_are_found_and_pointed_at(encoder, trial):
    found = trial.figures(present_way(encoder))
    assert found[f"{COCO} mAP"] == found[f"{COCO} pointing"] == found["top-1 unseen"] == 1
    assert trial.choosing(present_way(encoder)) == 1


def test_a_way_that_mixes_up_the_names_is_seen_to(encoder, trial):
    present = present_way(encoder)
    turned = replace(present, labels=lambda names: np.roll(present.labels(names), 1, axis=0))
    found = trial.figures(turned)
    assert found["top-1 unseen"] == 0
    assert found[f"{COCO} mAP"] < 0.8
    assert found[f"{COCO} pointing"] < 0.8


def test_a_turn_of_everything_changes_nothing(encoder, trial):
    turn, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(384, 384)))
    present = present_way(encoder)

    def by(rows):
        return (rows @ turn).astype(np.float32)

    turned = Way("turned", "", lambda names: by(present.labels(names)), by, by)
    assert trial.figures(turned) == pytest.approx(trial.figures(present))


def test_every_way_keeps_rows_unit_and_names_apart(encoder, trial, monkeypatch):
    monkeypatch.setattr(captions, "FEWEST", 1)
    vectors = encoder.encode_texts(TEXTS)
    tried = list(ways(encoder, TEXTS, vectors, ["bus"]))
    assert len({each.family for each in tried}) == 8
    assert len({(each.family, each.name) for each in tried}) == len(tried)
    for way in tried:
        for rows in (way.labels(NAMES), way.whole(trial.pooled), way.parts(trial.pooled)):
            np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-4)
            assert len(np.unique(rows.round(5), axis=0)) == len(NAMES)


def test_rows_stand_beside_the_present_state(encoder, trial, tmp_path, monkeypatch):
    monkeypatch.setattr(captions, "FEWEST", 1)
    monkeypatch.setattr(captions, "read_captions", lambda data: TEXTS)
    found = list(captions.rows(encoder, tmp_path, tmp_path, trial, lambda _: None))
    assert all(each.baseline == captions.PRESENT for each in found)
    assert all(each.baseline_value == 1 for each in found if "mAP" in each.name)
    # Of each family: what it was chosen by, seven figures, and the best of all its shares.
    assert len(found) == 8 * 9


def test_names_of_another_language_are_read_through_the_english_ones(
    encoder, trial, tmp_path, monkeypatch
):
    german = {"dog": "hund", "cat": "katze", "pizza": "pizza", "bus": "bus"}
    called = {name: dict.fromkeys(languages.LANGUAGES, own) for name, own in german.items()}
    lessons = [
        languages.Named(english, {"de": [own]})
        for english, own in {**german, "horse": "pferd", "sheep": "schaf"}.items()
        for _ in range(2)
    ] + [languages.Named(f"thing {n}", {"de": [f"ding {n}"]}) for n in range(20)]
    monkeypatch.setattr(languages, "read_labels", lambda data, pack: called)
    monkeypatch.setattr(languages, "read_lessons", lambda data: lessons)
    monkeypatch.setattr(languages, "english_nouns", lambda: ["dog", "cat"])
    monkeypatch.setattr(languages, "BUCKETS", 256)
    found = {
        each.name: each
        for each in languages.rows(encoder, tmp_path, tmp_path, trial, lambda _: None)
    }
    by_letters = found[f"languages, {COCO}, 4 labels in de, read by letters: mAP"]
    assert by_letters.value > 0.9
    assert by_letters.baseline == "MiniLM alone"
    assert found[f"languages, {COCO}, the English names: mAP"].value == 1
