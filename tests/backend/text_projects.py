"""Projects of short texts that are about known things; made once, and each test gets a copy."""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from backend import api, pipeline
from backend.settings import Settings
from backend.types import Kind

Text = tuple[str, str, set[str]]
"""Name, text, and what it is about."""

TEXTS = [
    "the cat sleeps on the warm sofa",
    "a dog barks at the postman",
    "my kitten chased a mouse under the table",
    "the puppy ran after the ball in the park",
    "we baked bread and cake in the kitchen",
    "the soup needs salt and pepper",
    "the train to the airport was late again",
    "he missed the bus and took a taxi",
    "cats and dogs can live together",
    "dinner on the train was a cold sandwich",
    "the airplane landed in heavy rain",
    "she cooked rice with tomatoes",
    "a stray dog followed us to the bus stop",
    "the bakery sells cookies for dogs",
    "our cat hates car rides",
    "the tram stopped in front of the restaurant",
    "fresh fish for dinner and for the cat",
    "the bicycle has a flat tire",
    "pancakes with syrup for breakfast",
    "the veterinarian weighed the rabbit",
]
LABELS = ["animal", "food", "transport"]

# The encoder is compiled once a run: what takes seconds here is nothing that is tested.
loaded = functools.cache(pipeline.load_encoder)


def told(
    number: int, about: set[str], words: Mapping[str, Sequence[str]], draw: np.random.Generator
) -> Text:
    """A text of one phrase for each thing that it is about."""
    phrases = ", ".join(str(draw.choice(words[label])) for label in sorted(about))
    return f"t{number}", f"{number}: {phrases}", about


def numbered(texts: Iterable[str]) -> list[Text]:
    """Texts named t0, t1, ... of which nothing is said."""
    return [(f"t{number}", text, set()) for number, text in enumerate(texts)]


def made_project(
    rows: Sequence[Text],
    folder: Path,
    settings: Settings,
    *,
    labels: Sequence[str],
    encoder: str,
    packs: Mapping[str, Sequence[str]] | None = None,
    name: str = "made",
) -> api.Workbench:
    """A new project of these texts, encoded; nothing is decided yet.

    Args:
        rows: the texts.
        folder: where a file of them is written.
        settings: of the home.
        labels: of the pack main.
        encoder: its id.
        packs: labels of further packs, by pack.
        name: of the project.
    """
    file = folder / "texts.jsonl"
    file.write_text("\n".join(json.dumps({"sample": own, "text": text}) for own, text, _ in rows))
    bench = api.create_project(
        name, labels=labels, kind=Kind.TEXT, encoder=encoder, settings=settings
    )
    for pack, names in (packs or {}).items():
        bench.add_labels(names, pack=pack)
    report = bench.add(file)
    assert report.imported == len(rows), report.errors
    return bench


@contextmanager
def opened_copy(
    made: Path, folder: Path, settings: Settings | None = None
) -> Iterator[api.Workbench]:
    """A copy of a closed project, open; it lies in a folder of the test and is closed at the end.

    Copying takes a hundredth of the time of making one.
    """
    path = folder / "project"
    shutil.copytree(made, path)
    bench = api.open_project(path, settings=settings or Settings(home=folder, threads=1))
    yield bench
    bench.close()


def found(bench: api.Workbench, *filters: str) -> set[int]:
    """Samples that all filters find."""
    return set(bench.evaluator.matching(bench.evaluator.conditions(filters)).tolist())
