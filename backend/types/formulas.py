"""Formulas over labels, saved slices and free words: what `cat & ~dog` is once it was read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class Named:
    """The label of this name is there."""

    label: str


@dataclass(frozen=True)
class Inside:
    """The sample is in the saved slice of this name, or among what is selected."""

    slice: str


@dataclass(frozen=True)
class Worded:
    """What these words say is there, though no label is called so."""

    words: str


@dataclass(frozen=True)
class Negation:
    """The formula does not hold."""

    of: Formula


@dataclass(frozen=True)
class Every:
    """All of these hold; two or more."""

    of: tuple[Formula, ...]


@dataclass(frozen=True)
class Either:
    """At least one of these holds; two or more."""

    of: tuple[Formula, ...]


Atom: TypeAlias = Named | Inside | Worded
Formula: TypeAlias = Atom | Negation | Every | Either


def atoms_of(formula: Formula) -> list[Atom]:
    """What is asked of a sample, each once, in the order in which it is written."""
    found: dict[Atom, None] = {}
    rest = [formula]
    while rest:
        match rest.pop():
            case Named() | Inside() | Worded() as atom:
                found[atom] = None
            case Negation(inner):
                rest.append(inner)
            case Every(parts) | Either(parts):
                rest.extend(reversed(parts))
    return list(found)
