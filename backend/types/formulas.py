"""Formulas over labels: what `cat & ~dog` is once it was read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class Named:
    """The label of this name is there."""

    label: str


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


Formula: TypeAlias = Named | Negation | Every | Either


def labels_of(formula: Formula) -> list[str]:
    """The labels that occur, each once, in the order in which they are written."""
    found: dict[str, None] = {}
    rest = [formula]
    while rest:
        match rest.pop():
            case Named(label):
                found[label] = None
            case Negation(inner):
                rest.append(inner)
            case Every(parts) | Either(parts):
                rest.extend(reversed(parts))
    return list(found)
