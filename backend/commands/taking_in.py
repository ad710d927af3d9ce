"""Make projects, bring things in, edit labels, remove, take back, take home."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

from backend import api
from backend.commands.speaking import as_json, exactly, names_in, progress, project, say
from backend.errors import BadInputError, NotFoundError
from backend.intake import preview


def new(args: Namespace) -> dict[str, Any]:
    """Make a project; with `--from` bring its samples in at once, or make none if none can be."""
    settings = api.Settings.from_environ()
    labels = names_in(args.labels)
    kind = None
    if args.source and not args.encoder:
        kind = _kind_of(Path(args.source), settings)
    workbench = api.create_project(
        args.project, labels=labels, kind=kind, encoder=args.encoder, recipe=args.recipe
    )
    is_wanted = True
    try:
        result: dict[str, Any] = {"project": workbench.name, "path": str(workbench.path)}
        if args.source:
            report = workbench.add(args.source, progress=progress, create_labels=not labels)
            result["import"] = as_json(report)
            if failed := _status(report, "nothing came in and no project was made"):
                is_wanted = False
                return {"import": result["import"], **failed}
        info = workbench.info()
        return {**result, "kind": info.kind, "encoder": info.encoder, "samples": info.samples}
    except BaseException:
        is_wanted = workbench.store.count() > 0  # what came in before it was stopped
        raise
    finally:
        if is_wanted:
            workbench.close()
        else:
            workbench.discard()


def _kind_of(path: Path, settings: api.Settings) -> api.Kind | None:
    return preview(path, settings=settings).kind


def import_(args: Namespace) -> dict[str, Any]:
    """Bring samples, labels and verdicts in."""
    with project(args) as workbench:
        report = workbench.add(
            args.path,
            format=str({"csv": "csv_table"}.get(args.format, args.format)),
            link=args.link,
            on_conflict=args.on_conflict,
            unlisted=args.unlisted,
            create_labels=args.create_labels,
            follow_links=args.follow_links,
            progress=progress,
        )
        return as_json(report) | _status(report)


def _status(report: api.ImportReport, told: str = "nothing came in") -> dict[str, int]:
    """Exit 1, with a sentence, where nothing of what was brought could be taken."""
    if report.matched or report.annotations or not report.errors:
        return {}
    first = report.errors[0]
    say(f"patchlane: {told}; {first.file}: {first.reason}")
    return {"exit": 1}


def encode(args: Namespace) -> dict[str, Any]:
    """Compute missing vectors, or change the encoder; every verdict is kept."""
    with project(args) as workbench:
        if args.encoder and args.encoder != workbench.encoder_id:
            count = workbench.change_encoder(args.encoder, progress=progress)
        else:
            count = workbench.encode(progress=progress)
        board = workbench.board
        left = [one.name for one, ok in zip(board.samples, board.encoded, strict=True) if not ok]
        if left:
            shown = ", ".join(left[:3]) + (", ..." if len(left) > 3 else "")
            say(f"patchlane: {len(left)} of {len(board.samples)} samples cannot be read: {shown}")
        return {"encoded": count, "unreadable": len(left), "encoder": workbench.encoder_id}


def labels(args: Namespace) -> dict[str, Any]:
    """List or edit labels."""
    with project(args) as workbench:
        if args.action == "list":
            exactly(args.values, 0, "labels PROJECT list")
        elif args.action == "add":
            names = [name for given in args.values for name in names_in(given)]
            if not names:
                raise BadInputError("say: patchlane labels PROJECT add FILE|a,b,c")
            workbench.add_labels(names, pack=args.pack)
        elif args.action == "rename":
            old, name = exactly(args.values, 2, "labels PROJECT rename OLD NEW")
            workbench.rename_label(old, name)
        elif args.action == "merge":
            source, into = exactly(args.values, 2, "labels PROJECT merge SOURCE INTO")
            workbench.merge_labels(source, into)
        elif args.action == "describe":
            label, definition = exactly(args.values, 2, "labels PROJECT describe LABEL TEXT")
            workbench.describe_label(label, definition=definition)
        elif args.action == "parent":
            label, parent = exactly(args.values, 2, "labels PROJECT parent LABEL PARENT")
            workbench.set_parent(label, parent)
        elif args.action == "threshold":
            usage = "labels PROJECT threshold LABEL 0..1|none"
            label, value = exactly(args.values, 2, usage)
            _set_threshold(workbench, label, value)
        elif args.action == "remove":
            workbench.remove_label(*exactly(args.values, 1, "labels PROJECT remove LABEL"))
        thresholds = workbench.evaluator.thresholds()
        return {
            "labels": [
                as_json(label) | {"threshold": thresholds.get(label.id)}
                for label in workbench.labels()
            ]
        }


def _set_threshold(workbench: api.Workbench, label: str, value: str) -> None:
    try:
        limit = None if value == "none" else float(value)
    except ValueError:
        raise BadInputError(f"a threshold is a number from 0 to 1 or none, not {value!r}") from None
    workbench.evaluator.set_thresholds({workbench.label(label).id: limit})


def remove(args: Namespace) -> dict[str, Any]:
    """Remove samples; `undo` brings them back with their verdicts, until `compact`."""
    with project(args) as workbench:
        receipt = workbench.remove_samples(args.samples, who=args.who)
        return {"removed": len(set(args.samples)), "op": receipt.op}


def undo(args: Namespace) -> dict[str, Any]:
    """Take the newest action of a person back, or a named one; naming an undo brings it back."""
    with project(args) as workbench:
        receipt = workbench.undo(args.who, op=args.op)
        if receipt is None:
            raise NotFoundError(f"there is nothing of {args.who!r} to take back")
        return {"op": receipt.op, "action": as_json(workbench.store.deed(receipt.op))}


def compact(args: Namespace) -> dict[str, Any]:
    """Forget for good what was removed."""
    with project(args) as workbench:
        return as_json(workbench.compact())


def projects(args: Namespace) -> dict[str, Any]:
    """The projects of the home, and those that were removed."""
    if args.action != "list" and args.name is None:
        raise BadInputError(f"say: patchlane projects {args.action} NAME")
    match args.action:
        case "remove":
            api.remove_project(args.name)
        case "restore":
            api.restore_project(args.name)
        case "delete":
            api.delete_project(args.name)
    return {
        "projects": [as_json(info) for info in api.list_projects()],
        "removed": [as_json(one) for one in api.removed_projects()],
    }


def export(args: Namespace) -> dict[str, Any]:
    """Write the project in another format."""
    with project(args) as workbench:
        report = workbench.export(args.dest, args.format, media=args.media, split=args.split)
        return as_json(report)
