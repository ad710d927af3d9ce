"""How far the default encoder of texts gets on `nlupp`, with no verdict and with a few hundred.

Texts of the test folds are scored; 30, 100 or 300 texts of the training folds are labelled in full,
drawn three times. Labels are known by their names only. The validation folds (and those of
`goemotions`, and `coco_mini`) chose the learner's settings and are not scored here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import numpy as np
from jaxtyping import Bool, Float, Int
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from backend.bench.reports import Row, row
from backend.bench.teaching import mean_ap, taught
from backend.pipeline import Pipeline, load_encoder
from backend.recipes import load_recipe
from backend.settings import Settings
from backend.types import Features, Kind

COUNTS = (30, 100, 300)
SEEDS = 3
REACH = 0.74
"""mAP that logistic heads on the default's vectors must reach with 300 labelled texts."""

STRENGTH = 10.0
"""scikit-learn's C of the plain heads: the best of 1, 10, 100 on the validation folds."""

BATCH = 256


def rows(settings: Settings) -> Iterator[Row]:
    """Zero-shot, plain heads and the learner, each beside what it is measured against."""
    texts, truth, names, train, test = _nlupp(settings)
    recipe = load_recipe("default")
    encoder = load_encoder(recipe.default_encoder(Kind.TEXT), settings)
    pipeline = Pipeline(recipe, encoder)
    features = _features(pipeline, texts, names)
    average = (features.global_scores + features.local_scores) / 2
    chance = np.random.default_rng(0).random(average.shape).astype(np.float32)
    yield row(
        "nlupp mAP, labels by name, no verdict",
        mean_ap(average, truth, test),
        "mAP",
        baseline="random scores",
        baseline_value=mean_ap(chance, truth, test),
    )
    yield row(
        "nlupp mAP, labels by name, words only",
        mean_ap(features.local_scores, truth, test),
        "mAP",
        baseline="whole texts only",
        baseline_value=mean_ap(features.global_scores, truth, test),
    )
    draws = {
        count: [np.random.default_rng(seed).permutation(train)[:count] for seed in range(SEEDS)]
        for count in COUNTS
    }

    def mean(scores: Callable[[np.ndarray], np.ndarray], count: int) -> float:
        return float(np.mean([mean_ap(scores(drawn), truth, test) for drawn in draws[count]]))

    for count in COUNTS:
        yield row(
            f"nlupp mAP, {count} labelled texts, learner",
            mean(lambda drawn: taught(pipeline.learner, features, truth, drawn), count),
            "mAP",
            baseline="plain logistic heads, same vectors",
            baseline_value=mean(lambda drawn: _heads(features.pooled, truth, drawn), count),
        )
    most = COUNTS[-1]
    minilm = load_encoder("sentence:minilm", settings).encode_texts(texts)
    for name, vectors in (("TF-IDF", _tf_idf(texts)), ("MiniLM alone", minilm)):
        yield row(
            f"nlupp mAP, {most} labelled texts, plain logistic heads on the default",
            mean(lambda drawn: _heads(features.pooled, truth, drawn), most),
            "mAP",
            at_least=REACH,
            baseline=f"{name}, the same heads",
            baseline_value=mean(lambda drawn, x=vectors: _heads(x, truth, drawn), most),
        )


def _nlupp(
    settings: Settings,
) -> tuple[
    list[str],
    Bool[np.ndarray, "n l"],
    list[str],
    Int[np.ndarray, " r"],
    Int[np.ndarray, " t"],
]:
    """Texts, truth, label names, rows to label and rows to score."""
    with (settings.data / "nlupp" / "data.jsonl").open(encoding="utf-8") as lines:
        items = [json.loads(line) for line in lines]
    names = sorted({name for item in items for name in item["labels"]})
    truth = np.array([[name in item["labels"] for name in names] for item in items])
    split = np.array([item["split"] for item in items])
    texts = [item["text"] for item in items]
    return texts, truth, names, np.flatnonzero(split == "train"), np.flatnonzero(split == "test")


def _features(pipeline: Pipeline, texts: list[str], names: list[str]) -> Features:
    labels = pipeline.encoder.encode_labels(names)
    pooled, local = [], []
    for start in range(0, len(texts), BATCH):
        encoded = pipeline.encoder.encode(texts[start : start + BATCH])
        pooled.append(encoded.pooled)
        local.append(pipeline.local_scores(encoded.parts, labels))
    vectors = np.concatenate(pooled)
    return Features(vectors, pipeline.global_scores(vectors, labels), np.concatenate(local))


def _tf_idf(texts: list[str]) -> Float[np.ndarray, "n d"]:
    words = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), min_df=2)
    return words.fit_transform(texts).toarray().astype(np.float32)


def _heads(
    vectors: Float[np.ndarray, "n d"],
    truth: Bool[np.ndarray, "n l"],
    drawn: Int[np.ndarray, " r"],
) -> Float[np.ndarray, "n l"]:
    """scikit-learn's logistic regression per label; one kind of verdict teaches it nothing."""
    scores = np.zeros(truth.shape, np.float32)
    for label in range(truth.shape[1]):
        answers = truth[drawn, label]
        if answers.any() and not answers.all():
            head = LogisticRegression(C=STRENGTH, max_iter=1000).fit(vectors[drawn], answers)
            scores[:, label] = head.decision_function(vectors)
    return scores
