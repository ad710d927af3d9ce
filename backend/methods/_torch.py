"""What shelves that compute with PyTorch have in common."""

from __future__ import annotations

import torch


def choose_device(device: str) -> str:
    """What `auto` means: CUDA where PyTorch finds it, else the CPU."""
    if device != "auto":
        return device
    return "cuda" if torch.cuda.is_available() else "cpu"
