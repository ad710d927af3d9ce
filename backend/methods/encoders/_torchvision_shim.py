"""Let torchvision be imported beside a CPU build of torch.

The torchvision wheel that a plain `pip install` brings is linked against a CUDA torch. Beside a
CPU torch its compiled operators cannot be loaded, and the import stops at "operator
torchvision::nms does not exist", because one module describes a fake kernel for an operator nobody
declared. Declaring the two operators is all that is missing: the parts that timm and open_clip use
are plain Python.

Call `allow_torchvision` before the first import of timm, open_clip or torchvision.
"""

from __future__ import annotations

import importlib
import sys

import torch

# A Library takes its declarations with it when it is collected, so it lives as long as the process.
_declared: list[torch.library.Library] = []

_OPERATORS = ("nms", "qnms")


def allow_torchvision() -> bool:
    """Make `import torchvision` work, and import it.

    Returns:
        True where the operators had to be declared, False where torchvision's own build fits torch
        (then nothing is changed) or was made importable before.
    """
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
    else:
        return False
    # The failed import leaves half-made modules behind that a second import would take for whole.
    for name in [name for name in list(sys.modules) if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
    library = torch.library.Library("torchvision", "DEF")
    for operator in _OPERATORS:
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _declared.append(library)
    importlib.import_module("torchvision")
    return True
