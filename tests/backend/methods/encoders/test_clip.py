from __future__ import annotations

import json
import re
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from backend.contracts import lane_host
from backend.errors import BadInputError, NotFoundError, OfflineError, PatchlaneError
from backend.methods.encoders._clip_towers import freeze_tower
from backend.methods.encoders._frozen import NotPlainError, check
from backend.methods.encoders._last_block import without_artefacts
from backend.methods.encoders._torchvision_shim import allow_torchvision
from backend.methods.encoders.clip import ClipEncoder
from backend.methods.encoders.clip_text import ClipTextEncoder
from backend.pipeline import load_encoder
from backend.settings import Settings
from tests.backend.methods.encoders import networks
from tests.backend.methods.encoders.hosting import check_blocks, check_reading

allow_torchvision()
import open_clip  # noqa: E402

TEXT = {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
VIT = {"image_size": 32, "layers": 3, "width": 32, "head_width": 16, "patch_size": 8}
HOSTS = ("vit", "vit-avg", "siglip", "timm-vit")
TOWERS = {
    "vit": {"embed_dim": 24, "vision_cfg": VIT, "text_cfg": TEXT},
    "vit-avg": {
        "embed_dim": 24,
        "vision_cfg": {
            **VIT,
            "pool_type": "avg",
            "final_ln_after_pool": True,
            "ls_init_value": 0.5,
        },
        "text_cfg": TEXT,
        "quick_gelu": True,
    },
    "resnet": {
        "embed_dim": 24,
        "vision_cfg": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8, "patch_size": None},
        "text_cfg": TEXT,
    },
    "coca": {
        "embed_dim": 24,
        "custom_text": True,
        "vision_cfg": {
            **VIT,
            "attentional_pool": True,
            "attn_pooler_heads": 4,
            "output_tokens": True,
        },
        "text_cfg": {**TEXT, "context_length": 76, "embed_cls": True, "output_tokens": True},
        "multimodal_cfg": {
            "width": 16,
            "heads": 2,
            "layers": 1,
            "context_length": 76,
            "vocab_size": 49408,
        },
    },
    "siglip": {
        "embed_dim": 96,
        "custom_text": True,
        "init_logit_bias": -10,
        "vision_cfg": {
            "image_size": 160,
            "timm_model_name": "test_vit3",
            "timm_pool": "map",
            "timm_proj": "none",
        },
        "text_cfg": {**TEXT, "no_causal_mask": True, "proj_bias": True, "pool_type": "last"},
    },
    "timm-vit": {
        "embed_dim": 24,
        "vision_cfg": {
            "image_size": 160,
            "timm_model_name": "test_vit",
            "timm_pool": "avg",
            "timm_proj": "linear",
        },
        "text_cfg": TEXT,
    },
    "convnext": {
        "embed_dim": 24,
        "vision_cfg": {
            "image_size": 160,
            "timm_model_name": "test_convnext",
            "timm_pool": "",
            "timm_proj": "mlp",
        },
        "text_cfg": TEXT,
    },
}
TOWERS["clipa"] = {
    "embed_dim": 24,
    "vision_cfg": {**VIT, "no_ln_pre": True, "pool_type": "avg", "final_ln_after_pool": True},
    "text_cfg": {**TEXT, "pool_type": "last"},
}
TOWERS["scaled-heads"] = {
    "embed_dim": 24,
    "vision_cfg": {**VIT, "block_type": "custom", "scale_heads": True, "scale_attn": True},
    "text_cfg": TEXT,
}
TOWERS["eva"] = {
    "embed_dim": 24,
    "custom_text": True,
    "vision_cfg": {
        "image_size": 224,
        "timm_model_name": "eva02_tiny_patch14_224",
        "timm_pool": "token",
        "timm_proj": None,
    },
    "text_cfg": TEXT,
}
GRIDS = {
    "vit": (4, 4),
    "vit-avg": (4, 4),
    "resnet": (2, 2),
    "coca": (4, 4),
    "siglip": (10, 10),
    "timm-vit": (10, 10),
    "convnext": (5, 5),
    "clipa": (4, 4),
    "scaled-heads": (4, 4),
    "eva": (16, 16),
}
AGREE = 2e-5
"""The bound within which OpenVINO and PyTorch agree in float32, on entries of unit vectors."""


