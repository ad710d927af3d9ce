"""Does the map of a text lie on the words that carry its label, before and after verdicts.

`patchlane bench evidence --part words`, on `nlupp`: its slots (a date, a name, an amount) as labels
of the texts that hold one, taught on train texts, `NEWEST` of each kind as the product does, three
draws; measured on the others. A map points where its best word lies in a span of the slot.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from backend.bench.reports import Row, row
from backend.contracts import Encoder
from backend.errors import NotFoundError
from backend.numerics.part_shift import Taught, learned_vector
from backend.numerics.regions import parts_of
from backend.part_lessons import NEWEST
from backend.pipeline import Pipeline, load_encoder
from backend.recipes import load_recipe
from backend.settings import Settings
from backend.types import Kind, Region, Verdict

PACK = "nlupp"
SEEDS = 3
OWN, VERDICTS, MARKS = "the label's own vector", "verdicts on texts", "and marks on their words"


@dataclass(frozen=True)
class Spoken:
    """Texts as words, and where each label is said.

    Attributes:
        parts: of each text (P, D).
        truth: (N, L) which text says which label.
        inside: of each (text, label) that is said, which words (P,) say it.
        is_taught: which texts are learned from.
        labels: (L, D) vectors of the labels' names.
    """

    names: list[str]
    parts: Sequence[Float[np.ndarray, "p d"]]
    truth: Bool[np.ndarray, "n l"]
    inside: dict[tuple[int, int], Bool[np.ndarray, " p"]]
    is_taught: Bool[np.ndarray, " n"]
    labels: Float[np.ndarray, "l d"]
    temperature: float


def word_rows(settings: Settings) -> Iterator[Row]:
    """Pointing of the map by what it was taught, mean of the draws."""
    recipe = load_recipe("default")
    pipeline = Pipeline(recipe, load_encoder(recipe.default_encoder(Kind.TEXT), settings))
    known = spoken(settings, pipeline.encoder, pipeline.scale.temperature)
    runs = [pointing_of(known, seed) for seed in range(SEEDS)]
    found = {arm: float(np.mean([run[arm] for run in runs])) for arm in runs[0]}
    chance = float(np.mean([found.mean() for found in measured(known).values()]))
    told = f"pointing of words, {PACK}, {len(known.names)} slots"
    yield row(
        f"{told}: {OWN}", found[OWN], "of 1", baseline="a word at random", baseline_value=chance
    )
    for arm in (VERDICTS, MARKS):
        yield row(
            f"{told}: {arm}",
            found[arm],
            "of 1",
            at_least=found[OWN],
            baseline=OWN,
            baseline_value=found[OWN],
        )


def spoken(settings: Settings, encoder: Encoder, temperature: float) -> Spoken:
    """The texts of the pack that hold a slot, and as many others to say no to.

    Raises:
        NotFoundError: the data pack is not there.
    """
    path = settings.data / PACK / "data.jsonl"
    if not path.is_file():
        raise NotFoundError(f"there is no {path}; set PATCHLANE_DATA")
    items = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    names = sorted({span["label"] for item in items for span in item["spans"]})
    encoded = encoder.encode([item["text"] for item in items])
    truth = np.zeros((len(items), len(names)), bool)
    inside: dict[tuple[int, int], np.ndarray] = {}
    for number, (item, layout) in enumerate(zip(items, encoded.layouts, strict=True)):
        for span in item["spans"]:
            column = names.index(span["label"])
            region = Region("span", (float(span["start"]), float(span["end"])), Verdict.YES)
            words = parts_of(region, layout)
            if len(words):
                truth[number, column] = True
                here = inside.setdefault(
                    (number, column), np.zeros(len(encoded.parts[number]), bool)
                )
                here[words] = True
    return Spoken(
        names=names,
        parts=encoded.parts,
        truth=truth,
        inside=inside,
        is_taught=np.array([item["split"] == "train" for item in items]),
        labels=encoder.encode_labels([name.replace("_", " ") for name in names]),
        temperature=temperature,
    )


def measured(known: Spoken) -> dict[tuple[int, int], Bool[np.ndarray, " p"]]:
    """The pairs that are pointed at: said in a text that nothing was learned from."""
    return {pair: words for pair, words in known.inside.items() if not known.is_taught[pair[0]]}


def pointing_of(known: Spoken, seed: int) -> dict[str, float]:
    """Share of the measured pairs whose best word says the label, by what the label was taught."""
    draw = np.random.default_rng(seed)
    taught = draw.permutation(np.flatnonzero(known.is_taught))
    vectors = {
        OWN: known.labels,
        VERDICTS: _taught(known, taught, with_marks=False),
        MARKS: _taught(known, taught, with_marks=True),
    }
    pairs = measured(known)
    return {
        arm: float(
            np.mean(
                [words[int((known.parts[n] @ of[c]).argmax())] for (n, c), words in pairs.items()]
            )
        )
        for arm, of in vectors.items()
    }


def _taught(known: Spoken, order: np.ndarray, *, with_marks: bool) -> Float[np.ndarray, "l d"]:
    """Label vectors after the first `NEWEST` verdicts of each kind in `order`."""
    out = known.labels.copy()
    for column in range(len(known.names)):
        said = known.truth[order, column]
        yes, no = order[said][:NEWEST].tolist(), order[~said][:NEWEST].tolist()
        told = [
            Taught(known.parts[n], *_marks(known.inside[n, column]) if with_marks else ())
            for n in yes
        ]
        rest = [Taught(known.parts[n]) for n in no]
        out[column] = learned_vector(known.labels[column], told, rest, known.temperature)
    return out


def _marks(words: Bool[np.ndarray, " p"]) -> tuple[np.ndarray, np.ndarray]:
    return np.flatnonzero(words), np.flatnonzero(~words)
