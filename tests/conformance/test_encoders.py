"""What every encoder promises."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from backend import catalogue
from backend.contracts import (
    Encoder,
    has_text_side,
    lane_host,
    layer_host,
    why_no_lanes,
    why_no_layers,
)
from backend.errors import BadInputError
from backend.types import Kind

KEYS = [line.key for line in catalogue.entries("encoders")]
TEXTS = [
    "My card was stolen!",
    "x",
    "",
    "How do I book a table for two at 10:30? Thanks, wonderful.",
]


def _clip_folder(tmp_path_factory) -> str:
    """A tiny open_clip model with random weights in a folder."""
    import open_clip
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("conformance-clip")
    vision = {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8}
    text = {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
    config = {"embed_dim": 24, "vision_cfg": vision, "text_cfg": text}
    (folder / "open_clip_config.json").write_text(
        json.dumps({"model_cfg": config, "preprocess_cfg": {}})
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)  # some random networks find two words alike
        network = open_clip.create_model(f"local-dir:{folder}")
    save_file(dict(network.state_dict()), folder / "open_clip_model.safetensors")
    return f"local-dir:{folder}"


def _timm_file(tmp_path_factory) -> str:
    """A tiny timm backbone's random weights in a file."""
    import timm
    from safetensors.torch import save_file

    file = tmp_path_factory.mktemp("conformance-timm") / "test_vit.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = timm.create_model("test_vit", num_classes=3)
    save_file(dict(network.state_dict()), file)
    return str(file)


@pytest.fixture(scope="module", params=KEYS)
def make(request, tmp_path_factory):
    """Builds one encoder of the shelf again and again, with settings changed at will."""
    key, method = request.param, catalogue.load(request.param)
    if key == "encoders/side_by_side":
        members = [catalogue.load(f"encoders/{name}") for name in ("sentence", "static_words")]
        first = members[0].Settings(engine="torch")  # OpenVINO is the sentence encoder's default
        return lambda **changes: method([members[0](replace(first, **changes)), members[1]()])
    settings = method.Settings()
    if key in ("encoders/clip", "encoders/clip_text"):
        folder = _clip_folder(tmp_path_factory)
        settings = replace(settings, model=folder, pretrained="", engine="torch")
    if key == "encoders/vision":
        file = _timm_file(tmp_path_factory)
        settings = replace(settings, model="test_vit", pretrained=file, engine="torch")
    return lambda **changes: method(replace(settings, **changes))


@pytest.fixture(scope="module")
def encoder(make) -> Encoder:
    return make()


@pytest.fixture(scope="module")
def samples(encoder):
    if encoder.kind is Kind.TEXT:
        return TEXTS
    random = np.random.default_rng(0)
    return [
        Image.fromarray(random.integers(0, 255, (*size, 3), dtype=np.uint8)).resize((220, 180))
        for size in ((7, 9), (3, 5), (20, 8), (2, 2))
    ]


@pytest.fixture(scope="module")
def encoded(encoder, samples):
    return encoder.encode(samples)


def test_it_is_an_encoder_with_a_name_that_the_command_line_takes(encoder):
    from backend.recipes import parse_encoder_id

    assert isinstance(encoder, Encoder)
    assert parse_encoder_id(encoder.id)
    assert (encoder.input_size > 0) == (encoder.kind is Kind.IMAGE)


def test_a_batch_equals_its_items_one_at_a_time(encoder, samples, encoded):
    for row, sample in enumerate(samples):
        alone = encoder.encode([sample])
        np.testing.assert_allclose(alone.pooled[0], encoded.pooled[row], atol=2e-5)
        np.testing.assert_allclose(alone.parts[0], encoded.parts[row], atol=2e-5)
        assert alone.layouts[0] == encoded.layouts[row]
    names = ["cat", "a_long_name of things"]
    together = encoder.encode_labels(names)
    for row, name in enumerate(names):
        np.testing.assert_allclose(encoder.encode_labels([name])[0], together[row], atol=2e-5)


def test_rows_are_of_length_one_and_as_wide_as_said(encoder, encoded):
    everything = [encoded.pooled, *encoded.parts]
    if has_text_side(encoder):
        everything.append(encoder.encode_labels(["cat", "dog", "cat"]))
        everything.append(encoder.encode_texts(["a red bird", ""]))
    for rows in everything:
        assert rows.dtype == np.float32
        assert rows.shape[1] == encoder.dim
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    assert len(encoded.pooled) == len(encoded.parts) == len(encoded.layouts)


