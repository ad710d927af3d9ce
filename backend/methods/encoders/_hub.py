"""Keep the model hub's library from the network, and say why the network gave nothing."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator
from urllib.error import URLError

from huggingface_hub import constants
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

_FETCHING: tuple[type[BaseException], ...] = (
    HfHubHTTPError.__bases__[0],  # of every error of the HTTP library that the hub's library uses
    *(HFValidationError, LocalEntryNotFoundError, URLError),
    *(ConnectionError, TimeoutError, socket.gaierror, ssl.SSLError),
)
"""What is raised where something was to be fetched and did not come."""
_HIDDEN = (401, 403, 404)


@contextlib.contextmanager
def no_downloads() -> Iterator[None]:
    """Make the hub's library answer from its cache only; it reads this when it is asked."""
    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def why_not_fetched(error: BaseException) -> str:
    """Why something could not be downloaded; "" of an error that is about something else.

    Each library wraps what happened in errors of its own, some of which say that a file is missing
    or that weights are wrong: the innermost one tells.
    """
    chain = list(_chain(error))
    while chain and not isinstance(chain[0], _FETCHING):
        del chain[0]
    if not chain:
        return ""
    for one in chain:
        status = getattr(getattr(one, "response", None), "status_code", getattr(one, "code", None))
        if isinstance(status, int):
            hidden = ", it is not there or not public" if status in _HIDDEN else ""
            return f"the server answered {status}{hidden}"
    return one_line(chain[-1])


def one_line(error: BaseException) -> str:
    """What an error says, as a part of a sentence."""
    return " ".join(str(error).split())[:200].rstrip(". ") or type(error).__name__


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
