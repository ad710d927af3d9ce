"""The key of a label on a keyboard: one character that the pages do not use themselves."""

from __future__ import annotations

from collections.abc import Iterable

from backend.errors import BadInputError
from backend.store.naming import shown
from backend.types import Label

PAGE_KEYS = "unefgclhpb0./?+-="
"""Keys of the Label page and of every page; the pages have the same list (page_keys.js)."""


def clean_key(key: str) -> str:
    """The key as it is kept: lower case, without blanks around it; "" for none.

    Raises:
        BadInputError: it is several characters, or the pages use it.
    """
    one = key.strip().lower()
    if len(one) > 1 or not one.isprintable():
        raise BadInputError(f"the key {shown(key)} is not one character that can be typed")
    if one and one in PAGE_KEYS:
        raise BadInputError(
            f"the key {shown(one)} belongs to the pages; choose another letter or a digit"
        )
    return one


def check_free(key: str, label: Label, labels: Iterable[Label]) -> None:
    """Refuse a key that another label has.

    Raises:
        BadInputError: with the name of that label.
    """
    for other in labels:
        if key and other.key == key and other.id != label.id:
            raise BadInputError(f"the key {shown(key)} belongs to {shown(other.name)}")