def test_layouts_are_true(encoder, samples, encoded):
    for sample, parts, layout in zip(samples, encoded.parts, encoded.layouts, strict=True):
        if encoder.kind is Kind.IMAGE:
            assert layout.grid is not None
            assert layout.spans is None
            assert layout.grid[0] * layout.grid[1] == len(parts)
        else:
            assert layout.grid is None
            assert layout.spans is not None
            assert len(layout.spans) == len(parts)
            assert all(0 <= start <= end <= len(sample) for start, end in layout.spans)


def test_a_cell_is_where_the_picture_changes(encoder):
    if encoder.kind is not Kind.IMAGE:
        pytest.skip("texts have no cells")
    plain = Image.new("RGB", (320, 320), (90, 120, 60))
    marked = plain.copy()
    marked.paste((250, 10, 240), (0, 240, 80, 320))  # lower left
    one, other = encoder.encode([plain, marked]).parts
    grid = encoder.encode([plain]).layouts[0].grid
    row, column = divmod(int(np.linalg.norm(one - other, axis=1).argmax()), grid[1])
    assert row >= 0.6 * grid[0]
    assert column < 0.4 * grid[1]


def test_equal_labels_are_equal_and_others_are_not(encoder):
    rows = encoder.encode_labels(["cat", "dog", "cat"])
    np.testing.assert_array_equal(rows[0], rows[2])
    if has_text_side(encoder):
        assert rows[0] @ rows[1] < 0.999
    else:
        np.testing.assert_array_equal(rows, np.zeros((3, encoder.dim), np.float32))
        with pytest.raises(BadInputError, match="no text side"):
            encoder.encode_texts(["a red bird"])
    np.testing.assert_array_equal(
        encoder.encode_labels(["ice_cream"]), encoder.encode_labels(["ice cream"])
    )


def test_lanes_can_live_in_it_or_it_says_why(encoder, samples, encoded):
    host = lane_host(encoder)
    assert (host is None) == bool(why_no_lanes(encoder))
    if host is None:
        assert why_no_lanes(encoder).startswith(f"no lanes with {encoder.id}: ")
        return
    stack = host.frozen_stack()
    again, readings = host.read(samples)
    np.testing.assert_allclose(again.pooled, encoded.pooled, atol=1e-4)
    assert stack.start.shape == (stack.width,)
    assert stack.width % stack.heads == 0
    for reading in readings:
        assert reading.tokens.shape[::2] == (len(stack.blocks), stack.width)
        assert reading.plain.shape == (host.plain_dim,)
        assert np.isfinite(reading.tokens).all()


def test_it_gives_the_layers_of_parts_or_says_why_not(encoder, samples, encoded):
    host = layer_host(encoder)
    if host is None:
        reason = why_no_layers(encoder)
        assert reason.startswith(f"no layers with {encoder.id}: ")
        assert "\n" not in reason
        return
    assert why_no_layers(encoder) == ""
    layers = host.layers(samples)
    assert host.num_layers > 1
    for row, (found, parts) in enumerate(zip(layers, encoded.parts, strict=True)):
        assert found.shape == (len(parts), host.num_layers, encoder.dim)
        np.testing.assert_allclose(np.linalg.norm(found, axis=2), 1, atol=1e-3)
        np.testing.assert_allclose(found[:, -1], parts, atol=1e-3)
        alone = host.layers([samples[row]])[0]
        # What passes is rounded to half precision, here and there another way.
        np.testing.assert_allclose(alone, found, atol=2e-3)
    assert host.layers([]) == []
    with pytest.raises(BadInputError):
        host.layers([7])


def test_nothing_in_nothing_out(encoder):
    encoded = encoder.encode([])
    assert encoded.pooled.shape == (0, encoder.dim)
    assert (encoded.parts, encoded.layouts) == ((), ())
    assert encoder.encode_labels([]).shape == (0, encoder.dim)


def test_the_fingerprint_is_of_weights_and_precision_not_of_the_engine(make, encoder):
    assert make().fingerprint == encoder.fingerprint
    own = set(getattr(type(encoder).Settings, "__dataclass_fields__", {}))
    for change in ({"engine": "auto"}, {"threads": 1}, {"batch_size": 3}):
        if own >= set(change):
            assert make(**change).fingerprint == encoder.fingerprint
    if "dtype" in own:
        assert make(dtype="bfloat16").fingerprint != encoder.fingerprint


def test_wrong_input_is_refused_in_a_sentence(encoder):
    wrong = Image.new("RGB", (8, 8)) if encoder.kind is Kind.TEXT else "a text"
    with pytest.raises(BadInputError, match=encoder.id.split("+")[0].split("/")[0]):
        encoder.encode([wrong])
    with pytest.raises(BadInputError, match="list of texts"):
        encoder.encode_labels("cat")
