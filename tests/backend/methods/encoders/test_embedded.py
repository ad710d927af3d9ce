import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image
from safetensors.torch import load_file

from backend.errors import BadInputError, NotFoundError, RefusedError
from backend.methods.encoders._layer_projections import fit_projections
from backend.methods.encoders._trunk import load_trunk
from backend.methods.encoders.embedded import EmbeddedEncoder
from backend.settings import assets_folder
from tests.backend.methods.encoders.hosting import check_blocks, check_reading

ASSETS = assets_folder() / "encoder"
NAMES = ["cat", "cup of coffee", "person", "bicycle"]


@pytest.fixture(scope="module")
def encoder() -> EmbeddedEncoder:
    return EmbeddedEncoder(EmbeddedEncoder.Settings(engine="openvino", threads=1))


@pytest.fixture(scope="module")
def photos() -> list[np.ndarray]:
    return [skimage.data.chelsea(), skimage.data.coffee(), skimage.data.astronaut()]


@pytest.fixture(scope="module")
def encoded(encoder, photos):
    return encoder.encode(photos)


def test_photographs_are_named_by_what_they_show(encoder, encoded):
    # Not the astronaut: people are none of the trunk's classes, as the model card says.
    scores = encoded.pooled[:2] @ encoder.encode_labels(NAMES).T
    assert [NAMES[i] for i in scores.argmax(axis=1)] == NAMES[:2]


def test_vectors_are_unit_rows_on_a_square_grid_of_at_least_ten(encoder, encoded):
    rows, columns = encoded.layouts[0].grid
    assert rows == columns == encoder.input_size // 32 >= 10
    assert encoded.pooled.shape == (3, encoder.dim)
    assert np.allclose(np.linalg.norm(encoded.pooled, axis=1), 1, atol=1e-5)
    for parts in encoded.parts:
        assert parts.shape == (rows * columns, encoder.dim)
        assert np.allclose(np.linalg.norm(parts, axis=1), 1, atol=1e-5)


def test_a_batch_equals_its_items_one_at_a_time_in_any_order(encoder, photos, encoded):
    for row in (2, 0, 1):
        alone = encoder.encode([photos[row]])
        assert np.abs(alone.pooled[0] - encoded.pooled[row]).max() < 1e-5
        assert np.abs(alone.parts[0] - encoded.parts[row]).max() < 1e-5


def test_batches_smaller_than_the_request_give_the_same(photos, encoded):
    small = EmbeddedEncoder(
        EmbeddedEncoder.Settings(engine="torch", device="cpu", batch_size=2)
    ).encode(photos)
    assert np.abs(small.pooled - encoded.pooled).max() < 1e-3
    for ours, theirs in zip(small.parts, encoded.parts, strict=True):
        assert np.abs(ours - theirs).max() < 1e-3


def test_pictures_and_arrays_of_any_mode_are_taken_and_the_shape_is_stretched(encoder, photos):
    wide = Image.fromarray(photos[0]).resize((600, 100))
    forms = [np.asarray(wide), wide, wide.convert("RGBA")]
    pooled = encoder.encode(forms).pooled
    assert np.abs(pooled - pooled[0]).max() < 1e-5
    nothing = encoder.encode([])
    assert nothing.pooled.shape == (0, encoder.dim)
    assert nothing.parts == nothing.layouts == ()


def test_what_is_no_picture_is_refused_by_name(encoder):
    with pytest.raises(BadInputError, match="not str"):
        encoder.encode(["a cat"])
    with pytest.raises(BadInputError, match="float64"):
        encoder.encode([np.zeros((8, 8, 3))])
    with pytest.raises(BadInputError, match=r"\(8, 8\)"):
        encoder.encode([np.zeros((8, 8), np.uint8)])
    with pytest.raises(BadInputError, match="one text"):
        encoder.encode_labels("cat")


def test_a_part_points_at_its_own_tile(encoder, photos):
    cat, coffee = (Image.fromarray(p).resize((200, 200)) for p in photos[:2])
    for left, right, names in ((cat, coffee, NAMES[:2]), (coffee, cat, NAMES[1::-1])):
        mosaic = Image.new("RGB", (400, 200))
        mosaic.paste(left, (0, 0))
        mosaic.paste(right, (200, 0))
        seen = encoder.encode([mosaic])
        maps = seen.parts[0] @ encoder.encode_labels(names).T
        columns = maps.argmax(axis=0) % seen.layouts[0].grid[1]
        half = seen.layouts[0].grid[1] / 2
        assert columns[0] < half <= columns[1]


def test_the_order_of_labels_is_the_order_of_rows(encoder):
    order = [2, 0, 3, 1]
    straight = encoder.encode_labels(NAMES)
    mixed = encoder.encode_labels([NAMES[i] for i in order])
    assert np.abs(mixed - straight[order]).max() < 1e-5
    assert np.allclose(np.linalg.norm(straight, axis=1), 1, atol=1e-5)
    alone = np.concatenate([encoder.encode_labels([name]) for name in NAMES])
    assert np.abs(alone - straight).max() < 1e-5