def random_weights(network: torch.nn.Module) -> torch.nn.Module:
    """Every parameter away from its start; several starts are 0 and would hide a path."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
    return network.eval()


def write_folder(folder: Path, name: str) -> Path:
    folder.mkdir()
    config = {"model_cfg": TOWERS[name], "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3}}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    network = random_weights(open_clip.create_model(f"local-dir:{folder}"))
    save_file(dict(network.state_dict()), folder / "open_clip_model.safetensors")
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root, made = tmp_path_factory.mktemp("clip"), {}

    def folder(name: str) -> Path:
        if name not in made:
            made[name] = write_folder(root / name, name)
        return made[name]

    return folder


@pytest.fixture(scope="module")
def named(tmp_path_factory, folders):
    """A model that open_clip knows by name, with its weights in a file."""
    configs = tmp_path_factory.mktemp("configs")
    (configs / "tiny-test-vit.json").write_text(json.dumps(TOWERS["vit"]))
    open_clip.add_model_config(configs / "tiny-test-vit.json")
    return "tiny-test-vit", folders("vit") / "open_clip_model.safetensors"


@pytest.fixture(scope="module")
def pictures():
    pixels = np.random.default_rng(0).integers(0, 255, (3, 50, 70, 3), dtype=np.uint8)
    return [Image.fromarray(each) for each in pixels]


def open_folder(folder: Path, **choices) -> ClipEncoder:
    choices = {"engine": "torch", "threads": 1} | choices
    return ClipEncoder(ClipEncoder.Settings(model=f"local-dir:{folder}", **choices))


@pytest.mark.parametrize("name", list(TOWERS))
def test_pooled_and_labels_are_what_open_clip_says(folders, pictures, name):
    encoder = open_folder(folders(name))
    network = open_clip.create_model(f"local-dir:{folders(name)}").eval()
    size = network.visual.image_size
    size = size if isinstance(size, tuple) else (size, size)
    pixels = np.stack(
        [np.asarray(p.resize(size, Image.Resampling.BICUBIC), np.float32) for p in pictures]
    )
    batch = torch.from_numpy((pixels / 255 - 0.5) / 0.5).permute(0, 3, 1, 2)
    tokens = open_clip.get_tokenizer(f"local-dir:{folders(name)}")(["a photo of a red fox"])
    with torch.inference_mode():
        expected = network.encode_image(batch, normalize=True).numpy()
        expected_label = network.encode_text(tokens, normalize=True).numpy()
    encoded = encoder.encode(pictures)
    np.testing.assert_allclose(encoded.pooled, expected, atol=AGREE)
    np.testing.assert_allclose(encoder.encode_labels(["red_fox"]), expected_label, atol=AGREE)
    assert encoded.layouts[0].grid == encoder.grid == GRIDS[name]
    assert encoded.parts[0].shape == (GRIDS[name][0] * GRIDS[name][1], encoder.dim)
    assert encoder.dim == expected.shape[1]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vit", "resnet", "siglip"])
def test_openvino_and_torch_agree_and_have_one_fingerprint(folders, pictures, name):
    with_torch = open_folder(folders(name))
    with_openvino = open_folder(folders(name), engine="openvino")
    ours, theirs = with_openvino.encode(pictures), with_torch.encode(pictures)
    np.testing.assert_allclose(ours.pooled, theirs.pooled, atol=AGREE)
    for a, b in zip(ours.parts, theirs.parts, strict=True):
        np.testing.assert_allclose(a, b, atol=AGREE)
    assert with_openvino.fingerprint == with_torch.fingerprint


@pytest.mark.parametrize("name", ["vit", "coca", "resnet", "siglip"])
def test_the_value_path_is_the_last_attention_asked_of_one_cell(folders, pictures, name):
    """Brute force with open_clip's own modules: attention over a single key, cell by cell."""
    encoder = open_folder(folders(name))
    network = open_clip.create_model(f"local-dir:{folders(name)}").eval()
    visual, cell = network.visual, 3
    batch = torch.from_numpy(encoder._network.prepared(pictures[0])[None])
    with torch.inference_mode():
        if name == "vit":
            x = visual._embeds(batch)
            for block in visual.transformer.resblocks[:-1]:
                x = block(x)
            last = visual.transformer.resblocks[-1]
            alone = last.ln_1(x[:, 1 + cell : 2 + cell])
            value = visual.ln_post(last.attn(alone, alone, alone)[0])[:, 0] @ visual.proj
        elif name == "coca":
            x = visual.transformer(visual._embeds(batch))[:, 1 + cell : 2 + cell]
            value = visual.ln_post(visual.attn_pool(x))[:, 5] @ visual.proj
        elif name == "resnet":
            x = visual.stem(batch)
            for layer in (visual.layer1, visual.layer2, visual.layer3, visual.layer4):
                x = layer(x)
            token = x.flatten(2)[0, :, cell] + visual.attnpool.positional_embedding[1 + cell]
            token = token[None, None]
            pool = visual.attnpool
            value = torch.nn.functional.multi_head_attention_forward(
                token, token, token, token.shape[-1], pool.num_heads, None,
                torch.cat([pool.q_proj.bias, pool.k_proj.bias, pool.v_proj.bias]), None, None,
                False, 0.0, pool.c_proj.weight, pool.c_proj.bias, use_separate_proj_weight=True,
                q_proj_weight=pool.q_proj.weight, k_proj_weight=pool.k_proj.weight,
                v_proj_weight=pool.v_proj.weight, training=False,
            )[0][0]  # fmt: skip
        else:
            tokens = visual.trunk.forward_features(batch)[:, visual.trunk.num_prefix_tokens :]
            value = visual.trunk.attn_pool(tokens[:, cell : cell + 1])
            value = visual.head(visual.trunk.head(visual.trunk.fc_norm(value)))
    value = value[0].numpy()
    part = encoder.encode(pictures[:1]).parts[0][cell]
    np.testing.assert_allclose(part, value / np.linalg.norm(value), atol=AGREE)


