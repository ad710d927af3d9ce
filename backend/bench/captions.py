"""What captions of photographs tell the encoder about words, and what else was tried with them.

Labels are names; captions are how people write of photographs. Three things are tried with the
captions of `coco_captions_text` (train, without any photo of `coco_mini`):

- statistics: labels and pictures with the captions' mean taken away, without their main directions
  (all-but-the-top, Mu and Viswanath, ICLR 2018) or partly whitened;
- memory: a picture drawn towards the captions it is closest to (DeCap, Li et al., ICLR 2023);
- names: a label drawn towards where captions with its name lie, by the captions themselves (which
  ships, but for the labels that are kept out to measure unseen ones), by the
  mean difference (CLOSE, Gu et al., ICCV 2023), by a ridge map learned on all nouns of the
  captions, or said as captions say it.

Each kind's share is chosen on training mosaics; see `_wordings`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from jaxtyping import Float
from scipy.special import softmax
from sklearn.linear_model import RidgeCV

from backend.bench._caption_data import (
    among_captions,
    captions_by_noun,
    read_captions,
    without_names,
)
from backend.bench._embedded_vectors import kept_texts
from backend.bench._wordings import COCO, Rows, Say, Trial, Way
from backend.bench.embedded_encoder import changed
from backend.bench.reports import Row, row
from backend.methods.encoders._captioned_nouns import draw
from backend.methods.encoders._words import unit_rows
from backend.methods.encoders.embedded import EmbeddedEncoder

PRESENT = "names and definitions alone"
TEMPLATES = (
    "a {} in a photo",
    "there is a {} in the picture",
    "a close up of a {}",
    "a picture of a {} in a room",
    "a {} that is outside",
    "people near a {}",
)
"""How captions begin and end, with a place for a name."""

FEWEST = 5
"""Captions that a noun must be in to be learned from."""


def rows(
    encoder: EmbeddedEncoder, data: Path, folder: Path, trial: Trial, say: Say
) -> Iterator[Row]:
    """Of each kind the way that was chosen, beside the present state."""
    texts = read_captions(data)
    say(f"{len(texts)} captions")
    vectors = kept_texts(encoder, texts, folder, say)
    with TemporaryDirectory(prefix="patchlane-uncaptioned-") as place:
        plain = EmbeddedEncoder(changed(Path(place), encoder, without=("captions",)))
        yield from _rows(plain, texts, vectors, trial, say)


def _rows(
    encoder: EmbeddedEncoder, texts: Sequence[str], vectors: Rows, trial: Trial, say: Say
) -> Iterator[Row]:
    present = present_way(encoder)
    base, chosen_by = trial.figures(present), trial.choosing(present)
    say(f"{PRESENT}: chosen by {chosen_by:.4f}, {_told(base)}")
    tried: dict[str, list[tuple[float, Way, dict[str, float]]]] = {}
    for way in ways(encoder, texts, vectors, trial.photos.kept_out):
        figures = trial.figures(way)
        tried.setdefault(way.family, []).append((trial.choosing(way), way, figures))
        say(f"{way.family}, {way.name}: chosen by {tried[way.family][-1][0]:.4f}, {_told(figures)}")
    for family, found in tried.items():
        score, way, figures = max(found, key=lambda each: each[0])
        yield row(
            f"captions, {family}: chosen is {way.name}; mAP on training mosaics, untrained",
            score,
            "mAP",
            baseline=PRESENT,
            baseline_value=chosen_by,
        )
        for name, value in figures.items():
            yield row(
                f"captions, {family}, {way.name}: {name}",
                value,
                name.rsplit(" ", 1)[-1] if "global" not in name else "mAP",
                at_least=base[name],
                baseline=PRESENT,
                baseline_value=base[name],
            )
        best = max(found, key=lambda each: each[2][f"{COCO} mAP"])
        yield row(
            f"captions, {family}: {COCO} mAP of whichever way is best there ({best[1].name})",
            best[2][f"{COCO} mAP"],
            "mAP",
            baseline=PRESENT,
            baseline_value=base[f"{COCO} mAP"],
        )


def _told(figures: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.4f}" for name, value in figures.items())


def present_way(encoder: EmbeddedEncoder) -> Way:
    """Labels as an encoder says them and pictures as they are; names are read once."""

    @lru_cache(maxsize=64)
    def read(names: tuple[str, ...]) -> Rows:
        return encoder.encode_labels(names)

    return Way("present", PRESENT, lambda names: read(tuple(names)))


def ways(
    encoder: EmbeddedEncoder, texts: Sequence[str], vectors: Rows, kept_out: Sequence[str]
) -> Iterator[Way]:
    """Everything that is tried."""
    present = present_way(encoder)
    yield from statistics(present, vectors)
    yield from memory(present, vectors)
    yield from names(encoder, present, texts, vectors, kept_out)


def statistics(present: Way, captions: Rows) -> Iterator[Way]:
    """Labels and pictures turned by the moments of the captions."""

    def turned(family: str, name: str, shift: Float[np.ndarray, " d"], by: np.ndarray) -> Way:
        def turn(rows: Rows) -> Rows:
            return unit_rows((rows - shift) @ by)

        return Way(family, name, lambda names: turn(present.labels(names)), turn, turn)

    mean, eye = captions.mean(axis=0), np.eye(captions.shape[1], dtype=np.float32)
    for share in (0.5, 1.0):
        yield turned("mean removed", f"{share} of the mean", share * mean, eye)
    for count in (1, 2, 4, 8):
        by = without_top(captions, count)
        yield turned("main directions removed", f"without the first {count}", 0 * mean, by)
    for power in (0.1, 0.25, 0.5):
        by = partly_whitening(captions, power)
        yield turned("partly whitened", f"power {power}", 0 * mean, by)


def without_top(rows: Rows, count: int) -> Float[np.ndarray, "d d"]:
    """Projection (symmetric) onto all but the first principal directions of the rows."""
    _, axes = np.linalg.eigh(np.cov(rows.T))
    top = axes[:, ::-1][:, :count]
    return (np.eye(len(axes)) - top @ top.T).astype(np.float32)


def partly_whitening(rows: Rows, power: float) -> Float[np.ndarray, "d d"]:
    """Symmetric map that scales each principal direction by (variance + mean variance)^-power."""
    sizes, axes = np.linalg.eigh(np.cov(rows.T))
    return ((axes * (sizes + sizes.mean()) ** -power) @ axes.T).astype(np.float32)


def memory(present: Way, captions: Rows) -> Iterator[Way]:
    """Pictures drawn towards the captions that they are closest to."""
    for temperature in (0.02, 0.05, 0.1):
        for share in (0.25, 0.5):

            def drawn(rows: Rows, temperature: float = temperature, share: float = share) -> Rows:
                said = recalled(rows, captions, temperature)
                return unit_rows((1 - share) * rows + share * said)

            name = f"{share} of the captions at temperature {temperature}"
            yield Way("captions as a memory", name, present.labels, drawn)


def recalled(rows: Rows, captions: Float[np.ndarray, "c d"], temperature: float) -> Rows:
    """Unit mean of the captions, weighted by a softmax of their cosine with each row."""
    found = [
        softmax(rows[at : at + 64] @ captions.T / temperature, axis=1) @ captions
        for at in range(0, len(rows), 64)
    ]
    return unit_rows(np.concatenate(found))


def names(
    encoder: EmbeddedEncoder,
    present: Way,
    texts: Sequence[str],
    captions: Rows,
    kept_out: Sequence[str],
) -> Iterator[Way]:
    """Labels drawn towards captions."""
    holders = captions_by_noun(texts)

    def mixed(family: str, name: str, share: float, other: Way) -> Way:
        def labels(names: Sequence[str]) -> Rows:
            own = present.labels(names)
            return unit_rows((1 - share) * own + share * other.labels(names))

        return Way(family, name, labels)

    honest = without_names(holders, kept_out)
    nouns = {noun: row for row, noun in enumerate(honest)}
    held = among_captions(present.labels(list(nouns)), list(honest.values()), captions)
    for share in (0.1, 0.25, 0.35, 0.5):

        def drawn(names: Sequence[str], share: float = share) -> Rows:
            return draw(names, present.labels(names), nouns, held, share)

        yield Way("captions that hold the name", f"share {share}", drawn)
    said = Way("", "", lambda names: _by_templates(encoder, tuple(names)))
    for share in (0.5, 1.0):
        yield mixed("said as captions say it", f"share {share}", share, said)
    learned = sorted(
        noun for noun, rows in holders.items() if len(rows) >= FEWEST and noun not in kept_out
    )
    x = present.labels(learned)
    y = np.stack([captions[holders[noun]].mean(axis=0) for noun in learned])
    step = y.mean(axis=0) - x.mean(axis=0)
    for share in (0.5, 1.0):

        def moved(names: Sequence[str], share: float = share) -> Rows:
            return unit_rows(present.labels(names) + share * step)

        yield Way("moved to where captions lie", f"share {share}", moved)
    model = RidgeCV(alphas=(0.1, 1.0, 10.0, 100.0)).fit(x, y - y.mean(axis=0))
    mapped = Way("", "", lambda names: unit_rows(model.predict(present.labels(names))))
    told = f"learned on {len(learned)} nouns"
    for share in (0.1, 0.25, 0.5):
        yield mixed(f"ridge map from names to captions, {told}", f"share {share}", share, mapped)


@lru_cache(maxsize=64)
def _by_templates(encoder: EmbeddedEncoder, names: tuple[str, ...]) -> Rows:
    found = [encoder.encode_texts([each.format(name) for name in names]) for each in TEMPLATES]
    return unit_rows(np.mean(found, axis=0))
