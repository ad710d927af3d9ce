from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from backend.contracts import has_text_side, lane_host
from backend.errors import BadInputError, NotFoundError, OfflineError, PatchlaneError
from backend.methods.encoders._torchvision_shim import allow_torchvision
from backend.methods.encoders.vision import VisionEncoder
from backend.pipeline import kind_of_encoder, load_encoder
from backend.settings import Settings
from backend.types import Kind
from tests.backend.methods.encoders import networks
from tests.backend.methods.encoders.hosting import check_blocks, check_reading

allow_torchvision()
import timm  # noqa: E402

GRIDS = {
    "test_vit": (10, 10),
    "test_vit2": (10, 10),
    "test_vit3": (10, 10),
    "test_resnet": (5, 5),
    "test_efficientnet": (5, 5),
    "test_convnext": (5, 5),
    "test_mambaout": (5, 5),
    "deit_tiny_distilled_patch16_224": (14, 14),
}
ELSE = "; available offline: embedded"
HOSTS = ("test_vit", "test_vit2", "test_vit3", "deit_tiny_distilled_patch16_224")
AGREE = 2e-5


def random_backbone(name: str, **options) -> torch.nn.Module:
    """Every parameter away from its start; several starts are 0 and would hide a path."""
    network = timm.create_model(name, num_classes=7, **options)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.03)
    return network.eval()


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    root, made = tmp_path_factory.mktemp("timm"), {}

    def file(name: str) -> Path:
        if name not in made:
            made[name] = root / f"{name}.safetensors"
            save_file(dict(random_backbone(name).state_dict()), made[name])
        return made[name]

    return file


@pytest.fixture(scope="module")
def pictures():
    pixels = np.random.default_rng(0).integers(0, 255, (3, 50, 70, 3), dtype=np.uint8)
    return [Image.fromarray(each) for each in pixels]


def opened(name: str, file: Path, **choices) -> VisionEncoder:
    choices = {"engine": "torch", "threads": 1} | choices
    return VisionEncoder(VisionEncoder.Settings(name, str(file), **choices))


@pytest.mark.parametrize("name", list(GRIDS))
def test_pooled_is_what_timm_pools_and_the_cells_are_of_the_same_width(checkpoints, pictures, name):
    encoder = opened(name, checkpoints(name))
    network = timm.create_model(name, num_classes=7)
    network.load_state_dict(load_file(checkpoints(name)))
    network.reset_classifier(0)
    batch = torch.from_numpy(np.stack([encoder._network.prepared(one) for one in pictures]))
    with torch.inference_mode():
        expected = network.eval()(batch).numpy()
    expected = expected / np.linalg.norm(expected, axis=1, keepdims=True)
    encoded = encoder.encode(pictures)
    np.testing.assert_allclose(encoded.pooled, expected, atol=AGREE)
    assert encoded.layouts[0].grid == encoder.grid == GRIDS[name]
    assert encoded.parts[0].shape == (GRIDS[name][0] * GRIDS[name][1], encoder.dim)


def test_where_the_pool_is_a_mean_the_cells_mean_is_the_pooled_vector(checkpoints, pictures):
    """Of a ResNet: its last map is averaged, so its cells are that map."""
    encoder = opened("test_resnet", checkpoints("test_resnet"))
    trunk = encoder._network._see  # the engine; the cells are asked for before they are scaled
    whole, cells = trunk(np.stack([encoder._network.prepared(one) for one in pictures]))
    np.testing.assert_allclose(cells.mean(axis=1), whole, atol=1e-5)


@pytest.mark.parametrize("name", HOSTS)
def test_its_stream_is_what_the_frozen_arrays_make_of_the_first_tokens(checkpoints, pictures, name):
    encoder = opened(name, checkpoints(name))
    readings = check_reading(encoder, pictures)
    network = timm.create_model(name, num_classes=7)
    network.load_state_dict(load_file(checkpoints(name)))
    network.eval()
    batch = torch.from_numpy(np.stack([encoder._network.prepared(one) for one in pictures]))
    with torch.inference_mode():
        first = network.norm_pre(network._pos_embed(network.patch_embed(batch)))
        last = network.blocks(first)
        for norm in (network.norm, network.fc_norm):
            last = norm(last)
    for row, reading in enumerate(readings):
        check_blocks(encoder, reading, first[row].numpy(), last[row].numpy())