def test_the_last_tokens_are_the_other_choice_with_another_fingerprint(folders, pictures):
    values, tokens = open_folder(folders("vit")), open_folder(folders("vit"), parts="tokens")
    network = open_clip.create_model(f"local-dir:{folders('vit')}").eval()
    batch = torch.from_numpy(tokens._network.prepared(pictures[0])[None])
    with torch.inference_mode():
        x = network.visual.transformer(network.visual._embeds(batch))
        expected = (network.visual.ln_post(x)[0, 1:] @ network.visual.proj).numpy()
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(tokens.encode(pictures[:1]).parts[0], expected, atol=AGREE)
    assert values.fingerprint != tokens.fingerprint
    with pytest.raises(BadInputError, match="auto, values, tokens, self"):
        open_folder(folders("vit"), parts="heads")


def attended(q, k, v):
    """Attention of (T, H, W) queries, keys and values by hand."""
    weights = torch.softmax(torch.einsum("qhw,khw->hqk", q, k) / q.shape[-1] ** 0.5, dim=-1)
    return torch.einsum("hqk,khw->qhw", weights, v)


def like_with_like(q, k, v):
    return (attended(q, q, v) + attended(k, k, v)).flatten(1)


def self_by_hand(name: str, visual, batch) -> torch.Tensor:
    """The last block on the weights alone, attention among like tokens; one picture's cells."""
    if name in ("eva", "timm-vit"):
        trunk, rope = visual.trunk, None
        x = trunk.patch_embed(batch)
        x = trunk._pos_embed(x)
        if name == "eva":
            x, rope = x
        x = trunk.norm_pre(x)
        for block in trunk.blocks[:-1]:
            x = block(x, rope=rope) if name == "eva" else block(x)
        last, heads = trunk.blocks[-1], trunk.blocks[-1].attn.num_heads
        attn, inner = last.attn, last.norm1(x)[0]
        if name == "eva":
            qkv = inner @ attn.qkv.weight.T + torch.cat([attn.q_bias, attn.k_bias, attn.v_bias])
        else:
            qkv = inner @ attn.qkv.weight.T + attn.qkv.bias
        q, k, v = (part.reshape(len(inner), heads, -1) for part in qkv.chunk(3, dim=-1))
        if name == "eva":
            sin, cos = rope.chunk(2, dim=-1)

            def turned(a):
                pairs = torch.stack([-a[1:, :, 1::2], a[1:, :, ::2]], -1).reshape(a[1:].shape)
                return torch.cat([a[:1], a[1:] * cos[:, None] + pairs * sin[:, None]])

            q, k = turned(q), turned(k)
        x = x[0] + attn.proj(like_with_like(q, k, v))
        x = trunk.norm((x + last.mlp(last.norm2(x)))[None])[0]
        return visual.head(trunk.head(trunk.fc_norm(x)))[trunk.num_prefix_tokens :]
    x = visual._embeds(batch)
    for block in visual.transformer.resblocks[:-1]:
        x = block(x)
    last = visual.transformer.resblocks[-1]
    attn, inner = last.attn, last.ln_1(x)[0]
    qkv = inner @ attn.in_proj_weight.T + attn.in_proj_bias
    q, k, v = (part.reshape(len(inner), attn.num_heads, -1) for part in qkv.chunk(3, dim=-1))
    mixed = like_with_like(q, k, v)
    if name == "scaled-heads":
        mixed = (mixed.unflatten(1, (attn.num_heads, -1)) * attn.head_scale[:, 0]).flatten(1)
    branch = getattr(last, "ln_attn", torch.nn.Identity())(attn.out_proj(mixed))
    x = x[0] + last.ls_1(branch)
    return visual.ln_post(x + last.ls_2(last.mlp(last.ln_2(x))))[1:] @ visual.proj


