from __future__ import annotations

import numpy as np
import pytest
import torch

from backend.errors import BadInputError, OfflineError, PatchlaneError
from backend.methods.encoders._frozen import NotPlainError
from backend.methods.encoders._minilm import load_minilm
from backend.methods.encoders._packaged import MINILM
from backend.methods.encoders._text_models import freeze_bert
from backend.methods.encoders._torchvision_shim import allow_torchvision
from backend.methods.encoders._windowed_texts import MOST_TOKENS
from backend.methods.encoders.sentence import SentenceEncoder
from backend.numerics.words import word_spans
from tests.backend.methods.encoders import networks
from tests.backend.methods.encoders.hosting import check_blocks, check_reading

TEXTS = [
    "How long does it usually take to get a new pin?",
    "Naïve café — it doesn't open before 10:30 😡",
    "私は猫が好き",
    "x",
    "",
]
ELSE = "; available offline: sentence:minilm, words, sentence:minilm+words"
AGREE = 5e-6
"""The bound within which OpenVINO, PyTorch and sentence-transformers agree in float32, on entries
of unit vectors; measured differences are below 5e-7."""


@pytest.fixture(scope="module")
def encoder():
    return SentenceEncoder(SentenceEncoder.Settings(engine="openvino", threads=1))


@pytest.fixture(scope="module")
def torch_twin():
    return SentenceEncoder(SentenceEncoder.Settings(engine="torch"))


def folder() -> str:
    return str(MINILM.locate_folder())


def test_openvino_and_torch_agree_and_have_one_fingerprint(encoder, torch_twin):
    ours, theirs = encoder.encode(TEXTS), torch_twin.encode(TEXTS)
    np.testing.assert_allclose(ours.pooled, theirs.pooled, atol=AGREE)
    for a, b in zip(ours.parts, theirs.parts, strict=True):
        np.testing.assert_allclose(a, b, atol=AGREE)
    assert encoder.fingerprint == torch_twin.fingerprint


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_it_is_the_model_that_sentence_transformers_runs(encoder):
    allow_torchvision()
    from sentence_transformers import SentenceTransformer

    library = SentenceTransformer(folder(), device="cpu", local_files_only=True)
    np.testing.assert_allclose(
        encoder.encode_texts(TEXTS), library.encode(TEXTS), atol=AGREE, rtol=0
    )
    tokens = library.encode(TEXTS[:1], output_value="token_embeddings")[0].numpy()
    ids = library.tokenizer(TEXTS[0])["input_ids"]
    assert library.tokenizer.convert_ids_to_tokens(ids)[-4:] == ["new", "pin", "?", "[SEP]"]
    parts, layout = encoder.encode(TEXTS[:1]).parts[0], encoder.encode(TEXTS[:1]).layouts[0]
    start, end = layout.spans[-1]
    assert TEXTS[0][start:end] == "pin"
    np.testing.assert_allclose(parts[-1], tokens[-3] / np.linalg.norm(tokens[-3]), atol=AGREE)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_folder_of_the_library_gives_the_same_vectors(encoder):
    local = SentenceEncoder(SentenceEncoder.Settings(model=folder(), engine="torch"))
    ours, theirs = encoder.encode(TEXTS), local.encode(TEXTS)
    np.testing.assert_allclose(ours.pooled, theirs.pooled, atol=AGREE)
    for a, b in zip(ours.parts, theirs.parts, strict=True):
        np.testing.assert_allclose(a, b, atol=AGREE)


def test_a_word_in_context_is_nearer_to_its_sense(encoder):
    def part(text: str, word: str) -> np.ndarray:
        encoded = encoder.encode([text])
        spans = encoded.layouts[0].spans
        at = next(i for i, (a, b) in enumerate(spans) if text[a:b] == word)
        return encoded.parts[0][at]

    river, money = (
        part("we sat on the bank of the river", "bank"),
        part("my bank charged a fee", "bank"),
    )
    labels = encoder.encode_labels(["river", "financial institution"])
    assert (river @ labels.T).argmax() == 0
    assert (money @ labels.T).argmax() == 1


def test_a_text_longer_than_the_window_is_read_to_its_end(encoder):
    text = " ".join(f"Sentence number {n} is about bicycles." for n in range(150)) + " volcano"
    encoded = encoder.encode([text])
    spans = encoded.layouts[0].spans
    assert text[slice(*spans[-1])] == "volcano"
    assert len(encoded.parts[0]) == len(spans) == 150 * 6 + 1
    volcano = encoder.encode_labels(["volcano"])[0]
    assert (encoded.parts[0] @ volcano).argmax() == len(spans) - 1
    bicycles = encoder.encode_labels(["bicycles"])[0]
    assert encoded.pooled[0] @ bicycles > encoded.pooled[0] @ volcano


