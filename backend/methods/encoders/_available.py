"""Which encoders need no download, said with every one that cannot be had."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from backend.errors import PatchlaneError
from backend.types import Kind

PACKAGED = {
    Kind.IMAGE: ("embedded",),
    Kind.TEXT: ("sentence:minilm", "words", "sentence:minilm+words"),
}
"""Encoders whose weights come as packages."""


def with_available(reason: str, names: Sequence[str]) -> str:
    """A sentence on an encoder that cannot be had, and those that can."""
    return f"{reason}; available offline: {', '.join(names)}"


@contextmanager
def telling_what_there_is(kind: Kind, more: Callable[[], Sequence[str]] = tuple) -> Iterator[None]:
    """Let every refusal in the block end with the encoders that need no download.

    Args:
        kind: of the samples; an encoder of the other kind would be no help.
        more: gives those that are on this machine beside the packaged ones.
    """
    try:
        yield
    except PatchlaneError as error:
        told = with_available(str(error), [*PACKAGED[kind], *more()])
        raise type(error)(told) from error