@pytest.mark.parametrize("name", ["vit", "vit-avg", "clipa", "scaled-heads", "timm-vit", "eva"])
def test_self_is_the_last_block_with_attention_among_like_cells(folders, pictures, name):
    encoder = open_folder(folders(name), parts="self")
    network = open_clip.create_model(f"local-dir:{folders(name)}").eval()
    batch = torch.from_numpy(encoder._network.prepared(pictures[0])[None])
    with torch.inference_mode():
        expected = self_by_hand(name, network.visual, batch).numpy()
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    found = encoder.encode(pictures[:1])
    np.testing.assert_allclose(found.parts[0], expected, atol=AGREE)
    plain = open_folder(folders(name))
    np.testing.assert_allclose(found.pooled, plain.encode(pictures[:1]).pooled, atol=AGREE)
    assert (encoder.lane_refusal == "") == (plain.lane_refusal == "")
    assert (encoder.parts, plain.parts) == ("self", "values")
    assert encoder.fingerprint != plain.fingerprint
    assert encoder.lane_key == plain.lane_key, "lanes read the stream, not the parts"


def test_values_of_eva_are_the_projected_values_of_its_last_block(folders, pictures):
    """MaskCLIP on the weights: no query, no key, no rotation."""
    encoder = open_folder(folders("eva"))
    visual = open_clip.create_model(f"local-dir:{folders('eva')}").eval().visual
    trunk = visual.trunk
    batch = torch.from_numpy(encoder._network.prepared(pictures[0])[None])
    with torch.inference_mode():
        x, rope = trunk._pos_embed(trunk.patch_embed(batch))
        for block in trunk.blocks[:-1]:
            x = block(x, rope=rope)
        last = trunk.blocks[-1]
        width = x.shape[-1]
        values = last.norm1(x)[0, 1:] @ last.attn.qkv.weight[2 * width :].T + last.attn.v_bias
        cells = trunk.norm(last.attn.proj(values)[None])[0]
        expected = visual.head(trunk.head(trunk.fc_norm(cells))).numpy()
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(encoder.encode(pictures[:1]).parts[0], expected, atol=AGREE)


