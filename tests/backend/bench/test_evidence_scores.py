"""What parts do to the score, and where the shown map is, beside sums made by hand."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from backend.bench import _evidence_scores, pointing
from backend.bench.patchct import course_of
from backend.bench.teaching import lessons_on
from backend.methods.learners._heads import LogisticHeads
from backend.pipeline import Pipeline
from backend.recipes import load_recipe
from backend.types import Features, Kind, Layout, ScoreScale


@dataclass
class Made:
    """An encoder that reads nothing: the vectors of these pictures are given."""

    scale: ScoreScale
    id: str = "made"
    kind: Kind = Kind.IMAGE
    dim: int = 8
    fingerprint: str = "made"
    input_size: int = 8

    def encode(self, samples):
        raise NotImplementedError

    encode_labels = encode_texts = encode


@pytest.fixture
def pipeline(boxed):
    return Pipeline(load_recipe("default"), Made(boxed.scale))


def scores_of(boxed):
    """Both zero-shot scores, worked out picture by picture."""
    scale = boxed.scale
    whole = (boxed.pooled @ boxed.labels.T - scale.global_mean) / scale.global_std
    local = np.empty_like(whole)
    for row, parts in enumerate(boxed.parts.astype(np.float32)):
        cosine = parts @ boxed.labels.T
        weights = np.exp(cosine / scale.temperature)
        local[row] = (weights * cosine).sum(axis=0) / weights.sum(axis=0)
    return whole, (local - scale.local_mean) / scale.local_std


def test_the_shipped_score_is_the_mean_of_both_and_the_other_is_global_alone(boxed, pipeline):
    whole, local = scores_of(boxed)
    found = _evidence_scores.quality(boxed, pipeline, str)["no verdict"]
    for way, scores in (("shipped", (whole + local) / 2), ("global only", whole)):
        wanted = average_precision_score(boxed.truth, scores, average="macro")
        assert found[way] == pytest.approx(wanted, abs=1e-6)
    assert found["shipped"] > found["global only"]


def test_heads_learn_from_one_half_and_are_measured_on_the_other(boxed, pipeline):
    whole, local = scores_of(boxed)
    values = []
    for seed in range(3):
        course = course_of(boxed, seed)
        heads = LogisticHeads()
        features = Features(boxed.pooled, whole.astype(np.float32), local.astype(np.float32))
        lessons = lessons_on(boxed.truth, course.taught)
        scores = heads.score(heads.learn(heads.start(3, 8), features, lessons)[0], features)
        rest = course.measured
        values.append(average_precision_score(boxed.truth[rest], scores[rest], average="macro"))
    found = _evidence_scores.quality(boxed, pipeline, str)["heads learned, held out"]
    assert found["shipped"] == pytest.approx(np.mean(values), abs=1e-4)


def test_pictures_that_are_there_to_be_taught_are_not_measured_without_verdicts(boxed, pipeline):
    whole, _ = scores_of(boxed)
    given = replace(boxed, is_taught=np.arange(40) < 25)
    found = _evidence_scores.quality(given, pipeline, str)["no verdict"]
    wanted = average_precision_score(boxed.truth[25:], whole[25:], average="macro")
    assert found["global only"] == pytest.approx(wanted, abs=1e-6)


def test_the_reach_is_the_global_score_less_what_parts_may_cost(boxed, settings, monkeypatch):
    monkeypatch.setattr(_evidence_scores, "SETS", ("made",))
    monkeypatch.setattr(_evidence_scores, "load_encoder", lambda *_: Made(boxed.scale))
    monkeypatch.setattr(_evidence_scores, "boxed_set", lambda *_: boxed)
    told = {"shipped": 0.497, "global only": 0.5}
    monkeypatch.setattr(_evidence_scores, "quality", lambda *_: {"no verdict": told})
    (row,) = _evidence_scores.score_rows(settings, str)
    assert (row.value, row.baseline_value, row.ok) == (0.497, 0.5, True)
    told["shipped"] = 0.4969
    (row,) = _evidence_scores.score_rows(settings, str)
    assert row.ok is False


def test_the_map_that_is_measured_is_the_one_that_is_shown(boxed, pipeline):
    """Softmax of the bench's logits against the alignment that the screen draws."""
    course = course_of(boxed, 0)
    vectors = pointing.taught_vectors(course)
    found = pointing._maps(course, vectors)
    assert len(course.pairs) == len(found.shown) > 0
    for number, pair in enumerate(course.pairs):
        row, column = boxed.rows[pair], boxed.columns[pair]
        parts = boxed.parts[row].astype(np.float32)
        accepted = np.flatnonzero(boxed.truth[row])
        asked, grid = vectors[[column]], Layout(grid=boxed.grid)
        own = np.flatnonzero(accepted == column)
        told = pipeline.shown(parts, asked, grid, rivals=vectors[accepted], own=own)
        alone = pipeline.shown(parts, asked, grid)
        for logits, one in ((found.shown, told), (found.alone, alone)):
            weights = np.exp(logits[number] - logits[number].max())
            np.testing.assert_allclose(weights / weights.sum(), one.backward[0, :, 0], atol=1e-5)
        np.testing.assert_allclose(found.likeness[number], told.similarity[0, :, 0], atol=1e-5)
