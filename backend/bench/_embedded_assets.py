"""Write `assets/encoder`: the weights in half precision and the constants that go with them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from backend.methods.encoders._label_space import ClassSpace
from backend.methods.encoders._mean_cell import fit_mean_cells
from backend.methods.encoders._packaged import EFFICIENTNET_LITE0, MINILM, sha256_of
from backend.methods.encoders._parts_transformer import PartsTransformer
from backend.methods.encoders.embedded import CONSTANTS, Output
from backend.types import ScoreScale

WEIGHTS = "parts-transformer.safetensors"
SHARE_OF_DEFINITIONS, TEMPERATURE_OF_SENSES = 1.0, 0.03
"""Chosen on training photos with the untrained combination: top-1 of 161 labels 0.182 without
definitions, 0.194 with a share of 0.5, 0.200 with 1, 0.204 with 2; 0.03 and 0.1 are alike."""


def write_encoder(
    folder: Path,
    transformer: PartsTransformer,
    space: ClassSpace,
    output: Output,
    *,
    scale: ScoreScale,
    training: Mapping[str, Any],
) -> None:
    """The transformer, the classes' text vectors and the text mean, as the encoder reads them."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = dict(transformer.state_dict())
    tensors["class_vectors"] = torch.from_numpy(space.vectors)
    tensors["text_mean"] = torch.from_numpy(space.mean)
    path = folder / WEIGHTS
    save_file({name: value.half().contiguous() for name, value in tensors.items()}, path)
    path.chmod(0o644)  # safetensors keeps new files to their owner
    constants = {
        "file": WEIGHTS,
        "sha256": sha256_of(path),
        "shape": asdict(transformer.shape),
        "output": asdict(output),
        "scale": asdict(scale),
        "packages": {
            each.distribution: {"version": each.version, "files": dict(each.files)}
            for each in (EFFICIENTNET_LITE0, MINILM)
        },
        "training": dict(training),
    }
    text = json.dumps(constants, indent=2, sort_keys=True)
    (folder / CONSTANTS).write_text(text + "\n", encoding="utf-8")


def write_dictionary(folder: Path) -> None:
    """How much of a label is what its name means."""
    value = {"share": SHARE_OF_DEFINITIONS, "temperature": TEMPERATURE_OF_SENSES}
    write_constant(folder, "dictionary", value)


def write_constant(folder: Path, name: str, value: object) -> None:
    """Replace one of an encoder's constants; None takes it away."""
    path = folder / CONSTANTS
    constants = json.loads(path.read_text(encoding="utf-8"))
    constants.pop(name, None)
    if value is not None:
        constants[name] = value
    text = json.dumps(constants, indent=2, sort_keys=True)
    path.write_text(text + "\n", encoding="utf-8")


def write_scale(folder: Path, scale: ScoreScale) -> None:
    """The scale in an encoder's constants; it is measured with the encoder itself."""
    write_constant(folder, "scale", asdict(scale))


def write_mean_cells(folder: Path, cells: np.ndarray) -> None:
    """Fit the plain numbers on photographs' cells (N, P, C) and name them in the constants."""
    means = np.concatenate(
        [np.asarray(cells[at : at + 500], np.float32).mean(1) for at in range(0, len(cells), 500)]
    )
    write_constant(folder, "mean_cell", fit_mean_cells(means, folder))
