"""What can go wrong, said to a person.

Every error here carries one sentence that names the thing and says what to do. Whatever is not a
`PatchlaneError` is a fault of ours and travels up untouched.
"""

from __future__ import annotations

import re

_COMMANDING = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""Characters that command a terminal, break a line or turn the direction of what follows."""


def readable(text: str) -> str:
    """A line for a terminal: names and texts that others wrote command nothing there."""
    return _COMMANDING.sub(lambda found: ascii(found[0])[1:-1], text)


class PatchlaneError(Exception):
    """Something a person can mend; `str(error)` is the sentence to show them."""


class NotFoundError(PatchlaneError):
    """A project, sample, label, version or method with that name does not exist."""


class BadInputError(PatchlaneError):
    """A file or value cannot be taken; the sentence names it and the reason."""


class RefusedError(PatchlaneError):
    """A file or request is refused for safety: traversal, links, limits, missing rights."""


class SaveError(PatchlaneError):
    """Nothing was saved: full disk, read-only folder, lost database."""


class BusyError(PatchlaneError):
    """Another process holds what this call needs; try again when it is done."""


class OfflineError(PatchlaneError):
    """Something would have to be downloaded and downloads were not asked for or cannot be had."""


class MissingTruthError(PatchlaneError):
    """There are no verdicts to evaluate or calibrate against yet."""
