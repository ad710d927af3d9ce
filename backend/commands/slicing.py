"""Saved slices: named sets of samples, made from names, filters or a formula."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from backend import api
from backend.commands.speaking import project
from backend.errors import BadInputError


def slices(args: Namespace) -> dict[str, Any]:
    """List, save into, take from or remove saved slices."""
    with project(args) as workbench:
        if args.action != "list":
            if args.name is None:
                raise BadInputError(f"say: patchlane slices PROJECT {args.action} NAME ...")
            _change(workbench, args)
        elif args.name is not None:
            raise BadInputError("say: patchlane slices PROJECT list")
        found = workbench.saved_slices().items()
        return {"slices": [{"slice": name, "samples": len(ids)} for name, ids in found]}


def _change(workbench: api.Workbench, args: Namespace) -> None:
    match args.action:
        case "save":
            workbench.save_slice(args.name, _meant(workbench, args), who=args.who)
        case "take":
            workbench.take_from_slice(args.name, _meant(workbench, args), who=args.who)
        case _:
            if args.samples or args.filter or args.query:
                raise BadInputError(
                    f"remove forgets the slice {args.name!r} as a whole; to take samples out of "
                    "it say take"
                )
            workbench.remove_slice(args.name, who=args.who)


def _meant(workbench: api.Workbench, args: Namespace) -> list[int | str]:
    """The samples that were named, or that a filter or formula finds."""
    given = [bool(args.samples), bool(args.filter), args.query is not None]
    if sum(given) != 1:
        raise BadInputError("say which samples: by name, or by --filter, or by --query")
    found: list[int | str]
    if args.filter:
        found = workbench.evaluator.matching(workbench.evaluator.conditions(args.filter)).tolist()
    elif args.query is not None:
        found = [hit.sample for hit in workbench.search(query=args.query, k=args.k)]
    else:
        return args.samples
    if not found:
        raise BadInputError("no sample is like that; nothing was changed")
    return found
