import gzip
import json

import numpy as np
import pytest

from backend.bench._embedded_assets import write_dictionary
from backend.errors import NotFoundError, RefusedError
from backend.methods.encoders._dictionary import FILE, MOST_SENSES, Dictionary
from backend.methods.encoders._label_space import TextSide, encode_label_names
from backend.settings import assets_folder

ROWS = [
    (["Bat", "chiropteran"], "nocturnal mouselike mammal", "n", "noun.animal"),
    (["bat"], "a club used for hitting a ball", "n", "noun.artifact"),
    (["bat"], "a turn trying to get a hit", "n", "noun.act"),
    (["bat"], "wink briefly", "v", "verb.body"),
    (["berry"], "any of numerous small\tand pulpy edible fruits", "n", "noun.food"),
    (["box"], "a container", "n", "noun.artifact"),
    (["glass"], "a brittle transparent solid", "n", "noun.substance"),
]


@pytest.fixture
def folder(tmp_path):
    pack = tmp_path / "data" / "wordnet_definitions"
    pack.mkdir(parents=True)
    with gzip.open(pack / "data.jsonl.gz", "wt", encoding="utf-8") as stream:
        for terms, text, pos, topic in ROWS:
            row = {"terms": terms, "text": text, "pos": pos, "labels": [topic]}
            stream.write(json.dumps(row) + "\n")
    (tmp_path / "encoder.json").write_text("{}")
    write_dictionary(tmp_path, tmp_path / "data")
    return tmp_path


def opened(folder) -> Dictionary:
    return Dictionary(folder, json.loads((folder / "encoder.json").read_text())["dictionary"])


def test_a_name_has_the_senses_that_can_be_seen(folder):
    dictionary = opened(folder)
    assert list(dictionary.senses("BAT")) == [
        "nocturnal mouselike mammal",
        "a club used for hitting a ball",
    ]
    assert list(dictionary.senses("chiropteran")) == ["nocturnal mouselike mammal"]
    assert not dictionary.senses("wink")


@pytest.mark.parametrize(
    ("plural", "singular"), [("bats", "bat"), ("berries", "berry"), ("boxes", "box")]
)
def test_a_plural_means_what_its_singular_means(folder, plural, singular):
    dictionary = opened(folder)
    assert dictionary.senses(singular)
    assert dictionary.senses(plural) == dictionary.senses(singular)


def test_an_s_that_is_no_plural_stays(folder):
    assert opened(folder).senses("glass") == ["a brittle transparent solid"]
    assert not opened(folder).senses("glas")


def test_a_break_within_a_definition_becomes_a_space(folder):
    assert opened(folder).senses("berry") == ["any of numerous small and pulpy edible fruits"]


def test_the_same_pack_gives_the_same_file(folder):
    before = (folder / FILE).read_bytes()
    write_dictionary(folder, folder / "data")
    assert (folder / FILE).read_bytes() == before


def test_an_altered_or_missing_dictionary_is_refused_by_name(folder):
    path = folder / FILE
    path.write_bytes(gzip.compress(b"bat\tsomething else\n"))
    with pytest.raises(RefusedError, match=r"dictionary\.tsv\.gz .*SHA-256"):
        opened(folder).senses("bat")
    path.unlink()
    with pytest.raises(NotFoundError, match=r"dictionary\.tsv\.gz is missing"):
        opened(folder).senses("bat")


class Written(TextSide):
    """A text side that knows a few texts by heart."""

    def __init__(self, vectors):
        self.vectors = vectors

    def encode(self, texts):
        rows = np.array([self.vectors[text] for text in texts], np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_a_label_lies_between_its_name_and_its_weighted_senses(folder):
    dictionary = opened(folder)
    dictionary.share, dictionary.temperature = 0.5, 0.25
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
    dictionary = Dictionary(assets_folder() / "encoder", constants["dictionary"])
    assert any("two wheels" in sense for sense in dictionary.senses("bicycles"))
    assert any("neckwear" in sense for sense in dictionary.senses("tie"))
    assert len(dictionary.senses("head")) == MOST_SENSES
