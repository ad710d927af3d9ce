"""Captions of photographs, and where each noun that they hold lies among them.

The captions are those of `coco_captions_text`, train, without any photo of `coco_mini`.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float
from scipy.special import softmax

from backend.bench._embedded_data import read_rows
from backend.errors import NotFoundError
from backend.methods.encoders._dictionary import Dictionary, forms
from backend.methods.encoders._words import unit_rows

PACK = "coco_captions_text"
MEASURED = "coco_mini"
CLOSENESS = 0.03
"""Temperature between a name and the captions that hold it, as between a name and its senses."""

_WORD = re.compile(r"[a-z]+")


def read_captions(data: Path) -> list[str]:
    """Captions of train photos of which none is in `coco_mini`.

    Raises:
        NotFoundError: the pack is not there.
    """
    path = data / PACK / "data.jsonl.gz"
    if not path.is_file():
        raise NotFoundError(f"the data pack {PACK} is not in {data}: set PATCHLANE_DATA")
    measured = {int(Path(each["file"]).stem) for each in read_rows(data, MEASURED)}
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        groups = [json.loads(line) for line in stream]
    return [
        " ".join(caption.split())
        for group in groups
        if group["split"] == "train" and group["id"] not in measured
        for caption in group["captions"]
    ]


def captions_by_noun(texts: Sequence[str]) -> dict[str, list[int]]:
    """Which captions hold which name of a thing, of up to three words, in either number."""
    dictionary = Dictionary(share=1.0, temperature=CLOSENESS)
    known: dict[str, list[str]] = {}
    found: dict[str, list[int]] = {}
    for number, text in enumerate(texts):
        words = _WORD.findall(text.lower())
        said = {
            " ".join(words[at : at + count])
            for count in (1, 2, 3)
            for at in range(len(words) - count + 1)
        }
        for name in said:
            if name not in known:
                known[name] = [each for each in forms(name) if dictionary.senses(each)]
            for noun in known[name]:
                found.setdefault(noun, []).append(number)
    return {noun: sorted(set(numbers)) for noun, numbers in found.items()}


def without_names(holders: Mapping[str, list[int]], names: Collection[str]) -> dict[str, list[int]]:
    """The nouns that are none of these names, nor what one may be the plural of."""
    left_out = {form for name in names for form in forms(name.replace("_", " ").lower())}
    return {noun: rows for noun, rows in holders.items() if noun not in left_out}


def among_captions(
    labels: Float[np.ndarray, "m d"],
    holders: Sequence[Sequence[int]],
    captions: Float[np.ndarray, "c d"],
) -> Float[np.ndarray, "m d"]:
    """Unit mean of the captions that hold each noun, weighted by their closeness to its label."""
    found = [
        softmax(captions[rows] @ label / CLOSENESS) @ captions[rows]
        for label, rows in zip(labels, holders, strict=True)
    ]
    return unit_rows(np.stack(found))