def test_a_description_finds_its_photograph(encoder, encoded):
    queries = encoder.encode_texts(["a hot drink on a table", "a woman in a space suit"])
    assert list((queries @ encoded.pooled.T).argmax(axis=1)) == [1, 2]


def test_the_fingerprint_changes_with_dtype_and_not_with_engine(encoder):
    settings = EmbeddedEncoder.Settings
    assert EmbeddedEncoder(settings(engine="torch")).fingerprint == encoder.fingerprint
    assert EmbeddedEncoder(settings(dtype="float32")).fingerprint == encoder.fingerprint
    assert EmbeddedEncoder(settings(batch_size=3)).fingerprint == encoder.fingerprint
    assert EmbeddedEncoder(settings(dtype="bfloat16")).fingerprint != encoder.fingerprint


def test_the_fingerprint_changes_with_what_is_given_out(tmp_path, encoder):
    copy = Path(shutil.copytree(ASSETS, tmp_path / "encoder"))
    settings = EmbeddedEncoder.Settings(folder=str(copy))
    assert EmbeddedEncoder(settings).fingerprint == encoder.fingerprint
    constants = json.loads((copy / "encoder.json").read_text())
    constants["output"]["smooth"] = not constants["output"]["smooth"]
    (copy / "encoder.json").write_text(json.dumps(constants))
    assert EmbeddedEncoder(settings).fingerprint != encoder.fingerprint


def test_altered_or_missing_weights_are_refused_by_name(tmp_path):
    copy = Path(shutil.copytree(ASSETS, tmp_path / "encoder"))
    settings = EmbeddedEncoder.Settings(folder=str(copy))
    weights = copy / "parts-transformer.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(RefusedError, match=r"parts-transformer\.safetensors .*SHA-256"):
        EmbeddedEncoder(settings).encode_labels(["cat"])
    weights.unlink()
    with pytest.raises(NotFoundError, match=r"parts-transformer\.safetensors is missing"):
        EmbeddedEncoder(settings).encode_labels(["cat"])


def test_what_ships_is_small():
    assert sum(file.stat().st_size for file in ASSETS.iterdir()) < 16_000_000


def test_the_trunk_carries_every_packaged_number():
    trunk = load_trunk()
    assert trunk.get_submodule("classifier").get_parameter("weight").shape == (1000, 1280)
    assert not trunk.training
    assert not any(parameter.requires_grad for parameter in trunk.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["openvino", "torch"])
def test_its_stream_is_what_the_frozen_arrays_make_of_the_first_tokens(photos, engine):
    encoder = EmbeddedEncoder(EmbeddedEncoder.Settings(engine=engine, threads=1))
    readings = check_reading(encoder, photos, bound=1e-4)
    network = encoder.network()
    with torch.inference_mode():
        pictures = torch.from_numpy(np.stack([encoder._picture(photo) for photo in photos]))
        cells = network.cells(pictures)
        tokens = network.transformer.embed(cells, network.grid)
        last = tokens
        for block in network.transformer.blocks:
            last = block(last)
        last = network.transformer.norm_out(last)
        mean_cells = torch.nn.functional.normalize(cells.mean(1), dim=-1).numpy()
    stored = load_file(encoder.folder / "mean-cell.safetensors")
    axes, mean = stored["axes"].numpy().astype(np.float32), stored["mean"].numpy()
    plain = (mean_cells - mean) @ axes.T
    plain /= np.linalg.norm(plain, axis=1, keepdims=True)
    for row, reading in enumerate(readings):
        check_blocks(encoder, reading, tokens[row].numpy(), last[row].numpy())
        np.testing.assert_allclose(reading.plain, plain[row], atol=1e-4)
    start = encoder.frozen_stack().start
    np.testing.assert_array_equal(start, tokens[0, 0].numpy())


@pytest.mark.slow
def test_lanes_see_the_same_where_the_transformer_is_not_given_out(tmp_path, encoder, photos):
    copy = Path(shutil.copytree(ASSETS, tmp_path / "encoder"))
    constants = json.loads((copy / "encoder.json").read_text())
    constants["output"] |= {"learned_parts": 0.0, "learned_whole": 0.0}
    (copy / "encoder.json").write_text(json.dumps(constants))
    other = EmbeddedEncoder(EmbeddedEncoder.Settings(folder=str(copy), threads=1))
    assert other.fingerprint != encoder.fingerprint
    assert other.lane_key == encoder.lane_key
    (ours,), (theirs,) = encoder.read(photos[:1])[1], other.read(photos[:1])[1]
    np.testing.assert_allclose(ours.tokens.astype(float), theirs.tokens.astype(float), atol=0.01)