@pytest.mark.slow
def test_openvino_and_torch_agree_and_have_one_fingerprint(checkpoints, pictures):
    ours = opened("test_vit", checkpoints("test_vit"))
    theirs = opened("test_vit", checkpoints("test_vit"), engine="openvino")
    assert (ours.fingerprint, ours.lane_key) == (theirs.fingerprint, theirs.lane_key)
    np.testing.assert_allclose(
        ours.encode(pictures).pooled, theirs.encode(pictures).pooled, atol=AGREE
    )
    check_reading(theirs, pictures)


def test_without_a_class_token_a_lane_starts_from_a_patch_without_content(checkpoints):
    """SigLIP's kind: the token of a patch of the mean colour, before its position."""
    name = "test_vit3"
    network = timm.create_model(name, num_classes=7)
    network.load_state_dict(load_file(checkpoints(name)))
    assert network.cls_token is None
    with torch.inference_mode():
        patch = network.patch_embed(torch.zeros(1, 3, 160, 160))[0, 0]
    start = opened(name, checkpoints(name)).frozen_stack().start
    np.testing.assert_allclose(start, patch.numpy(), atol=1e-6)


@pytest.mark.parametrize(
    ("name", "options", "reason"),
    [
        ("test_resnet", {}, "a ResNet is not made of plain transformer blocks"),
        ("test_vit", {"qk_norm": True}, "more than plain attention"),
        ("test_vit", {"scale_attn_norm": True}, "more than plain attention"),
    ],
)
def test_a_backbone_without_plain_blocks_says_why(tmp_path, monkeypatch, name, options, reason):
    save_file(dict(random_backbone(name, **options).state_dict()), tmp_path / "w.safetensors")
    made = timm.create_model
    monkeypatch.setattr(timm, "create_model", lambda *a, **k: made(*a, **k, **options))
    encoder = opened(name, tmp_path / "w.safetensors")
    assert reason in encoder.lane_refusal
    assert lane_host(encoder) is None
    assert encoder.lane_key == ""
    with pytest.raises(BadInputError, match=reason):
        encoder.read([])
    assert encoder.encode([Image.new("RGB", (9, 9))]).pooled.shape == (1, encoder.dim)


def test_it_is_named_on_the_command_line_with_its_file(checkpoints, pictures):
    name = f"timm:test_vit/{checkpoints('test_vit')}"
    assert kind_of_encoder(name) is Kind.IMAGE
    encoder = load_encoder(name, Settings(engine="torch", threads=1))
    assert isinstance(encoder, VisionEncoder)
    assert encoder.id == name
    assert encoder.fingerprint == opened("test_vit", checkpoints("test_vit")).fingerprint
    assert not has_text_side(encoder)


def test_without_a_text_side_labels_are_zeros_and_words_find_nothing(checkpoints):
    encoder = opened("test_vit", checkpoints("test_vit"))
    labels = encoder.encode_labels(["cat", "dog"])
    np.testing.assert_array_equal(labels, np.zeros((2, encoder.dim), np.float32))
    with pytest.raises(BadInputError, match=r"timm:test_vit.* has no text side.*embedded"):
        encoder.encode_texts(["a cat"])


def test_weights_and_precision_are_in_the_fingerprint(checkpoints, tmp_path):
    ours = VisionEncoder.Settings("test_vit", str(checkpoints("test_vit")), engine="torch")
    before = VisionEncoder(ours)
    tensors = load_file(checkpoints("test_vit"))
    tensors["pos_embed"][0, 1, 0] += 0.5
    save_file(tensors, tmp_path / "other.safetensors")
    changed = VisionEncoder(replace(ours, pretrained=str(tmp_path / "other.safetensors")))
    assert changed.fingerprint != before.fingerprint
    assert changed.lane_key != before.lane_key
    assert VisionEncoder(replace(ours, dtype="bfloat16")).lane_key != before.lane_key