@pytest.mark.parametrize("name", ["vit", "vit-avg", "coca", "siglip", "timm-vit", "eva"])
def test_layers_are_the_tokens_behind_each_block_brought_to_the_joint_space(
    folders, pictures, name
):
    """Brute force with open_clip's own modules, block by block and cell by cell."""
    encoder = open_folder(folders(name))
    visual = open_clip.create_model(f"local-dir:{folders(name)}").eval().visual
    batch = torch.from_numpy(encoder._network.prepared(pictures[0])[None])
    behind: list[np.ndarray] = []
    with torch.inference_mode():
        if hasattr(visual, "trunk"):
            trunk, given = visual.trunk, {}
            x = trunk._pos_embed(trunk.patch_embed(batch))
            if name == "eva":
                x, given["rope"] = x
            x = trunk.norm_pre(x)
            for block in trunk.blocks[:-1]:
                x = block(x, **given)
                cells = trunk.norm(x)[0, trunk.num_prefix_tokens :, None]
                pool = getattr(trunk, "attn_pool", None)
                alone = cells[:, 0] if pool is None else pool(cells)
                behind.append(visual.head(trunk.head(trunk.fc_norm(alone))).numpy())
        else:
            x = visual._embeds(batch)
            for block in visual.transformer.resblocks[:-1]:
                x = block(x)
                cells = x[0, 1:]
                if visual.attn_pool is not None:
                    cells = visual.attn_pool(cells[:, None])[:, 0]
                behind.append((visual.ln_post(cells) @ visual.proj).numpy())
    expected = np.stack(behind, 1)
    expected /= np.linalg.norm(expected, axis=2, keepdims=True)
    (found,) = encoder.layers(pictures[:1])
    assert encoder.num_layers == found.shape[1] == len(behind) + 1
    np.testing.assert_allclose(found[:, :-1], expected, atol=1e-3)  # half precision
    np.testing.assert_allclose(found[:, -1], encoder.encode(pictures[:1]).parts[0], atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vit", "siglip"])
def test_layers_of_both_engines_agree_and_a_batch_equals_its_items(folders, pictures, name):
    with_torch = open_folder(folders(name))
    with_openvino = open_folder(folders(name), engine="openvino")
    ours, theirs = with_openvino.layers(pictures), with_torch.layers(pictures)
    for row, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        np.testing.assert_allclose(a, b, atol=1e-3)
        np.testing.assert_allclose(with_torch.layers(pictures[row : row + 1])[0], b, atol=1e-3)
    # Asking for layers changes nothing of what it says otherwise.
    plain = open_folder(folders(name)).encode(pictures)
    np.testing.assert_array_equal(with_torch.encode(pictures).parts[0], plain.parts[0])


@pytest.mark.parametrize(("name", "kind"), [("resnet", "ModifiedResNet"), ("convnext", "ConvNeXt")])
def test_a_tower_without_a_row_of_blocks_gives_no_layers_and_says_so(folders, pictures, name, kind):
    encoder = open_folder(folders(name))
    assert encoder.layer_refusal.startswith(f"no layers with {encoder.id}: a {kind} is no row of")
    assert encoder.num_layers == 0
    with pytest.raises(BadInputError, match="no layers with"):
        encoder.layers(pictures)


@pytest.mark.parametrize("name", ["siglip", "coca"])
def test_a_tower_that_pools_by_attention_has_values_and_self(folders, pictures, name):
    ways = {way: open_folder(folders(name), parts=way) for way in ("values", "self")}
    values, own = (each.encode(pictures[:1]) for each in ways.values())
    assert np.abs(values.parts[0] - own.parts[0]).max() > 1e-3
    np.testing.assert_allclose(values.pooled, own.pooled, atol=AGREE)
    with pytest.raises(BadInputError, match="pools its tokens by attention") as refused:
        open_folder(folders(name), parts="tokens")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "choice", "reason"),
    [
        ("convnext", {"parts": "values"}, "a ConvNeXt is no row of plain attention blocks"),
        ("resnet", {"parts": "self"}, "by the value path alone"),
        ("resnet", {"artefacts": "replaced"}, "a ModifiedResNet has no such tokens"),
    ],
)
def test_what_a_tower_cannot_give_is_refused(folders, name, choice, reason):
    with pytest.raises(BadInputError, match=reason):
        open_folder(folders(name), **choice)
    assert open_folder(folders("convnext")).parts == "tokens"


def test_a_cell_of_outsize_norm_becomes_the_mean_of_its_sound_neighbours():
    draw = torch.Generator().manual_seed(0)
    tokens = torch.randn(2, 1 + 12, 5, generator=draw)
    tokens[:, 1:] /= tokens[:, 1:].norm(dim=-1, keepdim=True)
    tokens[:, 0] *= 100  # the class token is no cell
    whole = tokens.clone()
    for cell in (1, 2, 11):  # in a grid of 3 rows and 4 columns
        tokens[1, 1 + cell] *= 40
    found = without_artefacts(tokens, 1, (3, 4))
    torch.testing.assert_close(found[0], whole[0])
    expected = tokens[1].clone()
    for cell, around in ((1, (0, 4, 5, 6)), (2, (3, 5, 6, 7)), (11, (6, 7, 10))):
        expected[1 + cell] = torch.stack([whole[1, 1 + c] for c in around]).mean(0)
    torch.testing.assert_close(found[1], expected)
    lonely = torch.ones(1, 25, 2)
    for cell in (0, 1, 5, 6):
        lonely[0, cell] = 50
    torch.testing.assert_close(without_artefacts(lonely, 0, (5, 5)), torch.ones(1, 25, 2))


