import dataclasses
import hashlib
import json

import numpy as np
import pytest

from backend.errors import NotFoundError, RefusedError
from backend.methods.encoders import _dictionary, embedded
from backend.methods.encoders._dictionary import DEFINITIONS, LEMMAS, MOST_SENSES, Dictionary
from backend.methods.encoders._label_space import TextSide, encode_label_names
from backend.methods.encoders._packaged import CLASS_NAMES, PackagedWeights
from backend.methods.encoders.embedded import EmbeddedEncoder
from backend.settings import assets_folder

LEMMA_LINES = """\
n01\tBat, chiropteran
n02\tbat, Bat
n03\tberry
n04\tbox
n05\tglass
"""
DEFINITION_LINES = """\
n05\ta brittle transparent solid
n01\tnocturnal mouselike mammal
n02\ta club used for hitting a ball
n03\tany of numerous small and pulpy edible fruits
n04\ta container
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package that carries the tables, in the place of timm."""
    folder = tmp_path / "carrier"
    folder.mkdir()
    (folder / "__init__.py").touch()
    tables = {LEMMAS: LEMMA_LINES, DEFINITIONS: DEFINITION_LINES}
    for name, text in tables.items():
        (folder / name).write_text(text, encoding="utf-8")
    files = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in tables.items()}
    monkeypatch.syspath_prepend(str(tmp_path))
    pinned = PackagedWeights("carrier", "carrier", "1.0", "none", "", files)
    monkeypatch.setattr(_dictionary, "CLASS_NAMES", pinned)
    return folder


def opened() -> Dictionary:
    return Dictionary(share=0.5, temperature=0.25)


def test_a_name_has_the_senses_under_it_whatever_its_case(package):
    dictionary = opened()
    assert list(dictionary.senses("BAT")) == [
        "nocturnal mouselike mammal",
        "a club used for hitting a ball",
    ]
    assert list(dictionary.senses("chiropteran")) == ["nocturnal mouselike mammal"]
    assert not dictionary.senses("wink")


@pytest.mark.parametrize(
    ("plural", "singular"), [("bats", "bat"), ("berries", "berry"), ("boxes", "box")]
)
def test_a_plural_means_what_its_singular_means(package, plural, singular):
    dictionary = opened()
    assert dictionary.senses(singular)
    assert dictionary.senses(plural) == dictionary.senses(singular)


def test_an_s_that_is_no_plural_stays(package):
    assert opened().senses("glass") == ["a brittle transparent solid"]
    assert not opened().senses("glas")


def test_altered_or_missing_tables_are_refused_by_name(package):
    path = package / DEFINITIONS
    path.write_text("n01\tsomething else\n")
    with pytest.raises(RefusedError, match=rf"{DEFINITIONS} .*SHA-256"):
        opened().senses("bat")
    path.unlink()
    with pytest.raises(NotFoundError, match=f"{DEFINITIONS} is missing"):
        opened().senses("bat")


class Written(TextSide):
    """A text side that knows a few texts by heart."""

    def __init__(self, vectors):
        self.vectors = vectors

    def encode(self, texts):
        rows = np.array([self.vectors[text] for text in texts], np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_a_label_lies_between_its_name_and_its_weighted_senses(package):
    dictionary = opened()
    name, animal, club, other = np.array(
        [[1.0, 0, 0], [0.8, 0.6, 0], [0, 0.6, 0.8], [0, 0, 1]], np.float32
    )
    text = Written(
        {
            "a photo of a bat": name,
            "a photo of a bat, nocturnal mouselike mammal": animal,
            "a photo of a bat, a club used for hitting a ball": club,
            "a photo of a yeti": other,
        }
    )
    found = encode_label_names(text, np.zeros(3, np.float32), ["bat", "yeti"], dictionary)
    # By hand: closeness 0.8 and 0 over 0.25, so weights e^3.2 : 1.
    weight = np.exp(3.2) / (np.exp(3.2) + 1)
    meant = weight * animal + (1 - weight) * club
    expected = name + 0.5 * meant / np.linalg.norm(meant)
    np.testing.assert_allclose(found[0], expected / np.linalg.norm(expected), atol=1e-6)
    np.testing.assert_allclose(found[1], other, atol=1e-6)
    bare = encode_label_names(text, np.zeros(3, np.float32), ["bat", "yeti"])
    np.testing.assert_allclose(bare[0], name, atol=1e-6)


def test_what_ships_knows_many_things_and_no_name_has_very_many_senses():
    constants = json.loads((assets_folder() / "encoder" / "encoder.json").read_text())
    dictionary = Dictionary(**constants["dictionary"])
    assert any("two wheels" in sense for sense in dictionary.senses("bicycles"))
    assert any("neckwear" in sense for sense in dictionary.senses("tie"))
    assert max(len(dictionary.senses(name)) for name in ("head", "horn", "plate")) <= MOST_SENSES


def test_the_definitions_are_part_of_the_encoders_identity(monkeypatch):
    before = EmbeddedEncoder().fingerprint
    changed = dataclasses.replace(CLASS_NAMES, files={LEMMAS: "0" * 64})
    monkeypatch.setattr(embedded, "CLASS_NAMES", changed)
    assert EmbeddedEncoder().fingerprint != before
