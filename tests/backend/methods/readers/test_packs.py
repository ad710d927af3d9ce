"""The data packs as their SOURCE.md counts them, read as they are."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.reading import chosen, read

pytestmark = pytest.mark.packs


@pytest.mark.parametrize(
    ("pack", "splits", "num_labels", "num_regions", "common"),
    [
        (
            "coco_mini",
            {"train": 277, "test": 131, "val": 68},
            80,
            4126,
            {"person": 254, "dining table": 72},
        ),
        (
            "aquarium",
            {"train": 448, "val": 127, "test": 63},
            7,
            4814,
            {"fish": 333, "jellyfish": 52},
        ),
        # Without the test part: 1,500 samples and 5,084 boxes less those of the 550 in it.
        ("mosaic_open", {"train": 800, "val": 150}, 160, 3243, {}),
    ],
)
def test_image_packs(
    packs: Path, pack: str, splits: dict, num_labels: int, num_regions: int, common: dict
) -> None:
    drafts, problems = read("jsonl", packs / pack, is_decoding=False)
    assert problems == {}
    assert chosen(packs / pack) == "jsonl"
    assert Counter(d.split for d in drafts.values()) == splits
    counts = Counter(label for d in drafts.values() for label in d.verdicts)
    assert len(counts) == num_labels
    assert {label: counts[label] for label in common} == common
    assert sum(len(d.regions) for d in drafts.values()) == num_regions
    assert all(d.path is not None and d.only_present for d in drafts.values())


@pytest.mark.parametrize(
    ("pack", "splits", "num_labels", "num_regions", "common"),
    [
        (
            "nlupp",
            {"train": 2159, "val": 308, "test": 613},
            62,
            1987,
            {"request_info": 557, "savings": 69},
        ),
        pytest.param(
            "goemotions",
            {"train": 43144, "val": 5398, "test": 5389},
            28,
            0,
            {"neutral": 17639, "grief": 96},
            marks=pytest.mark.slow,
        ),
    ],
)
def test_text_packs(
    packs: Path, pack: str, splits: dict, num_labels: int, num_regions: int, common: dict
) -> None:
    drafts, problems = read("jsonl", packs / pack)
    assert problems == {}
    assert Counter(d.split for d in drafts.values()) == splits
    spans = {r.label for d in drafts.values() for r in d.regions}
    counts = Counter(label for d in drafts.values() for label in d.verdicts)
    assert len(counts.keys() - spans) == num_labels, "spans bring labels of their own"
    assert {label: counts[label] for label in common} == common
    assert sum(len(d.regions) for d in drafts.values()) == num_regions
