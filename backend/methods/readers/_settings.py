"""What every reader can be told."""

from __future__ import annotations

from dataclasses import dataclass, field

from backend.settings import Limits


@dataclass(frozen=True)
class ReaderSettings:
    """Choices that all readers share.

    Attributes:
        limits: the most that is taken from outside.
        is_following_links: take what links below the imported folder point to.
        is_decoding: decode each picture to find broken ones; False checks the first bytes only,
            for callers that decode anyway, so that a picture is decoded once.
    """

    limits: Limits = field(default_factory=Limits)
    is_following_links: bool = False
    is_decoding: bool = True
