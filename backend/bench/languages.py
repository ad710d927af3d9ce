"""Labels named in German, French, Spanish, Italian, Portuguese and Dutch.

MiniLM reads English. `multilingual_labels` says what labels of our packs are called in other
languages; measured is the zero-shot score on the same pictures by these names: as MiniLM reads them
today, by a reader of letters, and, as the most there is to gain, by the English names.

The reader maps hashed groups of letters to the vector of the English name, a ridge regression on
the names of the pack's other characters (none whose picture is a label of ours) and on English
nouns, which are read as they are: half of a language's names of things are spelt nearly alike.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.linalg
from jaxtyping import Float
from sklearn.feature_extraction.text import HashingVectorizer

from backend.bench._embedded_data import MOSAICS
from backend.bench._embedded_measures import scene_of
from backend.bench._embedded_vectors import kept_texts
from backend.bench._wordings import COCO, Pictures, Rows, Say, Trial
from backend.bench.reports import Row, row
from backend.errors import NotFoundError
from backend.methods.encoders._label_space import PROMPT, read_class_names
from backend.methods.encoders._words import unit_rows
from backend.methods.encoders.embedded import EmbeddedEncoder

PACK = "multilingual_labels"
LANGUAGES = ("de", "fr", "es", "it", "pt", "nl")
BUCKETS = 2**13
GROUPS = (1, 5)
"""Letters of the shortest and of the longest group."""

STRENGTHS = (0.03, 0.1, 0.3, 1.0, 3.0)
HELD_BACK = 10
SHARES = (0.0, 0.25, 0.5, 1.0)
"""Of MiniLM's own reading of the name beside the reader's."""


@dataclass(frozen=True)
class Named:
    """Names of one thing in several languages, and what it is called in English."""

    english: str
    names: dict[str, list[str]]


def rows(
    encoder: EmbeddedEncoder, data: Path, folder: Path, trial: Trial, say: Say
) -> Iterator[Row]:
    """MAP and pointing by names in each language, beside MiniLM alone and the English names."""
    lessons = read_lessons(data)
    reader, share = fitted(encoder, lessons, folder, say)
    for pack in (COCO, MOSAICS):
        called = read_labels(data, pack)
        pictures = trial.scenes[pack]
        english = [name for name in pictures.names if name in called]
        own = encoder.encode_labels(english)
        best = _measured(encoder, pictures, english, own)
        gained: list[tuple[float, float]] = []
        for language in LANGUAGES:
            names = [called[name][language] for name in english]
            alone = encoder.encode_labels(names)
            plain = _measured(encoder, pictures, english, alone)
            read = _measured(encoder, pictures, english, mixed(reader(names), alone, share))
            gained.append((read["mAP"], plain["mAP"]))
            for figure in ("mAP", "pointing"):
                yield row(
                    f"languages, {pack}, {len(english)} labels in {language}, read by letters: "
                    f"{figure}",
                    read[figure],
                    figure,
                    baseline="MiniLM alone",
                    baseline_value=plain[figure],
                )
        by_letters, alone = np.mean(gained, axis=0)
        yield row(
            f"languages, {pack}, mean of {len(LANGUAGES)}, read by letters: mAP",
            float(by_letters),
            "mAP",
            at_least=2 * float(alone),
            baseline="MiniLM alone",
            baseline_value=float(alone),
        )
        for figure in ("mAP", "pointing"):
            yield row(f"languages, {pack}, the English names: {figure}", best[figure], figure)


def _measured(
    encoder: EmbeddedEncoder, pictures: Pictures, english: Sequence[str], labels: Rows
) -> dict[str, float]:
    scene = scene_of(encoder.scale, pictures.encoded, pictures.rows, english, labels)
    return scene.figures()


def mixed(read: Rows, alone: Rows, share: float) -> Rows:
    """The reader's vectors with a share of MiniLM's own."""
    return unit_rows(read + share * alone)


def read_labels(data: Path, pack: str) -> dict[str, dict[str, str]]:
    """Names by language of those labels of a pack that have one in every language."""
    return {
        each["label"]: {language: each["names"][language] for language in LANGUAGES}
        for each in _label_rows(data)
        if pack in each["packs"] and all(each["names"].get(language) for language in LANGUAGES)
    }


def read_lessons(data: Path) -> list[Named]:
    """Characters with their names, without those that are a label of any of our packs."""
    labels = _label_rows(data)
    taken = {each["char"] for each in labels}
    words = {each[key].lower() for each in labels for key in ("label", "cldr_en")}
    path = data / PACK / "cldr_names.jsonl.gz"
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        characters = [json.loads(line) for line in stream]
    return [
        Named(
            each["names"]["en"],
            {code: [each["names"][code]] for code in LANGUAGES if each["names"].get(code)},
        )
        for each in characters
        if each["char"] not in taken
        and each["names"].get("en")
        and each["names"]["en"].lower() not in words
    ]


def _label_rows(data: Path) -> list[dict]:
    path = data / PACK / "label_names.jsonl"
    if not path.is_file():
        raise NotFoundError(f"the data pack {PACK} is not in {data}: set PATCHLANE_DATA")
    with path.open(encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


def fitted(
    encoder: EmbeddedEncoder, lessons: Sequence[Named], folder: Path, say: Say
) -> tuple[Callable[[Sequence[str]], Rows], float]:
    """The reader, its strength and MiniLM's share chosen on a tenth of the lessons' things."""
    nouns = english_nouns()
    things = sorted({each.english for each in lessons})
    texts = [PROMPT.format(name) for name in (*things, *nouns)]
    vectors = kept_texts(encoder, texts, folder, say)
    position = {name: i for i, name in enumerate(things)}
    order = np.random.default_rng(0).permutation(len(things))
    held = {things[i] for i in order[: len(things) // HELD_BACK]}

    def pairs(some: Sequence[Named]) -> tuple[list[str], list[int]]:
        found = [
            (name, position[each.english])
            for each in some
            for own in each.names.values()
            for name in own
        ]
        return [name for name, _ in found], [at for _, at in found]

    own_names, own_at = pairs([each for each in lessons if each.english in held])
    names, at = pairs([each for each in lessons if each.english not in held])
    truth = np.array(own_at)
    alone = encoder.encode_texts([PROMPT.format(name) for name in own_names])
    candidates = vectors[sorted(set(own_at))]
    column = {thing: i for i, thing in enumerate(sorted(set(own_at)))}
    wanted = np.array([column[thing] for thing in truth])
    best = (-1.0, 0.0, 0.0)
    english = list(range(len(things), len(texts)))
    for strength in STRENGTHS:
        read = taught([*names, *nouns], vectors[[*at, *english]], strength)(own_names)
        for share in SHARES:
            right = (mixed(read, alone, share) @ candidates.T).argmax(1) == wanted
            say(f"strength {strength}, MiniLM's share {share}: {right.mean():.3f} of names right")
            best = max(best, (float(right.mean()), strength, share))
    say(f"MiniLM alone: {((alone @ candidates.T).argmax(1) == wanted).mean():.3f}")
    every, every_at = pairs(lessons)
    return taught([*every, *nouns], vectors[[*every_at, *english]], best[1]), best[2]


def english_nouns() -> list[str]:
    """Every name of the trunk's classes."""
    return sorted({name.lower() for each in read_class_names() for name in each.names})


def taught(names: Sequence[str], vectors: Rows, strength: float) -> Callable[[Sequence[str]], Rows]:
    """A ridge regression from groups of letters to vectors, solved in closed form."""
    letters: Any = HashingVectorizer(
        analyzer="char_wb", ngram_range=GROUPS, n_features=BUCKETS, lowercase=True
    )
    x = letters.transform(names).astype(np.float32)
    gram = (x.T @ x).toarray()
    gram[np.diag_indices(BUCKETS)] += strength
    weights: Float[np.ndarray, "b d"] = scipy.linalg.solve(
        gram, x.T @ vectors, assume_a="pos", overwrite_a=True
    )
    return lambda some: unit_rows(letters.transform(some).astype(np.float32) @ weights)