def test_a_folder_of_the_hub_is_opened_without_the_hub(checkpoints, tmp_path, pictures):
    network = timm.create_model("test_vit", num_classes=7)
    network.load_state_dict(load_file(checkpoints("test_vit")))
    timm.models.save_for_hf(network, tmp_path / "vit", safe_serialization=True)
    encoder = VisionEncoder(
        VisionEncoder.Settings(f"local-dir:{tmp_path / 'vit'}", engine="torch", threads=1)
    )
    ours = opened("test_vit", checkpoints("test_vit"))
    np.testing.assert_allclose(
        encoder.encode(pictures).pooled, ours.encode(pictures).pooled, atol=AGREE
    )
    assert encoder.fingerprint == ours.fingerprint


class Malice:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return (exec, ("raise SystemExit('it ran')",))


def refused(kind: type[PatchlaneError], name: str, file: Path | str = "", **choices) -> str:
    """What is said, without the encoders that are offered instead."""
    with pytest.raises(kind) as caught:
        VisionEncoder(VisionEncoder.Settings(name, str(file), engine="torch", **choices))
    assert type(caught.value) is kind
    said = str(caught.value)
    assert "\n" not in said
    assert said.endswith(ELSE)
    return said.removesuffix(ELSE)


def test_weights_that_do_not_fit_are_refused_in_one_sentence(checkpoints, tmp_path):
    said = refused(BadInputError, "test_vit", checkpoints("test_resnet"))
    assert re.search(r"does not fit timm:test_vit: \d+ tensors", said)
    tensors = load_file(checkpoints("test_vit"))
    del tensors["cls_token"]
    save_file(tensors, tmp_path / "less.safetensors")
    said = refused(BadInputError, "test_vit", tmp_path / "less.safetensors")
    assert "1 tensors are missing (cls_token first)" in said
    torch.save({"state_dict": Malice()}, tmp_path / "evil.pt")
    assert "hold more than tensors" in refused(BadInputError, "test_vit", tmp_path / "evil.pt")
    (tmp_path / "cut.safetensors").write_bytes(b"\x10\x00\x00\x00")
    said = refused(BadInputError, "test_vit", tmp_path / "cut.safetensors")
    assert said.startswith("the weights do not fit timm:test_vit: ")
    (tmp_path / "notes.txt").write_text("hello")
    assert "no file of weights" in refused(BadInputError, "test_vit", tmp_path / "notes.txt")
    said = refused(NotFoundError, "test_vit", tmp_path / "absent.safetensors")
    assert "no file of weights 'absent.safetensors'" in said


def test_offline_and_unknown_names_are_said(tmp_path, monkeypatch):
    networks.empty_caches(monkeypatch, tmp_path)
    for name in ("resnet50", "hf-hub:nobody/knows", by_url()):
        said = refused(OfflineError, name)
        assert said.startswith(f"the weights of timm:{name} are not on this machine and downloads")
        assert "PATCHLANE_OFFLINE=0" in said
    said = refused(NotFoundError, "resnet5000")
    assert re.search(r"no model 'resnet5000'; near it are .*resnet50", said)
    assert "names no model" in refused(BadInputError, "")


def by_url() -> str:
    """A model whose weights timm fetches without the hub."""
    configs = {name: timm.get_pretrained_cfg(name) for name in timm.list_pretrained()}
    return next(name for name, known in configs.items() if known.url and not known.hf_hub_id)


def test_a_download_that_fails_says_why(tmp_path, monkeypatch):
    networks.unplug(monkeypatch, tmp_path)
    for name in ("resnet50", "hf-hub:timm/resnet50.a1_in1k", by_url()):
        assert refused(OfflineError, name, is_offline=False) == (
            f"the weights of timm:{name} could not be downloaded: {networks.NO_NAME}"
        )


def test_what_the_hub_does_not_have_is_said(tmp_path, monkeypatch):
    with networks.hub_without_models(monkeypatch, tmp_path):
        assert refused(OfflineError, "hf-hub:nobody/knows", is_offline=False) == (
            "the weights of timm:hf-hub:nobody/knows could not be downloaded: the server answered "
            "404, it is not there or not public"
        )


def test_a_folder_that_is_not_there_has_nothing_to_do_with_the_network(tmp_path):
    for is_offline in (True, False):
        said = refused(BadInputError, f"local-dir:{tmp_path / 'absent'}", is_offline=is_offline)
        assert re.search(r"could not be loaded: .*absent", said)
