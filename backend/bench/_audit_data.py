"""Five sets whose labels are known in full, as auditors see them; encoded once, kept on disk.

Pictures: `coco_mini`, `aquarium`, `bccd`; texts: `nlupp`, and of `goemotions` a fixed draw, since
what is measured needs thousands of texts and not fifty thousand. All splits are taken together:
label errors are looked for where labels are, and every score is of heads that saw other samples.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from backend.bench._embedded_data import read_rows
from backend.bench._embedded_measures import read_pictures
from backend.contracts import lane_host
from backend.errors import NotFoundError
from backend.pipeline import Pipeline, load_encoder
from backend.recipes import load_recipe
from backend.settings import Settings
from backend.types import Features, Kind

PICTURES = ("coco_mini", "aquarium", "bccd")
TEXTS = ("nlupp", "goemotions")
SETS = (*PICTURES, *TEXTS)
DRAWN = {"goemotions": 4000}
CHUNK = 32
Say = Callable[[str], None]


@dataclass(frozen=True)
class AuditedSet:
    """One set.

    Attributes:
        features: of all samples; `pooled` with the encoder's plain numbers beside it.
        truth: (N, L) which sample has which label.
        vectors: (N, D) unit rows, what neighbours are looked for in.
        rows: the pack's own rows, for captions, sources and texts.
        splits: "train", "val" or "test".
    """

    name: str
    names: list[str]
    features: Features
    truth: Bool[np.ndarray, "n l"]
    vectors: Float[np.ndarray, "n d"]
    rows: list[dict]
    splits: list[str]

    def of(self, rows: Int[np.ndarray, " r"]) -> AuditedSet:
        """Some of the samples alone, in this order."""
        return replace(
            self,
            features=replace(
                self.features,
                pooled=self.features.pooled[rows],
                global_scores=self.features.global_scores[rows],
                local_scores=self.features.local_scores[rows],
            ),
            truth=self.truth[rows],
            vectors=self.vectors[rows],
            rows=[self.rows[row] for row in rows],
            splits=[self.splits[row] for row in rows],
        )


def audited_set(name: str, settings: Settings, *, say: Say) -> AuditedSet:
    """One of `SETS`; what an earlier run encoded with the same encoder is taken from disk.

    Raises:
        NotFoundError: the data pack is not there.
    """
    rows = rows_of(settings.data, name)
    names = sorted({label for each in rows for label in each["labels"]})
    return encoded_set(name, rows, names, settings, say=say)


def encoded_set(
    name: str, rows: list[dict], names: list[str], settings: Settings, *, say: Say
) -> AuditedSet:
    """Rows of a pack, pictures or texts, with scores for these labels."""
    recipe = load_recipe("default")
    kind = Kind.TEXT if "text" in rows[0] else Kind.IMAGE
    pipeline = Pipeline(recipe, load_encoder(recipe.default_encoder(kind), settings))
    key = f"{name}-{len(rows)}-{pipeline.encoder.fingerprint}"
    place = settings.home / "training" / "audit" / f"{key}.npz"
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        arrays = _read(name, rows, names, pipeline, settings.data, say)
        aside = place.with_suffix(".part.npz")
        np.savez(aside, allow_pickle=False, **arrays)
        aside.rename(place)
    found = np.load(place)
    labels = pipeline.encoder.encode_labels(names)
    vectors = found["pooled"]
    return AuditedSet(
        name=name,
        names=names,
        features=Features(
            np.concatenate([vectors, found["plain"]], axis=1),
            pipeline.global_scores(vectors, labels),
            found["local"],
        ),
        truth=np.array([[label in each["labels"] for label in names] for each in rows]),
        vectors=vectors,
        rows=rows,
        splits=[each.get("split", "train") for each in rows],
    )


def rows_of(data: Path, name: str) -> list[dict]:
    """All rows of a pack, or the fixed draw of them.

    Raises:
        NotFoundError: the data pack is not there.
    """
    if name in PICTURES:
        return read_rows(data, name)
    plain, packed = data / name / "data.jsonl", data / name / "data.jsonl.gz"
    if not (plain.is_file() or packed.is_file()):
        raise NotFoundError(f"the data pack {name} is not in {data}: set PATCHLANE_DATA")
    content = plain.read_bytes() if plain.is_file() else gzip.decompress(packed.read_bytes())
    rows = [json.loads(line) for line in content.decode("utf-8").splitlines() if line]
    most = DRAWN.get(name, len(rows))
    if most < len(rows):
        rows = [rows[at] for at in np.sort(np.random.default_rng(0).permutation(len(rows))[:most])]
    return rows


def _read(
    name: str,
    rows: Sequence[dict],
    names: Sequence[str],
    pipeline: Pipeline,
    data: Path,
    say: Say,
) -> dict[str, np.ndarray]:
    """Pooled vectors, plain numbers and local scores, a chunk at a time."""
    host = lane_host(pipeline.encoder)
    labels = pipeline.encoder.encode_labels(names)
    pooled, plain, local = [], [], []
    for start in range(0, len(rows), CHUNK):
        chunk = rows[start : start + CHUNK]
        if "text" in chunk[0]:
            encoded = pipeline.encoder.encode([each["text"] for each in chunk])
            plain.append(np.zeros((len(chunk), 0), np.float32))
        elif host is not None:
            encoded, readings = host.read(read_pictures(data, name, [e["file"] for e in chunk]))
            plain.append(np.stack([reading.plain for reading in readings]))
        else:
            encoded = pipeline.encoder.encode(read_pictures(data, name, [e["file"] for e in chunk]))
            plain.append(np.zeros((len(chunk), 0), np.float32))
        pooled.append(encoded.pooled)
        local.append(pipeline.local_scores(encoded.parts, labels))
        if start // CHUNK % 16 == 0:
            say(f"{name}: {start + len(chunk)} of {len(rows)} encoded")
    return {
        "pooled": np.concatenate(pooled),
        "plain": np.concatenate(plain).astype(np.float32),
        "local": np.concatenate(local),
    }