def test_windows_weigh_by_their_tokens(encoder):
    """Two full windows of one repeated word have the mean of the windows' own vectors."""
    room = encoder._room
    text = " ".join(["apple"] * room + ["pear"] * (room // 2))
    first = encoder.encode([" ".join(["apple"] * room)]).pooled[0]
    ids = encoder._run(*encoder._padded(list(encoder._windows([text], [()]))))[1]
    expected = ids[0] * room + ids[1] * (room // 2)
    np.testing.assert_allclose(
        encoder.encode([text]).pooled[0], expected / np.linalg.norm(expected), atol=AGREE
    )
    np.testing.assert_allclose(ids[0] / np.linalg.norm(ids[0]), first, atol=AGREE)


def test_a_word_longer_than_the_window_is_still_one_word(encoder):
    text = "ab1" * 400
    encoded = encoder.encode([text])
    assert encoded.layouts[0].spans == ((0, len(text)),)
    assert np.linalg.norm(encoded.parts[0][0]) == pytest.approx(1, abs=1e-5)


def refused(kind: type[PatchlaneError], model: str, **choices) -> str:
    """What is said, without the encoders that are offered instead."""
    with pytest.raises(kind) as caught:
        SentenceEncoder(SentenceEncoder.Settings(model=model, **choices))
    assert type(caught.value) is kind
    said = str(caught.value)
    assert "\n" not in said
    assert said.endswith(ELSE)
    return said.removesuffix(ELSE)


def test_offline_it_says_what_there_is():
    said = refused(OfflineError, "nobody/knows")
    assert "'nobody/knows' is not on this machine and downloads are off" in said


def test_a_download_that_fails_says_why(tmp_path, monkeypatch):
    networks.unplug(monkeypatch, tmp_path)
    assert refused(OfflineError, "nobody/knows", is_offline=False) == (
        f"the sentence model 'nobody/knows' could not be downloaded: {networks.NO_NAME}"
    )


def test_what_the_hub_does_not_have_is_said(tmp_path, monkeypatch):
    with networks.hub_without_models(monkeypatch, tmp_path):
        assert refused(OfflineError, "nobody/knows", is_offline=False) == (
            "the sentence model 'nobody/knows' could not be downloaded: the server answered 404, "
            "it is not there or not public"
        )


def test_a_folder_without_a_model_is_refused(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    assert "could not be loaded" in refused(BadInputError, str(tmp_path))
    assert "no folder" in refused(BadInputError, str(tmp_path / "absent"))


def test_weights_and_precision_are_in_the_fingerprint(encoder, tmp_path):
    assert SentenceEncoder().fingerprint == encoder.fingerprint
    other = SentenceEncoder(SentenceEncoder.Settings(dtype="bfloat16"))
    assert other.fingerprint != encoder.fingerprint


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("which", ["openvino", "torch", "library"])
def test_its_stream_is_what_the_frozen_arrays_make_of_the_first_tokens(encoder, torch_twin, which):
    if which == "library":
        library = SentenceEncoder(SentenceEncoder.Settings(model=folder(), engine="torch"))
        assert library.lane_refusal == ""
        assert library.lane_key not in ("", encoder.lane_key)  # another file of other numbers
        chosen = library
    else:
        chosen = encoder if which == "openvino" else torch_twin
        assert chosen.lane_key == encoder.lane_key
    readings = check_reading(chosen, TEXTS, bound=AGREE)
    network = load_minilm()
    for text, reading in zip(TEXTS, readings, strict=True):
        ids = torch.tensor([chosen._tokenizer.encode(text).ids])
        positions = network.positions.weight[: ids.shape[1]]
        with torch.inference_mode():
            first = network.norm(network.words(ids) + positions + network.types.weight[0])
            last = network(ids, torch.ones_like(ids))[0]
        check_blocks(chosen, reading, first[0].numpy(), last[0].numpy())
    bare = network.words.weight[101] + network.types.weight[0]
    start = network.norm(bare).numpy()
    np.testing.assert_allclose(chosen.frozen_stack().start, start, atol=1e-6)


@pytest.mark.slow
def test_the_tokens_of_a_long_text_are_its_windows_one_after_the_other(encoder):
    words = ["apple"] * encoder._room + ["pear"] * 20
    both = encoder.read([" ".join(words)])[1][0].tokens
    first = encoder.read([" ".join(words[: encoder._room])])[1][0].tokens
    second = encoder.read([" ".join(words[encoder._room :])])[1][0].tokens
    assert both.shape[1] == first.shape[1] + second.shape[1] == encoder._room + 20 + 4
    joined = np.concatenate([first, second], axis=1).astype(float)
    np.testing.assert_allclose(both.astype(float), joined, atol=0.01)


@pytest.mark.slow
def test_of_a_very_long_text_a_bounded_number_of_tokens_is_kept_evenly(encoder):
    text = " ".join(f"Sentence number {n} is about bicycles." for n in range(250))
    encoded, (reading,) = encoder.read([text])
    assert reading.tokens.shape == (6, MOST_TOKENS, 384)
    assert len(encoded.parts[0]) == 250 * 6
    _, (start,) = encoder.read([text[:400]])
    # The first token is the first window's class token, and windows add two special tokens each.
    windows = list(encoder._windows([text], [word_spans(text)]))
    total = sum(len(window.ids) + 2 for window in windows)
    kept = np.linspace(0, total - 1, MOST_TOKENS).round()[:5].astype(int).tolist()
    whole = reading.tokens[0].astype(float)
    distance = np.linalg.norm(whole[:5, None] - start.tokens[0].astype(float)[None, :20], axis=2)
    assert distance.argmin(axis=1).tolist() == kept
    assert (distance.min(axis=1) < 0.01).all()  # before the first layer only place and word count


def test_a_model_that_is_not_built_like_bert_says_why(tmp_path, monkeypatch):
    from transformers import DistilBertConfig, DistilBertModel

    module = torch.nn.Module()
    module.steps = torch.nn.ModuleList([torch.nn.Module()])
    config = DistilBertConfig(vocab_size=40, dim=16, n_layers=1, n_heads=2, hidden_dim=32)
    module.steps[0].auto_model = DistilBertModel(config)
    with pytest.raises(NotPlainError, match="DistilBertModel is not built like BERT"):
        freeze_bert(module, 1)