def test_replacing_artefacts_changes_parts_but_not_the_picture(folders, pictures, monkeypatch):
    kept = open_folder(folders("vit"))
    monkeypatch.setattr("backend.methods.encoders._last_block.ARTEFACT", 1.01)
    mended = open_folder(folders("vit"), artefacts="replaced")
    a, b = kept.encode(pictures), mended.encode(pictures)
    np.testing.assert_allclose(a.pooled, b.pooled, atol=AGREE)
    assert np.abs(a.parts[0] - b.parts[0]).max() > 1e-3
    assert kept.fingerprint != mended.fingerprint
    assert mended.id.endswith("?artefacts=replaced")


@pytest.mark.slow
def test_openvino_gives_the_same_for_like_cells_and_replaced_artefacts(
    folders, pictures, monkeypatch
):
    monkeypatch.setattr("backend.methods.encoders._last_block.ARTEFACT", 1.2)
    choice = {"parts": "self", "artefacts": "replaced"}
    ours = open_folder(folders("vit"), engine="openvino", **choice).encode(pictures)
    theirs = open_folder(folders("vit"), **choice).encode(pictures)
    for a, b in zip(ours.parts, theirs.parts, strict=True):
        np.testing.assert_allclose(a, b, atol=AGREE)


def test_an_encoder_is_named_with_how_its_parts_are_made(folders, named):
    model, weights = named
    name = f"open_clip:{model}/{weights}?parts=self&artefacts=replaced"
    encoder = load_encoder(name, Settings(is_offline=True, engine="torch"))
    assert (encoder.id, encoder.parts) == (name, "self")
    folder = f"open_clip:local-dir:{folders('vit')}?parts=tokens"
    assert load_encoder(folder, Settings(is_offline=True, engine="torch")).id == folder
    with pytest.raises(BadInputError, match="heads=2 is no setting"):
        load_encoder(f"open_clip:{model}/{weights}?heads=2", Settings(is_offline=True))
    with pytest.raises(BadInputError, match="parts is 'all'; there are auto, values"):
        load_encoder(f"open_clip:{model}/{weights}?parts=all", Settings(is_offline=True))


def test_a_part_is_about_its_own_place(folders):
    """Changing the lower right corner changes its cell more than any other."""
    encoder = open_folder(folders("vit"))
    plain = Image.new("RGB", (64, 64), (90, 120, 60))
    marked = plain.copy()
    marked.paste((250, 10, 240), (48, 48, 64, 64))
    a, b = encoder.encode([plain, marked]).parts
    assert np.linalg.norm(a - b, axis=1).argmax() == 15


def test_a_checkpoint_beside_a_name_gives_the_same_as_the_folder(named, folders, pictures):
    model, weights = named
    by_name = ClipEncoder(ClipEncoder.Settings(model, str(weights), engine="torch"))
    network = open_clip.create_model(model, pretrained=str(weights)).eval()
    batch = torch.from_numpy(np.stack([by_name._network.prepared(p) for p in pictures]))
    with torch.inference_mode():
        expected = network.encode_image(batch, normalize=True).numpy()
    np.testing.assert_allclose(by_name.encode(pictures).pooled, expected, atol=AGREE)
    assert by_name.id == f"open_clip:{model}/{weights}"
    assert open_clip.get_model_preprocess_cfg(network)["mean"] == tuple(by_name._loaded.form.mean)
    assert by_name.fingerprint != open_folder(folders("vit")).fingerprint, "other mean and std"


def test_a_torch_file_of_plain_tensors_is_taken_and_a_pickled_object_is_not(named, tmp_path):
    model, weights = named
    state = load_file(weights)
    torch.save({"state_dict": state}, tmp_path / "good.pt")
    torch.save({"state_dict": OrderedDict(state), "args": Path("/tmp")}, tmp_path / "bad.pt")
    good = ClipEncoder(ClipEncoder.Settings(model, str(tmp_path / "good.pt")))
    assert good.fingerprint == ClipEncoder(ClipEncoder.Settings(model, str(weights))).fingerprint
    with pytest.raises(BadInputError, match="more than tensors"):
        ClipEncoder(ClipEncoder.Settings(model, str(tmp_path / "bad.pt")))


