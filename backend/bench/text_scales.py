"""Where the constants of the text encoders come from: `python -m backend.bench.text_scales`.

Cosines of texts with label names have another mean and spread for every encoder, and words have
others than whole texts. The constants of `ScoreScale` bring both to one scale. They are measured
here on public data (train parts of nlupp, clinc150 and banking77, each weighing the same) and
stored in the code, so that a project's scores never depend on what else is in the project. The
temperature of the transport is the highest that costs at most 0.002 of the mean mAP of the two
scores together: among equals, the one whose map says more than a single word.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from backend.contracts import Encoder
from backend.methods.aligners.transport import TransportAligner
from backend.numerics.scores import mean_average_precision
from backend.numerics.words import readable_name
from backend.pipeline import load_encoder, padded
from backend.settings import Settings
from backend.types import ScoreScale

PACKS = ("nlupp", "clinc150", "banking77")
ENCODERS = ("sentence:minilm", "words", "sentence:minilm+words")
TEMPERATURES = (0.01, 0.02, 0.03, 0.05, 0.08, 0.12, 0.2)
PROMPTS = ("{}", "a text about {}", "this is about {}", "the topic is {}", "I want to ask about {}")
TEXTS_PER_PACK = 1500
SLACK = 0.002


@dataclass(frozen=True)
class LabelledTexts:
    """Texts with the names of all labels and who has which."""

    name: str
    texts: list[str]
    labels: list[str]
    targets: Float[np.ndarray, "n l"]


def read_pack(folder: Path, name: str, *, most: int = TEXTS_PER_PACK) -> LabelledTexts:
    """The train part of a pack, evenly thinned to `most` texts."""
    path = next((folder / name).glob("data.jsonl*"))
    content = path.read_bytes()
    lines = (gzip.decompress(content) if path.suffix == ".gz" else content).splitlines()
    rows = [row for row in map(json.loads, lines) if row["split"] == "train" and row["labels"]]
    rows = [rows[int(at)] for at in np.linspace(0, len(rows) - 1, min(most, len(rows)))]
    labels = sorted({label for row in rows for label in row["labels"]})
    targets = np.array([[label in row["labels"] for label in labels] for row in rows], np.float32)
    return LabelledTexts(name, [row["text"] for row in rows], labels, targets)


def mean_ap(scores: Float[np.ndarray, "n l"], data: LabelledTexts) -> float:
    """Mean average precision over the labels."""
    return mean_average_precision(scores, data.targets, np.ones_like(data.targets, dtype=bool))


def measure_prompts(encoder: Encoder, packs: Sequence[LabelledTexts]) -> Iterator[dict]:
    """Rank whole texts by label name (mAP), for each way of saying the name."""
    for data in packs:
        pooled = encoder.encode_texts(data.texts)
        for prompt in PROMPTS:
            names = [prompt.format(readable_name(label)) for label in data.labels]
            found = mean_ap(pooled @ encoder.encode_texts(names).T, data)
            yield {"encoder": encoder.id, "data": data.name, "prompt": prompt, "mAP": found}


def measure_scale(encoder: Encoder, packs: Sequence[LabelledTexts]) -> Iterator[dict]:
    """Rank by global score, transport and both (mAP) at each temperature; last the constants."""
    rows: dict[float, list[dict[str, float]]] = {at: [] for at in TEMPERATURES}
    for data in packs:
        encoded = encoder.encode(data.texts)
        names = encoder.encode_labels(data.labels)
        whole = encoded.pooled @ names.T
        for temperature, found in rows.items():
            aligner = TransportAligner(TransportAligner.Settings(temperature=temperature))
            local = np.concatenate([
                aligner.score(block, names, real=real)
                for block, real in _blocks(encoded.parts)
            ])  # fmt: skip
            both = (whole - whole.mean()) / whole.std() + (local - local.mean()) / local.std()
            found.append({
                "global mean": float(whole.mean()), "global std": float(whole.std()),
                "local mean": float(local.mean()), "local std": float(local.std()),
                "global": mean_ap(whole, data), "local": mean_ap(local, data),
                "both": mean_ap(both, data),
            })  # fmt: skip
            yield {"encoder": encoder.id, "data": data.name, "temperature": temperature} | found[-1]
    quality = {at: float(np.mean([row["both"] for row in rows[at]])) for at in TEMPERATURES}
    chosen = max(at for at in TEMPERATURES if quality[at] >= max(quality.values()) - SLACK)
    mean, std, local_mean, local_std = (
        round(float(np.mean([row[key] for row in rows[chosen]])), 4)
        for key in ("global mean", "global std", "local mean", "local std")
    )
    scale = ScoreScale(mean, std, local_mean, local_std, chosen)
    yield {"encoder": encoder.id, "scale": repr(scale)}


def _blocks(parts: Sequence[np.ndarray], size: int = 200) -> Iterator[tuple[np.ndarray, ...]]:
    for at in range(0, len(parts), size):
        block, real = padded(parts[at : at + size])
        yield block, np.ones(block.shape[:2], bool) if real is None else real


def main() -> int:
    """Print one JSON row per measurement."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    settings = Settings.from_environ()
    if not settings.data.is_dir():
        sys.stderr.write(f"no data packs in {settings.data}; set PATCHLANE_DATA\n")
        return 1
    packs = [read_pack(settings.data, name) for name in PACKS]
    for name in ENCODERS:
        encoder = load_encoder(name, settings)
        for measure in (measure_prompts, measure_scale):
            for row in measure(encoder, packs):
                sys.stdout.write(json.dumps(row) + "\n")
                sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
