"""Slices that people save: what there is, put samples in, take them out, forget one."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from backend import api
from ui.context import Context
from ui.routes.bulk import MOST_IDS, Id
from ui.routes.points import slices_counted

NAME_CHARACTERS = 1_000
Op = Annotated[str, Field(min_length=8, max_length=64, pattern=r"^[\w-]+$")]
Name = Annotated[str, Field(max_length=NAME_CHARACTERS)]


class Members(BaseModel):
    """Samples that go into a slice, or out of it; `op` as in `bulk.Bulk`."""

    model_config = ConfigDict(extra="forbid")
    name: Name
    ids: list[Id] = Field(min_length=1, max_length=MOST_IDS)
    op: Op


class Named(BaseModel):
    """A slice to forget; `op` as in `Members`."""

    model_config = ConfigDict(extra="forbid")
    name: Name
    op: Op


class Slices(BaseModel):
    """Said after the commit: the action, and name -> number of samples of all slices."""

    op: str
    slices: dict[str, int]


def router(context: Context) -> APIRouter:
    """The routes, for one server."""
    routes = APIRouter(prefix="/pl/api/slices")

    def said(bench: api.Workbench, receipt: api.Receipt) -> Slices:
        return Slices(op=receipt.op, slices=slices_counted(bench))

    @routes.post("/save")
    def save(request: Request, body: Members) -> Slices:
        """Put samples into a slice, which is made if there is none of that name."""
        context.writable()
        bench, who = context.of(request), context.user(request)
        return said(bench, bench.save_slice(body.name, body.ids, who=who, op=body.op))

    @routes.post("/take")
    def take(request: Request, body: Members) -> Slices:
        """Take samples out of a slice; without the last one it is gone."""
        context.writable()
        bench, who = context.of(request), context.user(request)
        return said(bench, bench.take_from_slice(body.name, body.ids, who=who, op=body.op))

    @routes.post("/remove")
    def remove(request: Request, body: Named) -> Slices:
        """Forget a slice; its samples stay in the project."""
        context.writable()
        bench, who = context.of(request), context.user(request)
        return said(bench, bench.remove_slice(body.name, who=who, op=body.op))

    return routes
