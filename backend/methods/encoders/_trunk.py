"""The frozen trunk: EfficientNet-Lite0 with the packaged weights, in timm's code."""

from __future__ import annotations

import torch
from torch import nn

from backend.errors import RefusedError
from backend.methods.encoders._packaged import EFFICIENTNET_LITE0
from backend.methods.encoders._torchvision_shim import allow_torchvision

allow_torchvision()
import timm  # noqa: E402  (timm imports torchvision, which the line above makes importable)

MEAN = 0.498
STD = 0.502
STRIDE = 32
WIDTH = 1280


def random_trunk() -> nn.Module:
    """The same network before any training."""
    return timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()


def load_trunk() -> nn.Module:
    """EfficientNet-Lite0 in evaluation mode, every parameter frozen.

    The packaged file and timm's `tf_efficientnet_lite0` list the same tensors in the same order
    under other names, so they are paired by position and each pair's shape is checked.

    Raises:
        NotFoundError: the package or its file is missing.
        RefusedError: the file is not the pinned one, or does not fit the network.
    """
    path = EFFICIENTNET_LITE0.locate()
    packaged = torch.load(path, map_location="cpu", weights_only=True)
    values = [value for name, value in packaged.items() if not name.endswith("num_batches_tracked")]
    network = random_trunk()
    names = [name for name in network.state_dict() if not name.endswith("num_batches_tracked")]
    expected = network.state_dict()
    if [value.shape for value in values] != [expected[name].shape for name in names]:
        raise RefusedError(
            f"{path.name} does not fit the EfficientNet-Lite0 of timm {timm.__version__}; "
            f"install timm 1.0"
        )
    network.load_state_dict(dict(zip(names, values, strict=True)), strict=False)
    return network.eval().requires_grad_(False)