def test_a_network_that_is_compiled_for_lanes_is_not_compiled_again_to_encode(monkeypatch):
    encoder = EmbeddedEncoder(EmbeddedEncoder.Settings(engine="torch"))
    compiled = []

    def stub(_load, form):
        compiled.append(form)
        return lambda pictures: (
            np.full((len(pictures), 144, 384), 0.5, np.float32),
            np.full((len(pictures), 384), 0.25, np.float32),
            np.ones((len(pictures), 1280), np.float32),
            np.zeros((len(pictures), 4, 145, 256), np.float16),
        )

    monkeypatch.setattr(encoder, "_compiled", stub)
    read, _ = encoder.read([Image.new("RGB", (8, 8))])
    encoded = encoder.encode([Image.new("RGB", (8, 8))])
    assert compiled == ["watched"]
    assert np.array_equal(encoded.pooled, read.pooled)
    assert np.array_equal(encoded.parts[0], read.parts[0])


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["openvino", "torch"])
def test_layers_are_the_blocks_tokens_by_the_shipped_projections_and_the_parts(photos, engine):
    encoder = EmbeddedEncoder(EmbeddedEncoder.Settings(engine=engine, threads=1))
    maps = load_file(encoder.folder / "layer-projections.safetensors")["maps"].float()
    network = encoder.network()
    with torch.inference_mode():
        pictures = torch.from_numpy(np.stack([encoder._picture(photo) for photo in photos]))
        tokens = network.transformer.embed(network.cells(pictures), network.grid)
        blocks = []
        for block, by in zip(network.transformer.blocks, maps, strict=True):
            cells = block.norm_attention(tokens)[:, 1:] @ by
            blocks.append(torch.nn.functional.normalize(cells, dim=-1))
            tokens = block(tokens)
    expected = torch.stack(blocks, 2).numpy()
    encoded, layers = encoder.encode(photos), encoder.layers(photos)
    for row, found in enumerate(layers):
        assert found.shape == (144, encoder.num_layers, encoder.dim) == (144, 5, 384)
        np.testing.assert_allclose(found[:, :-1], expected[row], atol=2e-3)  # half precision
        np.testing.assert_allclose(found[:, -1], encoded.parts[row], atol=1e-3)
    (alone,) = encoder.layers(photos[1:2])
    np.testing.assert_allclose(alone, layers[1], atol=2e-3)


@pytest.mark.slow
def test_layers_come_from_a_reading_that_is_there(encoder, photos):
    encoded, readings = encoder.read(photos[:1])
    told = encoder.layers_of_reading(encoded.parts[0], readings[0])
    np.testing.assert_allclose(told, encoder.layers(photos[:1])[0], atol=2e-3)
    np.testing.assert_array_equal(told[:, -1], encoded.parts[0])


@pytest.mark.slow
def test_projections_change_no_fingerprint_and_altered_or_missing_ones_are_refused(
    tmp_path, encoder, photos
):
    copy = Path(shutil.copytree(ASSETS, tmp_path / "encoder"))
    settings = EmbeddedEncoder.Settings(folder=str(copy), threads=1)
    reading = encoder.read(photos[:1])
    asked = reading[0].parts[0], reading[1][0]
    file = copy / "layer-projections.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(RefusedError, match=r"layer-projections\.safetensors .*SHA-256"):
        EmbeddedEncoder(settings).layers_of_reading(*asked)
    file.unlink()
    with pytest.raises(NotFoundError, match=r"layer-projections\.safetensors is missing"):
        EmbeddedEncoder(settings).layers_of_reading(*asked)
    constants = json.loads((copy / "encoder.json").read_text())
    del constants["layers"]
    (copy / "encoder.json").write_text(json.dumps(constants))
    without = EmbeddedEncoder(settings)
    assert without.layer_refusal.startswith("no layers with embedded: ")
    assert (without.fingerprint, without.lane_key) == (encoder.fingerprint, encoder.lane_key)
    with pytest.raises(BadInputError, match="no layers with embedded"):
        without.layers_of_reading(*asked)


def test_projections_are_the_ridge_that_brings_cells_to_parts():
    """A block that is the parts turned is turned back; CLS is no cell."""
    draw = np.random.default_rng(0)
    turn, _ = np.linalg.qr(draw.normal(size=(6, 6)))
    parts = draw.normal(size=(20, 4, 6)).astype(np.float32)
    tokens = np.concatenate([draw.normal(size=(20, 1, 1, 6)), 50 * parts[:, None] @ turn], axis=2)
    halves = tokens.astype(np.float16)
    (back,) = fit_projections((p, t) for p, t in zip(parts, halves, strict=True))
    np.testing.assert_allclose(back, turn.T / 50, atol=2e-5)
