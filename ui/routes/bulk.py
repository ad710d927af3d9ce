"""What a selection shares, verdicts on all of it at once, and removing it: one action, one undo."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from backend import api
from ui.census import CODES, Census
from ui.context import Context
from ui.desk import Desk
from ui.routes.points import LabelCount, label_counts

MOST_IDS = 100_000
MOST_PAIRS = 500_000

Id = Annotated[int, Field(ge=0, lt=2**53)]


class Chosen(BaseModel):
    """Samples that belong to a selection."""

    model_config = ConfigDict(extra="forbid")
    ids: list[Id] = Field(min_length=1, max_length=MOST_IDS)


class Bulk(BaseModel):
    """One verdict on labels of many samples.

    Attributes:
        verdict: None takes verdicts back.
        op: an id of the action; the same one again is answered, not stored again.
        replace: also change verdicts that say otherwise now.
    """

    model_config = ConfigDict(extra="forbid")
    ids: list[Id] = Field(min_length=1, max_length=MOST_IDS)
    labels: list[Id] = Field(min_length=1, max_length=100)
    verdict: api.Verdict | None
    op: str = Field(min_length=8, max_length=64, pattern=r"^[\w-]+$")
    replace: bool = True
    seen_version: int | None = None


class Removal(BaseModel):
    """Samples to remove; `op` as in `Bulk`."""

    model_config = ConfigDict(extra="forbid")
    ids: list[Id] = Field(min_length=1, max_length=MOST_IDS)
    op: str = Field(min_length=8, max_length=64, pattern=r"^[\w-]+$")


class SharedLabel(LabelCount):
    """A label within a selection; `mean` is the model's mean probability, None where unknown."""

    mean: float | None


class Shared(BaseModel):
    """What selected samples have in common, the commonest label first.

    Attributes:
        slices: saved slice -> how many of the samples are in it; those without any left out.
    """

    count: int
    labels: list[SharedLabel]
    slices: dict[str, int]


class Done(BaseModel):
    """Said after the commit, in numbers of verdicts."""

    op: str
    offset: int
    changed: int
    contradicted: int
    unchanged: int


class Removed(BaseModel):
    """Said after the commit."""

    op: str
    removed: int


def shared(bench: api.Workbench, census: Census, ids: list[int]) -> Shared:
    """Verdicts and mean probability of each label over the samples."""
    rows = census.rows(ids)
    there = [int(i) for i in census.ids[rows]]
    inside = {name: len(held.intersection(there)) for name, held in bench.saved_slices().items()}
    slices = {name: number for name, number in inside.items() if number}
    if not there or not census.labels:
        return Shared(count=len(there), labels=[], slices=slices)
    chances = bench.chances(there)
    known = ~np.isnan(chances)
    is_known = [bool(known[:, column].any()) for column in range(known.shape[1])]
    means = np.where(known, chances, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    labels = [
        SharedLabel(**count.model_dump(), mean=float(mean) if some else None)
        for count, mean, some in zip(label_counts(census, rows), means, is_known, strict=True)
    ]
    n = len(there)
    labels.sort(key=lambda label: (-(label.yes / n + (label.mean or 0.0)), label.name))
    return Shared(count=n, labels=labels, slices=slices)


def plan(census: Census, order: Bulk) -> tuple[list[dict[str, object]], int, int]:
    """The rows to store, how many of them contradict a verdict, and how many stay as they are.

    Raises:
        NotFoundError: a sample or label is not there (any more).
        BadInputError: more pairs than one action may hold.
    """
    pairs = len(order.ids) * len(order.labels)
    if pairs > MOST_PAIRS:
        raise api.BadInputError(
            f"{pairs:,} verdicts at once are too many; select fewer samples or labels "
            f"(at most {MOST_PAIRS:,})"
        )
    ids = list(dict.fromkeys(order.ids))
    rows = census.rows(ids)
    if len(rows) != len(ids):
        raise api.NotFoundError(
            f"{len(ids) - len(rows)} of the selected samples are not there any more; reload"
        )
    column_of = {label.id: column for column, label in enumerate(census.labels)}
    wanted = CODES[order.verdict]
    out: list[dict[str, object]] = []
    contradicted = unchanged = 0
    for label in dict.fromkeys(order.labels):
        if label not in column_of:
            raise api.NotFoundError(f"the label {label} is not there any more; reload the page")
        now = census.table[rows, column_of[label]]
        against = (now != wanted) & (now != CODES[None])
        changes = (now != wanted) & (order.replace | ~against)
        contradicted += int((against & changes).sum())
        unchanged += int((~changes).sum())
        out += [
            {"sample": ids[at], "label": label, "verdict": order.verdict}
            for at in np.flatnonzero(changes)
        ]
    return out, contradicted, unchanged


def repeated(bench: api.Workbench, order: Bulk, who: str) -> Done | None:
    """What was answered the first time, where the same action came before; else None.

    Raises:
        BadInputError: the id is that of another action.
    """
    known = bench.stored(order.op, who=who)
    if known is None:
        return None
    receipt, before = known
    pairs = len(set(order.ids)) * len(set(order.labels))
    return Done(
        op=receipt.op,
        offset=receipt.offset,
        changed=len(receipt.pairs),
        contradicted=sum(verdict != order.verdict for verdict in before.values()),
        unchanged=max(0, pairs - len(receipt.pairs)),
    )


def router(context: Context) -> APIRouter:
    """The routes, for one server."""
    desk = Desk(context)
    routes = APIRouter(prefix="/pl/api")

    @routes.post("/selection")
    def selection(request: Request, chosen: Chosen) -> Shared:
        """What the samples share; also all that a forecast of a bulk verdict needs."""
        bench = desk.bench(request)
        return shared(bench, desk.census(bench, desk.eyes(request)), chosen.ids)

    @routes.post("/bulk")
    def bulk(request: Request, order: Bulk) -> Done:
        """Store one verdict on all pairs, durably, as one action."""
        context.writable()
        bench, who = desk.bench(request), context.user(request)
        if (done := repeated(bench, order, who)) is not None:
            return done
        rows, contradicted, unchanged = plan(desk.census(bench, desk.eyes(request)), order)
        if not rows:
            return Done(op="", offset=bench.offset, changed=0, contradicted=0, unchanged=unchanged)
        receipt = bench.correct(rows, who=who, op=order.op, seen_version=order.seen_version)
        return Done(
            op=receipt.op,
            offset=receipt.offset,
            changed=len(receipt.pairs),
            contradicted=contradicted,
            unchanged=unchanged,
        )

    @routes.post("/remove")
    def remove(request: Request, order: Removal) -> Removed:
        """Remove samples as one action; its undo brings them back with their verdicts."""
        context.writable()
        bench = desk.bench(request)
        receipt = bench.remove_samples(order.ids, who=context.user(request), op=order.op)
        return Removed(op=receipt.op, removed=len(set(order.ids)))

    return routes
