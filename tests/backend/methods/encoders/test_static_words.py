from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from backend.errors import BadInputError
from backend.methods.encoders._packaged import WORDLLAMA
from backend.methods.encoders.static_words import StaticWordsEncoder


@pytest.fixture(scope="module")
def encoder():
    return StaticWordsEncoder()


def test_a_text_is_the_mean_of_its_tokens_and_a_word_of_its_own(encoder):
    table = load_file(WORDLLAMA.locate("weights/l2_supercat_256.safetensors"))["embedding.weight"]
    path = WORDLLAMA.locate("tokenizers/l2_supercat_tokenizer_config.json")
    tokens = Tokenizer.from_file(str(path)).encode("unbelievable prices!", add_special_tokens=False)
    rows = table[tokens.ids].astype(np.float64)
    encoded = encoder.encode(["unbelievable prices!"])

    def unit(vector):
        return vector / np.linalg.norm(vector)

    split = next(i for i, (start, _) in enumerate(tokens.offsets) if start >= 12)
    assert split > 1, "the first word should be of several tokens, or this proves little"
    np.testing.assert_allclose(encoded.pooled[0], unit(rows.mean(0)), atol=1e-6)
    assert encoded.layouts[0].spans == ((0, 12), (13, 19))
    np.testing.assert_allclose(encoded.parts[0][0], unit(rows[:split].mean(0)), atol=1e-6)
    np.testing.assert_allclose(encoded.parts[0][1], unit(rows[split:-1].mean(0)), atol=1e-6)


def test_meaning_is_in_the_vectors(encoder):
    texts = ["my bank card was stolen", "what time does the pool open"]
    labels = encoder.encode_labels(["stolen_card", "swimming_pool"])
    cosine = encoder.encode(texts).pooled @ labels.T
    assert cosine.argmax(axis=1).tolist() == [0, 1]


def test_underscores_of_a_label_are_blanks(encoder):
    np.testing.assert_array_equal(
        encoder.encode_labels(["lost_stolen"]), encoder.encode_texts(["lost stolen"])
    )


@pytest.mark.parametrize("text", ["", "   ", "?!", "𒀀𒀁 ꦗꦮ", "\u200b", "a" * 20_000])
def test_odd_texts_have_a_vector_and_at_least_one_part(encoder, text):
    encoded = encoder.encode([text])
    assert np.isfinite(encoded.pooled).all()
    assert len(encoded.parts[0]) == len(encoded.layouts[0].spans) >= 1
    np.testing.assert_allclose(np.linalg.norm(encoded.parts[0], axis=1), 1, atol=1e-5)


def test_one_text_in_place_of_a_list_is_refused(encoder):
    with pytest.raises(BadInputError, match="list of texts"):
        encoder.encode("a text")
    with pytest.raises(BadInputError, match="takes texts, not int"):
        encoder.encode([3])
