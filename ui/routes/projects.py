"""Projects and their labels: list, make, remove, edit."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from backend import api
from ui.context import Context

NAME_CHARACTERS = 100
MAX_LABELS = 100_000

Name = Annotated[str, Field(min_length=1, max_length=NAME_CHARACTERS)]
LabelId = int


class NewProject(BaseModel):
    """What a new project is."""

    name: Name
    kind: api.Kind
    labels: Annotated[list[str], Field(max_length=MAX_LABELS)] = []
    encoder: Annotated[str, Field(max_length=100)] | None = None


class OtherEncoder(BaseModel):
    """Which encoder reads the samples from now on; the same one again reads them anew."""

    encoder: Annotated[str, Field(max_length=100)]


class OneEdit(BaseModel):
    """A change of labels; the same `op` again is the same action, and undo takes it back by it."""

    op: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{8,64}$")] | None = None


class AddLabels(OneEdit):
    """New labels by name."""

    action: Literal["add"]
    names: Annotated[list[str], Field(min_length=1, max_length=MAX_LABELS)]
    pack: Annotated[str, Field(min_length=1, max_length=200)] = "main"


class RenameLabel(OneEdit):
    """Another name for a label."""

    action: Literal["rename"]
    label: LabelId
    name: str


class MergeLabels(OneEdit):
    """All verdicts of a label go to another one."""

    action: Literal["merge"]
    label: LabelId
    into: LabelId


class DescribeLabel(OneEdit):
    """What a label means, and how it is shown and typed; None leaves a field as it is."""

    action: Literal["describe"]
    label: LabelId
    definition: str | None = None
    aliases: list[str] | None = None
    colour: Annotated[str, Field(pattern=r"^(#[0-9a-fA-F]{6})?$")] | None = None
    key: Annotated[str, Field(max_length=1)] | None = None


class ParentLabel(OneEdit):
    """Where a label stands in the hierarchy; None is the top."""

    action: Literal["parent"]
    label: LabelId
    parent: LabelId | None = None


class RemoveLabel(OneEdit):
    """A label goes, with its verdicts; undo brings both back."""

    action: Literal["remove"]
    label: LabelId


LabelEdit = Annotated[
    AddLabels | RenameLabel | MergeLabels | DescribeLabel | ParentLabel | RemoveLabel,
    Field(discriminator="action"),
]


def router(context: Context) -> APIRouter:
    """The routes of projects and labels."""
    routes = APIRouter(prefix="/pl/api")

    @routes.get("/shell")
    def shell(request: Request) -> dict[str, object]:
        return _shell(context, request)

    @routes.get("/projects")
    def projects() -> list[dict[str, object]]:
        return [{**_row(info), "bytes": context.sizes.of(info.path)} for info in context.projects()]

    @routes.post("/projects")
    def create(new: NewProject) -> dict[str, object]:
        context.writable()
        name = plain_name(new.name)
        if new.encoder:
            _check_encoder(new.encoder)
        bench = api.create_project(
            name,
            labels=clean_labels(new.labels),
            kind=new.kind,
            encoder=new.encoder,
            settings=context.settings,
            learns=True,
        )
        context.adopt(bench)
        return _row(bench.info())

    @routes.post("/encoder")
    def encoder(wanted: OtherEncoder, request: Request) -> dict[str, str]:
        context.writable()
        bench = context.of(request)
        if wanted.encoder != bench.encoder_id:
            _check_encoder(wanted.encoder)
        return {"job": bench.change_encoder_soon(wanted.encoder)}

    @routes.get("/labels")
    def labels(request: Request) -> list[dict[str, object]]:
        return _labels(context.of(request))

    @routes.post("/labels")
    def edit(change: LabelEdit, request: Request) -> list[dict[str, object]]:
        context.writable()
        bench = context.of(request)
        _edit(bench, change, context.user(request))
        return _labels(bench)

    return routes


def _check_encoder(encoder: str) -> None:
    """Refuse all but those that are installed: others may name a file of the server.

    Raises:
        BadInputError: it is another one.
    """
    if encoder not in api.OFFLINE_ENCODERS:
        raise api.BadInputError(
            f"choose one of the encoders {', '.join(api.OFFLINE_ENCODERS)}; "
            "others are named with `patchlane new --encoder`"
        )


def plain_name(name: str) -> str:
    """A project's name as a request may give it: never a path.

    Raises:
        BadInputError: it holds a slash, a leading dot or characters that cannot be seen.
    """
    name = name.strip()
    if not name or "/" in name or "\\" in name or name.startswith(".") or not name.isprintable():
        raise api.BadInputError(
            f"{name!r} cannot be a project's name; use letters, digits, blanks and - _"
        )
    return name


def clean_labels(names: list[str]) -> list[str]:
    """Names without blanks around them, each once, in the order they came."""
    return list(dict.fromkeys(name.strip() for name in names if name.strip()))


def _shell(context: Context, request: Request) -> dict[str, object]:
    """What the bar shows; without a project only what is known of the server."""
    user = context.user(request)
    limits = context.settings.limits
    told: dict[str, object] = {
        "app": api.__version__,
        "user": user if context.accounts is not None else None,
        "readOnly": context.is_read_only,
        "canMake": not context.is_read_only,
        "canNamePaths": context.is_local,
        "limits": {"upload": limits.upload_bytes, "label": limits.label_characters},
        "projects": [_row(info) for info in context.projects()],
        "encoders": {name: api.kind_of_encoder(name) for name in api.OFFLINE_ENCODERS},
        "project": None,
    }
    if context.project_name(request.query_params.get("project")) is None:
        return told
    bench = context.of(request)
    if "opened" in request.query_params:
        context.note_opened(bench)
    newest = bench.store.versions.latest()
    return {
        **told,
        "readOnly": context.only_reads(bench),
        "project": {
            **_row(bench.info()),
            "encoded": bench.num_encoded,
            "encoder": bench.encoder_id,
            "takesAny": bench.takes_any_kind,
            "begun": bench.store.begun,
        },
        "learned": {"when": newest.when, "offset": newest.offset} if newest else None,
    }


def _row(info: api.ProjectInfo) -> dict[str, object]:
    return {
        "name": info.name,
        "kind": info.kind.value,
        "samples": info.samples,
        "labels": info.labels,
        "verdicts": info.verdicts,
        "version": info.version,
        "modified": info.modified,
        "uid": info.uid,
    }


def _labels(bench: api.Workbench) -> list[dict[str, object]]:
    counts: Counter[tuple[int, str]] = Counter()
    for verdicts in bench.verdicts().values():
        counts.update((label, verdict.value) for label, verdict in verdicts.items())
    return [
        {
            "id": label.id,
            "name": label.name,
            "pack": label.pack,
            "definition": label.definition,
            "aliases": list(label.aliases),
            "parent": label.parent,
            "colour": label.colour,
            "key": label.key,
            "yes": counts[label.id, "yes"],
            "no": counts[label.id, "no"],
            "unsure": counts[label.id, "unsure"],
        }
        for label in bench.store.labels()  # also those that cannot be scored now
    ]


def _edit(bench: api.Workbench, change: LabelEdit, who: str) -> None:
    op = change.op
    match change:
        case AddLabels(names=names, pack=pack):
            bench.add_labels(clean_labels(names), pack=pack, who=who, op=op)
        case RenameLabel(label=label, name=name):
            bench.rename_label(label, name.strip(), who=who, op=op)
        case MergeLabels(label=label, into=into):
            bench.merge_labels(label, into, who=who, op=op)
        case DescribeLabel(label=label):
            fields = change.model_dump(exclude={"action", "label", "op"}, exclude_none=True)
            if "aliases" in fields:
                fields["aliases"] = tuple(clean_labels(fields["aliases"]))
            bench.describe_label(label, who=who, op=op, **fields)
        case ParentLabel(label=label, parent=parent):
            bench.set_parent(label, parent, who=who, op=op)
        case RemoveLabel(label=label):
            bench.remove_label(label, who=who, op=op)
