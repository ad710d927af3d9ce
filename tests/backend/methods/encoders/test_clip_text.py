"""The text tower of an open_clip model reads texts as open_clip does, and lanes can live in it."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from backend.contracts import lane_host
from backend.errors import BadInputError
from backend.methods.encoders._clip_texts import SimpleTokenizer, fast_tokenizer
from backend.methods.encoders._clip_weights import open_clip
from backend.methods.encoders.clip_text import ClipTextEncoder
from tests.backend.methods.encoders.hosting import HALF, rerun_causal

TEXTS = [
    "My card was stolen!",
    "x",
    "How do I book a table for two at 10:30? Thanks, wonderful.",
    "Zoë\u2019s \u201ccafé\u201d \u2014 naïve 1234 don't we'LL",
    "a\n\tb   c",
]


def _write(folder, *, text: dict, model_name: str = "") -> str:
    vision = {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 8}
    config = {"embed_dim": 24, "vision_cfg": vision, "text_cfg": text}
    if model_name == "custom":
        config["custom_text"] = True
    (folder / "open_clip_config.json").write_text(
        json.dumps({"model_cfg": config, "preprocess_cfg": {}})
    )
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = open_clip.create_model(f"local-dir:{folder}")
        for one in network.parameters():
            if one.dim() == 1:
                torch.nn.init.normal_(one, 0.5, 0.3)  # gains and biases that would show
    save_file(dict(network.state_dict()), folder / "open_clip_model.safetensors")
    return f"local-dir:{folder}"


TEXT = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 4, "layers": 3}


@pytest.fixture(scope="module", params=["plain", "custom"])
def folder(request, tmp_path_factory) -> str:
    """CLIP keeps its text tower in itself, newer models in a module of its own."""
    return _write(tmp_path_factory.mktemp(request.param), text=TEXT, model_name=request.param)


@pytest.fixture(scope="module")
def encoder(folder) -> ClipTextEncoder:
    return ClipTextEncoder(ClipTextEncoder.Settings(model=folder, engine="torch"))


def test_its_tokens_are_those_of_open_clip_and_stand_where_the_words_are():
    own = SimpleTokenizer()
    fast = fast_tokenizer(own)
    for text in TEXTS:
        found = fast.encode(text)
        assert found.ids == [own.sot_token_id, *own.encode(text), own.eot_token_id]
    offsets = fast.encode("two cafés", add_special_tokens=False).offsets
    assert (offsets[0], offsets[1][0], offsets[-1][1]) == ((0, 3), 4, 9)


def test_a_special_token_in_a_text_is_text():
    own = SimpleTokenizer()
    ids = fast_tokenizer(own).encode("<end_of_text> x", add_special_tokens=False).ids
    assert own.eot_token_id not in ids


def test_a_text_has_the_vector_that_open_clip_gives_it(encoder, folder):
    model, _ = open_clip.create_model_from_pretrained(folder)
    with torch.inference_mode():
        wanted = model.eval().encode_text(open_clip.get_tokenizer(folder)(TEXTS), normalize=True)
    np.testing.assert_allclose(encoder.encode(TEXTS).pooled, wanted.numpy(), atol=1e-5)
    np.testing.assert_allclose(encoder.encode_texts(TEXTS), wanted.numpy(), atol=1e-5)


@pytest.mark.slow
def test_openvino_and_torch_agree(encoder, folder):
    other = ClipTextEncoder(ClipTextEncoder.Settings(model=folder, engine="openvino"))
    assert other.fingerprint == encoder.fingerprint
    ours, theirs = encoder.encode(TEXTS), other.encode(TEXTS)
    np.testing.assert_allclose(ours.pooled, theirs.pooled, atol=1e-4)
    for mine, others in zip(ours.parts, theirs.parts, strict=True):
        np.testing.assert_allclose(mine, others, atol=1e-4)


def test_its_stream_is_what_the_frozen_arrays_make_of_the_first_tokens(encoder, folder):
    host = lane_host(encoder)
    assert host is not None
    stack = host.frozen_stack()
    model, _ = open_clip.create_model_from_pretrained(folder)
    tower = getattr(model, "text", model)
    own = SimpleTokenizer()
    _, readings = host.read(TEXTS[:3])
    for text, reading in zip(TEXTS, readings, strict=False):
        ids = torch.tensor([own.sot_token_id, *own.encode(text), own.eot_token_id])
        first = tower.token_embedding(ids) + tower.positional_embedding[: len(ids)]
        attended, last = rerun_causal(stack, first.detach().numpy().astype(np.float64))
        np.testing.assert_allclose(reading.tokens, np.stack(attended), atol=5 * HALF, rtol=HALF)
        end = last[-1] @ tower.text_projection.detach().numpy()
        pooled = encoder.encode([text]).pooled[0]
        np.testing.assert_allclose(pooled, end / np.linalg.norm(end), atol=1e-4)
    np.testing.assert_array_equal(
        stack.start, tower.token_embedding.weight[own.eot_token_id].detach().numpy()
    )


def test_tokens_belong_to_words(encoder):
    text = "two cafés"
    owners = encoder.token_owners(text)
    assert owners[0] == owners[-1] == -1
    assert set(owners[1:-1].tolist()) == {0, 1}
    assert len(encoder.encode([text]).parts[0]) == 2


def test_a_tower_that_pools_otherwise_is_refused_in_a_sentence(tmp_path):
    last = _write(tmp_path, text={**TEXT, "pool_type": "last"}, model_name="custom")
    with pytest.raises(BadInputError, match="does not pool at its end token"):
        ClipTextEncoder(ClipTextEncoder.Settings(model=last))
