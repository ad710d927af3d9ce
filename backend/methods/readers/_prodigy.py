"""Rows of an annotation tool that keeps each answer: accepted, rejected or passed over.

Source: formats.md 4.6. Only what was accepted carries labels. What a rejected or ignored row shows
(its label, its options, its spans) was a question, and its labels are named as not taken; that it
was rejected stays in the metadata. Accepted options are present, and those that nobody chose stay
unknown unless the import says that what is unlisted is absent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from backend.methods.readers._drafts import listed
from backend.methods.readers._paths import shown

ACCEPTED = "accept"
_ANSWERS = (ACCEPTED, "reject", "ignore")
_ASKED = ("label", "labels", "accept", "spans")
"""What of a row is a label only once it was accepted."""
_MOST_NAMED = 5


class Plain(NamedTuple):
    """A row in the form that other rows have, and what of it is not taken."""

    fields: Mapping[str, object]
    notes: tuple[str, ...] = ()


def plain(fields: Mapping[str, object]) -> Plain:
    """The row as if it held accepted labels only; rows of other tools as they are.

    An `answer` of any other words is a field of its own, as in sets of questions and answers.
    """
    answer = fields.get("answer")
    is_choice = isinstance(fields.get("accept"), list) and "options" in fields
    if not (isinstance(answer, str) and answer in _ANSWERS) and not is_choice:
        return Plain(fields)
    asked = {key: fields[key] for key in (*_ASKED, "options") if key in fields}
    rest = {key: value for key, value in fields.items() if key not in (*asked, "answer")}
    for theirs, ours in (("_annotator_id", "who"), ("_timestamp", "when")):
        if theirs in rest and ours not in rest:
            rest[ours] = rest.pop(theirs)
    if answer != ACCEPTED:
        # As they are shown: what a row holds in place of a name may be any JSON value.
        named = list(dict.fromkeys(shown(name) for name in _asked(asked)))
        if answer is not None:
            rest["answer"] = answer
        if not named:
            return Plain(rest)
        names = ", ".join(named[:_MOST_NAMED])
        more = f" and {len(named) - _MOST_NAMED} more" if len(named) > _MOST_NAMED else ""
        told = "it has no answer" if answer is None else f"its answer is {answer}"
        return Plain(rest, (f"{told}, so these labels of it are not taken: {names}{more}",))
    notes: list[str] = []
    labels = [*listed(asked.get("labels")), *listed(asked.get("label"))]
    if "accept" in asked:
        labels += _chosen(asked, notes)
    if labels or "accept" in asked or "label" in asked or "labels" in asked:
        rest["labels"] = asked["labels"] if isinstance(asked.get("labels"), Mapping) else labels
    if "spans" in asked:
        rest["spans"] = asked["spans"]
    return Plain(rest, tuple(notes))


def _chosen(asked: Mapping[str, object], notes: list[str]) -> Iterator[object]:
    """Names of the accepted options: their ids, or what they say where an id is a number."""
    texts = {
        str(option["id"]): option.get("text")
        for option in listed(asked.get("options"))
        if isinstance(option, Mapping) and "id" in option
    }
    for chosen in listed(asked["accept"]):
        is_number = isinstance(chosen, int) or (isinstance(chosen, str) and chosen.isdecimal())
        text = texts.get(str(chosen))
        if texts and str(chosen) not in texts:
            notes.append(f"the accepted {shown(chosen)} is none of its options")
        elif is_number and isinstance(text, str) and text.strip():
            yield text.strip()
        else:
            yield chosen


def _asked(asked: Mapping[str, object]) -> Iterator[object]:
    """Labels that a row shows, whether they were accepted or not."""
    yield from (one for one in listed(asked.get("label")) if isinstance(one, str))
    labels = asked.get("labels")
    yield from (one for one in listed(labels) if isinstance(one, str))
    yield from labels if isinstance(labels, Mapping) else ()
    yield from _chosen({"accept": [], **asked}, [])
    for span in listed(asked.get("spans")):
        if isinstance(span, Mapping) and isinstance(span.get("label"), str):
            yield span["label"]