def test_other_weights_have_another_fingerprint(named, tmp_path):
    model, weights = named
    state = load_file(weights)
    state["visual.proj"] += 1e-3
    save_file(state, tmp_path / "other.safetensors")
    changed = ClipEncoder.Settings(model, str(tmp_path / "other.safetensors"))
    ours = ClipEncoder.Settings(model, str(weights))
    assert ClipEncoder(changed).fingerprint != ClipEncoder(ours).fingerprint
    assert ClipEncoder(replace(ours, dtype="bfloat16")).fingerprint != ClipEncoder(ours).fingerprint


def refused(kind: type[PatchlaneError], model: str, file: Path | str = "", **choices) -> str:
    """What is said, without the encoders that are offered instead."""
    with pytest.raises(kind) as caught:
        ClipEncoder(ClipEncoder.Settings(model, str(file), engine="torch", **choices))
    assert type(caught.value) is kind
    said, _, instead = str(caught.value).partition("; available offline: ")
    assert "\n" not in said
    assert instead.split(", ")[0] == "embedded"
    return said


def test_weights_that_do_not_fit_are_refused_in_one_sentence(named, folders, tmp_path):
    model, _ = named
    other = folders("resnet") / "open_clip_model.safetensors"
    assert refused(BadInputError, model, other).startswith(
        f"the weights do not fit open_clip:{model}/"
    )
    (tmp_path / "notes.txt").write_text("hello")
    assert "no file of weights" in refused(BadInputError, model, tmp_path / "notes.txt")
    (tmp_path / "cut.safetensors").write_bytes(b"\x10\x00\x00\x00")
    assert "do not fit" in refused(BadInputError, model, tmp_path / "cut.safetensors")


def test_offline_it_says_what_there_is(tmp_path, monkeypatch):
    networks.empty_caches(monkeypatch, tmp_path)
    for name, file in (("ViT-B-32", "laion2b_s34b_b79k"), ("hf-hub:nobody/knows", "")):
        said = refused(OfflineError, name, file)
        assert f"{file or 'nobody/knows'!r}" in said
        assert "not on this machine and downloads are off; set PATCHLANE_OFFLINE=0" in said


def test_a_download_that_was_made_before_is_offered(tmp_path, monkeypatch):
    networks.empty_caches(monkeypatch, tmp_path)
    monkeypatch.setattr(
        open_clip.pretrained,
        "_PRETRAINED",
        {"ViT-B-32": {"mine": {"url": "https://example.invalid/mine.pt"}}},
    )
    (tmp_path / ".cache" / "clip").mkdir(parents=True)
    (tmp_path / ".cache" / "clip" / "mine.pt").touch()
    for encoder, instead in (
        (ClipEncoder, "embedded, open_clip:ViT-B-32/mine"),
        (
            ClipTextEncoder,
            "sentence:minilm, words, sentence:minilm+words, open_clip_text:ViT-B-32/mine",
        ),
    ):
        with pytest.raises(NotFoundError, match=f"offline: {re.escape(instead)}$"):
            encoder(encoder.Settings("ViT-B-32", "nonsense"))


def test_a_download_that_fails_says_why(tmp_path, monkeypatch):
    networks.unplug(monkeypatch, tmp_path)
    for name, tag in (
        ("ViT-B-32", "laion2b_s34b_b79k"),
        ("hf-hub:timm/vit_base_patch32_clip_224.openai", ""),
    ):
        called = f"open_clip:{name}/{tag}".rstrip("/")
        assert refused(OfflineError, name, tag, is_offline=False) == (
            f"{called} could not be downloaded: {networks.NO_NAME}"
        )


def test_what_the_hub_does_not_have_is_said(tmp_path, monkeypatch):
    with networks.hub_without_models(monkeypatch, tmp_path):
        assert refused(OfflineError, "hf-hub:nobody/knows", is_offline=False) == (
            "open_clip:hf-hub:nobody/knows could not be downloaded: the server answered 404, it is "
            "not there or not public"
        )


