"""Projections of blocks are fitted on training pictures, written beside the weights and named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from backend.bench import embedded_layers
from backend.bench._embedded_data import usable_mosaics
from backend.methods.encoders.embedded import EmbeddedEncoder
from backend.settings import assets_folder


def test_fitting_names_a_file_and_changes_nothing_else(tmp_path, settings, monkeypatch):
    if not settings.data.is_dir():
        pytest.skip("no data packs")
    folder = Path(shutil.copytree(assets_folder() / "encoder", tmp_path / "encoder"))
    constants = json.loads((folder / "encoder.json").read_text())
    before = {**constants}
    del constants["layers"]
    (folder / "encoder.json").write_text(json.dumps(constants))
    (folder / "layer-projections.safetensors").unlink()
    options = EmbeddedEncoder.Settings(folder=str(folder), engine="torch", threads=1)
    encoder = EmbeddedEncoder(options)
    assert encoder.layer_refusal

    mosaics = [path for path, _ in usable_mosaics(settings.data)[:6]]
    pictures = [Image.open(path).convert("RGB") for path in mosaics]
    monkeypatch.setattr(
        embedded_layers, "_pictures", lambda _data: iter([pictures[:4], pictures[4:]])
    )
    said: list[str] = []
    embedded_layers.fit_layers(encoder, settings.data, folder, said.append)
    assert said[-1].startswith("blocks of training pictures: 6 of ")

    after = json.loads((folder / "encoder.json").read_text())
    assert {key: value for key, value in after.items() if key != "layers"} == constants
    assert after["layers"]["blocks"] == before["layers"]["blocks"] == 4
    fitted = EmbeddedEncoder(options)
    assert fitted.layer_refusal == ""
    assert (fitted.fingerprint, fitted.lane_key) == (encoder.fingerprint, encoder.lane_key)
    (layers,) = fitted.layers(pictures[:1])
    near = np.einsum("pkd,pd->pk", layers, layers[:, -1]).mean(axis=0)
    assert (near[:-1] > 0.5).all(), "blocks are brought near the parts of a picture they saw"
