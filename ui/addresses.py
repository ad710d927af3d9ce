"""Which sample an address means.

Pages write ids into addresses, and a bookmark or a page that is open elsewhere must never lead to
another sample because that one is called like an id. So a number after `sample=` is an id and
nothing else, whatever samples are called; `name=` is for people and programs that know a name.
"""

from __future__ import annotations

from backend import api


def sample_at(bench: api.Workbench, sample: str, name: str = "") -> api.Sample:
    """The sample that an address names.

    Args:
        bench: the project.
        sample: an id if it is a number, else a name.
        name: a name, which may be a number, where `sample` is empty.

    Raises:
        NotFoundError: there is none; says how to ask for one whose name is the number.
        BadInputError: both were said or neither, or several samples have the name.
    """
    if bool(sample) == bool(name):
        raise api.BadInputError("name one sample: ?sample=ID or ?name=NAME")
    if name or not _is_id(sample):
        return bench.sample(name or sample)
    try:
        return bench.sample(int(sample))
    except api.NotFoundError as error:
        if not _is_name(bench, sample):
            raise
        raise api.NotFoundError(
            f"there is no sample with the id {sample}; one is called {sample}, and in an address "
            f"that is name={sample}"
        ) from error


def _is_id(text: str) -> bool:
    # What is longer is no id.
    return text.isascii() and text.isdecimal() and len(text) < 19


def _is_name(bench: api.Workbench, text: str) -> bool:
    try:
        bench.sample(text)
    except api.PatchlaneError:
        return False
    return True