def test_unknown_names_list_the_known():
    assert "no model 'ViT-Z'" in refused(NotFoundError, "ViT-Z", "openai")
    assert "its tags are openai, laion" in refused(NotFoundError, "ViT-B-32", "nonsense")
    assert "names no weights" in refused(BadInputError, "ViT-B-32")
    assert "was not found" in refused(NotFoundError, "local-dir:/nowhere")


def test_texts_in_place_of_pictures_are_refused(folders):
    with pytest.raises(BadInputError, match="takes pictures, not str"):
        open_folder(folders("vit")).encode(["a text"])


def tokens_of(visual, batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens before the first block, and after the last and the final norm."""
    if hasattr(visual, "trunk"):
        trunk = visual.trunk
        first = trunk.norm_pre(trunk._pos_embed(trunk.patch_embed(batch)))
        return first, trunk.norm(trunk.blocks(first))
    first = visual._embeds(batch)
    return first, visual.ln_post(visual.transformer(first))


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTS)
@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_its_stream_is_what_the_frozen_arrays_make_of_the_first_tokens(
    folders, pictures, name, engine
):
    if engine == "openvino" and name == "timm-vit":
        pytest.skip("the same blocks as siglip's")
    encoder = open_folder(folders(name), engine=engine)
    assert encoder.lane_refusal == ""
    readings = check_reading(encoder, pictures)
    network = open_clip.create_model(f"local-dir:{folders(name)}").eval()
    batch = torch.from_numpy(np.stack([encoder._network.prepared(picture) for picture in pictures]))
    with torch.inference_mode():
        first, last = tokens_of(network.visual, batch)
    for row, reading in enumerate(readings):
        # A tower that pools before its last norm has none behind the blocks.
        has_norm = not isinstance(getattr(network.visual, "trunk", None), torch.nn.Module) or (
            isinstance(network.visual.trunk.norm, torch.nn.LayerNorm)
        )
        check_blocks(encoder, reading, first[row].numpy(), last[row].numpy() if has_norm else None)


def test_a_lane_starts_as_the_class_token_does_without_its_position(folders):
    visual = open_clip.create_model(f"local-dir:{folders('vit')}").eval().visual
    with torch.inference_mode():
        visual.positional_embedding.zero_()
        expected = visual._embeds(torch.zeros(1, 3, 32, 32))[0, 0].numpy()
    np.testing.assert_allclose(
        open_folder(folders("vit")).frozen_stack().start, expected, atol=1e-6
    )


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("resnet", "a ModifiedResNet has no transformer"),
        ("convnext", "a ConvNeXt is not made of plain transformer blocks"),
        ("coca", "pools by attention"),
    ],
)
def test_a_tower_without_plain_blocks_says_why_lanes_cannot_live_in_it(folders, name, reason):
    encoder = open_folder(folders(name))
    assert encoder.lane_refusal.startswith(f"no lanes with {encoder.id}: ")
    assert reason in encoder.lane_refusal
    assert lane_host(encoder) is None
    for refused in (encoder.frozen_stack, lambda: encoder.read([])):
        with pytest.raises(BadInputError, match=reason):
            refused()


@pytest.mark.parametrize("variant", ["scale_heads", "scale_attn", "scale_fc", "qk_norm"])
def test_variants_of_the_block_are_refused(tmp_path, variant):
    TOWERS["variant"] = {
        "embed_dim": 24,
        "vision_cfg": {**VIT, "block_type": "custom", variant: True},
        "text_cfg": TEXT,
    }
    encoder = open_folder(write_folder(tmp_path / "variant", "variant"))
    assert "CustomResidualAttentionBlock" in encoder.lane_refusal
    assert encoder.encode([Image.new("RGB", (9, 9))]).pooled.shape == (1, encoder.dim)


def test_a_block_that_only_looks_plain_is_found_out(folders):
    visual = open_clip.create_model(f"local-dir:{folders('vit')}").eval().visual
    frozen = freeze_tower(visual)
    picture = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    check(frozen, lambda: visual(picture))
    visual.transformer.resblocks[-1].attn.dropout = 0.0
    visual.transformer.resblocks[-1].mlp.c_fc.register_forward_hook(lambda _m, _i, out: out * 1.1)
    with pytest.raises(NotPlainError, match="more than plain attention"):
        check(frozen, lambda: visual(picture))
