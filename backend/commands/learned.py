"""The learned versions, label packs and their lanes."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from typing import Any

from backend import api
from backend.commands.speaking import as_json, exactly, names_in, progress, project
from backend.errors import BadInputError

_OF_PEOPLE = ("trust", "taught_trust")


def versions(args: Namespace) -> dict[str, Any]:
    """The learned versions: list, compare, go back, take one home."""
    with project(args) as workbench:
        match args.action:
            case "list":
                exactly(args.values, 0, "versions PROJECT list")
            case "diff":
                one, other = exactly(args.values, 2, "versions PROJECT diff A B")
                changes = workbench.packs.compare(_number(one), _number(other))
                return {"changed": [as_json(change) for change in changes]}
            case "revert":
                (number,) = exactly(args.values, 1, "versions PROJECT revert N")
                workbench.packs.revert(_number(number))
            case "export":
                number, dest = exactly(args.values, 2, "versions PROJECT export N FILE")
                path = workbench.packs.export_version(_number(number), dest)
                return {"file": str(path)}
        return {
            "version": workbench.version,
            "versions": [_without_people(as_json(step)) for step in workbench.versions()],
        }


def _without_people(step: dict[str, Any]) -> dict[str, Any]:
    """A step without whom it trusts how far: `agreement` tells that, beside who agrees."""
    detail = {name: told for name, told in step["detail"].items() if name not in _OF_PEOPLE}
    return {**step, "detail": detail}


def _number(text: str) -> int:
    if not text.isdigit():
        raise BadInputError(f"a version is a number, not {text!r}; see `versions PROJECT list`")
    return int(text)


def packs(args: Namespace) -> dict[str, Any]:
    """Label packs and their lanes."""
    with project(args) as workbench:
        done = _change_packs(workbench, args.action, args.values)
        if done is not None:
            return done
        return {
            "lanes": workbench.live.room.refusal
            or ("paused" if workbench.packs.is_paused else "on"),
            "packs": [as_json(pack) for pack in workbench.packs.list()],
        }


def _change_packs(
    workbench: api.Workbench, action: str, values: Sequence[str]
) -> dict[str, Any] | None:
    """What one action gives back; None where the list of packs is the answer."""
    told = f"packs PROJECT {action}"
    its = workbench.packs
    match action:
        case "teach":
            (pack,) = exactly(values, 1, f"{told} PACK")
            return as_json(its.teach(pack, progress=progress))
        case "import":
            file, *into = exactly(values, 2 if len(values) == 2 else 1, f"{told} FILE [PACK]")
            return as_json(its.take(file, pack="".join(into)))
        case "export":
            pack, file = exactly(values, 2, f"{told} PACK FILE")
            return {"file": str(its.export(pack, file))}
        case "list":
            exactly(values, 0, told)
        case "curve":
            exactly(values, 0, told)
            return {"curve": [as_json(point) for point in its.curve()]}
        case "move":
            names, pack = exactly(values, 2, f"{told} LABEL,LABEL PACK")
            its.move(names_in(names), pack)
        case "rename":
            its.rename(*exactly(values, 2, f"{told} PACK NEW"))
        case "mute" | "unmute":
            its.mute(exactly(values, 1, f"{told} PACK")[0], action == "mute")
        case "remove":
            its.remove(exactly(values, 1, f"{told} PACK")[0])
        case "drop":
            its.drop(exactly(values, 1, f"{told} PACK")[0])
        case "pause" | "resume":
            exactly(values, 0, told)
            its.pause(action == "pause")
    return None
