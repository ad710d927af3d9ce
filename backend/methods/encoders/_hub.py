"""Keep the model hub's library from the network."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from huggingface_hub import constants


@contextlib.contextmanager
def no_downloads() -> Iterator[None]:
    """Make the hub's library answer from its cache only; it reads this when it is asked."""
    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
