"""The Label page's requests: what to show of a sample, the evidence, and what a person decided.

Every answer is made from one open project in milliseconds and never touches a model directly.
Samples are asked for with their version-dependent ETag, so a sample looked at again costs a 304.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Annotated, Any, Literal, get_args

import numpy as np
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from backend import api
from ui import present
from ui.addresses import sample_at
from ui.context import Context, StalePageError
from ui.replies import fresh

Chosen = Literal[
    "stages",
    "doubt",
    "margin",
    "entropy",
    "width",
    "gradients",
    "centres",
    "part_centres",
    "disagreement",
    "rarity",
    "typicality",
    "random",
    "order",
]
PICKERS: tuple[str, ...] = get_args(Chosen)
"""What a person may choose on the queue; `disagree` only where predictions were imported, `drawer`
where a drawer is open."""

PickerName = Literal[Chosen, "disagree", "drawer"]
NEIGHBOURS = 8
MOST_IDS = 32
"""Samples one refresh may ask for: the one in view and those read ahead."""
MOST_ROWS = 5000
"""Rows of one commit: what a person chose on one sample; what they left alone comes as runs."""
MOST_RUNS = 50_000
"""Runs of label ids in one fill: a hundred thousand labels, every second one decided already."""
WINDOW = 200
"""Samples looked through at a time for the next undecided one, in order."""

Ident = Annotated[int, Field(ge=1, le=2**53)]
Said = Literal["yes", "no", "unsure"] | None
Ids = Annotated[str, Query(max_length=24 * MOST_IDS, pattern=r"^(\d+(,\d+)*)?$")]


class Row(BaseModel):
    """One verdict on (sample, label), where None takes it back; or on one place in the sample.

    With `seen`, what the person saw of the pair, a verdict follows from what they left alone: it
    holds only where they would still see that.

    A `part` is {"box": [x, y, w, h]}, {"polygon": [[x, y], ...]} or {"span": [start, end]}, and
    `here` says whether the label is in it; None takes the mark away. Other marks stay.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    sample: Ident
    label: Ident
    verdict: Said = None
    seen: Said = None
    part: dict[Literal["box", "polygon", "span"], list[float] | list[list[float]]] | None = None
    here: bool | None = None

    @model_validator(mode="after")
    def one_of_both(self) -> Row:
        """Refuse a row that says nothing, or two things."""
        given = self.model_fields_set
        if ("verdict" in given) == ("part" in given) or ("part" in given) != ("here" in given):
            raise ValueError("a row has a verdict, or a part and whether it is here")
        if "seen" in given and "part" in given:
            raise ValueError("what was seen of a pair belongs to a verdict, not to a part")
        return self


class Fill(BaseModel):
    """NO to labels of a sample that the person saw undecided, where nobody has decided since.

    `labels` are runs of ids, [first, last]; in a large vocabulary they are few, the ids many.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    sample: Ident
    labels: list[Annotated[list[Ident], Field(min_length=2, max_length=2)]] = Field(
        min_length=1, max_length=MOST_RUNS
    )


class Commit(BaseModel):
    """One action of a person: all of it or nothing; the same `op` again is the same action.

    A page that says whose action it is, `who`, has it stored for nobody else.
    """

    model_config = ConfigDict(extra="forbid")

    op: str = Field(pattern=r"^[A-Za-z0-9_.-]{8,64}$")
    rows: list[Row] = Field(default=[], max_length=MOST_ROWS)
    fills: list[Fill] = Field(default=[], max_length=1)
    seen_version: int | None = Field(default=None, ge=0)
    who: str | None = Field(default=None, max_length=200)

    @model_validator(mode="after")
    def says_something(self) -> Commit:
        """Refuse an action that is none."""
        if not self.rows and not self.fills:
            raise ValueError("an action has rows or fills")
        return self


class Undo(BaseModel):
    """Which action to take back; without one, the newest of the person who asks.

    The same `request` again is the same undo, so that a lost answer costs nothing. With
    `spares_imports` an import is not taken back without its name: the answer asks for it. One U
    too many, where single verdicts are given, must not make a whole folder of samples go away.
    """

    model_config = ConfigDict(extra="forbid")

    op: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_.:-]{1,64}$")
    request: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_.-]{8,64}$")
    who: str | None = Field(default=None, max_length=200)
    spares_imports: bool = False


class NewLabel(BaseModel):
    """A label made in place."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=1000)
    pack: str = Field(default="main", max_length=200)


def router(context: Context) -> APIRouter:
    """The routes below /pl/api that the Label page uses."""
    routes = APIRouter(prefix="/pl/api")
    _add_looks(routes, context)
    _add_sample(routes, context)
    _add_deeds(routes, context)
    return routes


def _add_looks(routes: APIRouter, context: Context) -> None:
    """The queue, and what is new since a version."""

    @routes.get("/queue")
    def queue(
        request: Request,
        picker: PickerName = "stages",
        k: Annotated[int, Query(ge=1, le=100)] = 24,
        after: Annotated[int, Query(ge=0)] = 0,
    ) -> Response:
        """What to look at next, with the labels and the state of the project."""
        who = context.user(request)
        told = _queue(context.of(request), picker, who=who, k=k, after=after)
        is_alone, read_only = context.accounts is None, context.only_reads(context.of(request))
        return fresh({**told, "user": who, "is_alone": is_alone, "read_only": read_only})

    @routes.get("/forecast")
    def forecast(request: Request) -> Response:
        """What the next answers will probably bring; scores some versions, so it comes alone."""
        return fresh(asdict(context.of(request).forecast()))

    @routes.get("/refresh")
    def refresh(
        request: Request,
        since: Annotated[int, Query(ge=0)],
        ids: Ids = "",
        also: Ids = "",
        known: Annotated[int | None, Query(ge=0)] = None,
        hold: Annotated[float, Query(ge=0, le=1)] = 1.0,
    ) -> Response:
        """Wait up to `hold` seconds for a version after `since`; new suggestions of `ids`.

        A page that knows the log up to `known` gets what is said of `ids` and `also` by now where
        the log is longer, whoever wrote it: `said` holds it by sample id.
        """
        bench, who = context.of(request), context.user(request)
        wanted, others = _numbers(ids), _numbers(also)
        version = bench.refresh(since, timeout=hold)
        offset, said = bench.offset, {}
        if known is not None and offset > known:
            alive = bench.board.row_of
            said = _all_said(bench, [one for one in (*wanted, *others) if one in alive], who)
        items = {}
        if version > since and wanted:
            items = {
                str(found.sample): present.suggestions_handle(found)
                for found in bench.suggest(wanted)
            }
        lanes = _with_lanes(bench)
        told = {"version": version, "offset": offset, "items": items, "lanes": lanes}
        return fresh({**told, "said": said})


def _add_sample(routes: APIRouter, context: Context) -> None:
    """What is drawn of one sample; a browser that has it is told so."""

    @routes.get("/item")
    def item(request: Request, sample: str = "", name: str = "") -> Response:
        """One sample with its suggestions, verdicts and neighbours; see `sample_at`."""
        bench = context.of(request)
        found = sample_at(bench, sample, name)
        who = context.user(request)
        seen = (who, bench.people.is_blind, bench.offset)
        tag = _tag(bench, found.id, seen, bench.num_encoded, bench.revision)
        if _has(request, tag):
            return Response(status_code=304, headers=tag)
        return fresh(_item(bench, found, who), tag)

    @routes.get("/evidence")
    def evidence(
        request: Request,
        sample: Annotated[int, Query(ge=1)],
        label: Annotated[int | None, Query(ge=1)] = None,
        lanes: bool = False,
        layers: bool = False,
    ) -> Response:
        """All maps of one sample as one compact matrix; see `present.evidence_bytes`.

        Where lanes looked costs a pass through each of them, and what the encoder's blocks say a
        pass through it, so they come only when asked for; where no layers are, it says why.
        """
        bench = context.of(request)
        found = bench.sample(sample)
        # What is left over by the accepted labels follows the verdicts at once.
        who = context.user(request)
        seen = bench.people.board_of(who)
        said = [(one.id, seen.verdicts.get((found.id, one.id))) for one in bench.labels()]
        said = [(label_id, row.verdict) for label_id, row in said if row is not None]
        tag = _tag(bench, sample, label, lanes, layers, said)
        if _has(request, tag):
            return Response(status_code=304, headers=tag)
        try:
            explanation = bench.explain(found.id, with_lanes=lanes, who=who)
        except api.NotFoundError:
            return Response(status_code=204)  # no vectors or no labels yet; not an error to log
        body = present.evidence_bytes(
            explanation,
            {each.name: each.id for each in bench.labels()},
            packs={each.id: each.pack for each in bench.labels()},
            text=found.text,
            wanted=[label] if label else [],
            layered=_layered(bench, found.id, who) if layers else None,
        )
        return Response(body, media_type="application/octet-stream", headers=tag)


def _add_deeds(routes: APIRouter, context: Context) -> None:
    """What writes to the log; each answers after the rows are durable."""

    @routes.post("/commit")
    def commit(request: Request, body: Commit) -> Response:
        """Store verdicts of one action.

        `stored` counts its pairs in the log. What the person left alone and somebody decided
        otherwise meanwhile stays, and `kept` says it: sample id -> label id -> verdict. Labels that
        are gone cost the others nothing: `gone` says which, and into what they were merged.
        """
        context.writable()
        bench, who = context.of(request), _only(body.who, context.user(request))
        done = bench.correct_living(
            _rows_of(bench, body),
            who=who,
            op=body.op,
            seen_version=body.seen_version,
        )
        receipt = done.receipt
        return fresh(
            {
                "op": body.op,
                "offset": bench.offset if receipt is None else receipt.offset,
                "version": bench.version,
                "stored": 0 if receipt is None else len(receipt.pairs),
                "kept": _kept(bench, done.rows, who),
                "gone": [present.gone_handle(label) for label in done.gone],
            }
        )

    @routes.post("/undo")
    def undo(request: Request, body: Undo) -> Response:
        """Take one action back; says what it was, and what holds for its samples now."""
        context.writable()
        bench, who = context.of(request), _only(body.who, context.user(request))
        nothing = {"op": None, "samples": [], "labels": [], "verdicts": {}, "marks": {}}
        if body.op is None and body.spares_imports and not _is_done(bench, body.request):
            newest = bench.store.newest_deed(who)
            if newest is not None and newest.kind == "import":
                return fresh({**nothing, "asks": asdict(newest)})
        receipt = bench.undo(who, op=body.op, request=body.request)
        if receipt is None:
            return fresh(nothing)
        deed = bench.store.deed(receipt.op)
        # Taking an import back takes its samples away, too.
        alive = {sample.id for sample in bench.samples()}
        touched = dict.fromkeys(sample for sample, _ in receipt.pairs if sample in alive)
        samples = list(touched)[:MOST_IDS]
        return fresh(
            {
                "op": receipt.op,
                "offset": receipt.offset,
                "samples": samples,
                "labels": _labels(bench),
                "verdicts": _verdicts(bench, samples, who),
                "deed": asdict(deed) if deed else None,
                "marks": {
                    str(sample): present.marks_handle(marks)
                    for sample, marks in bench.marks(samples, who=who).items()
                },
            }
        )

    @routes.post("/label")
    def new_label(request: Request, body: NewLabel) -> Response:
        """Make a label in place; gives all labels, and the id of the one asked for."""
        context.writable()
        bench = context.of(request)
        name = body.name.strip()
        # as stored: what cannot be scored now is a label all the same
        found = [label for label in bench.store.labels() if label.name == name]
        if not found:
            found = bench.add_labels([name], pack=body.pack, who=context.user(request))
        labels = _labels(bench, bench.store.labels())
        return fresh({"label": found[0].id, "labels": labels})


def _only(meant: str | None, who: str) -> str:
    """The person who asks, if the page that they ask from is theirs.

    Raises:
        StalePageError: somebody else has signed in since; the page keeps what it has to send.
    """
    if meant is not None and meant != who:
        raise StalePageError(
            f"this page is of {meant}, and {who} is signed in here now; it keeps what is not sent "
            f"until {meant} signs in again"
        )
    return who


def _numbers(ids: str) -> list[int]:
    return [int(text) for text in ids.split(",") if text][:MOST_IDS]


def _rows_of(bench: api.Workbench, body: Commit) -> list[dict[str, Any]]:
    """An action as `correct` takes it, its runs of labels written out; gone labels are none.

    The labels are those of the store: a board that is just being read again has none.
    """
    rows = [row.model_dump(exclude_unset=True) for row in body.rows]
    labels = bench.live.board_to_decide_on().labels if body.fills else ()
    ids = np.array([label.id for label in labels], np.int64)
    for fill in body.fills:
        first, last = np.array(fill.labels, np.int64).T
        order = np.argsort(first)
        at = np.searchsorted(first[order], ids, side="right") - 1
        is_in = (at >= 0) & (ids <= np.maximum.accumulate(last[order])[at])
        rows += [
            {"sample": fill.sample, "label": label, "verdict": "no", "seen": None}
            for label in ids[is_in].tolist()
        ]
    return rows


def _kept(
    bench: api.Workbench, rows: Iterable[Mapping[str, Any]], who: str
) -> dict[int, dict[int, Said]]:
    """What stands now in place of rows that depended on what was seen, as `who` sees it."""
    asked = [row for row in rows if "seen" in row and row["sample"] in bench.board.row_of]
    now = bench.verdicts({row["sample"] for row in asked}, who=who) if asked else {}
    kept: dict[int, dict[int, Said]] = {}
    for row in asked:
        said = now[row["sample"]].get(row["label"])
        stands = None if said is None else said.value
        if stands != row["verdict"]:
            kept.setdefault(row["sample"], {})[row["label"]] = stands
    return kept


def _all_said(bench: api.Workbench, samples: list[int], who: str) -> dict[int, dict[str, object]]:
    """All that is said of samples, as `who` sees it."""
    verdicts, marks = bench.verdicts(samples, who=who), bench.marks(samples, who=who)
    return {
        sample: {
            "verdicts": present.verdicts_handle(verdicts.get(sample, {})),
            "others": present.others_handle(bench.people.others(sample, who)),
            "borrowed": bench.people.borrowed(sample, who),
            "marks": present.marks_handle(marks.get(sample, {})),
        }
        for sample in samples
    }


def _is_done(bench: api.Workbench, request: str | None) -> bool:
    """Whether an undo of this id is stored already, so that its answer was lost."""
    return request is not None and bench.store.deed(request) is not None


def _queue(bench: api.Workbench, picker: str, *, who: str, k: int, after: int) -> dict[str, object]:
    num_samples = len(bench.board.samples)
    labels = bench.labels()
    if picker == "order":
        entries = _in_order(bench, who=who, k=k, after=after)
    else:
        if picker == "disagree":
            found = bench.disagreements(k)
        elif picker == "drawer":
            found = bench.certainty.ask(k)
        else:
            found = bench.next(k, picker=picker, who=who) if num_samples and labels else []
        ids = {label.name: label.id for label in labels}
        by_id = {sample.id: sample for sample in bench.samples([e.sample for e in found])}
        entries = [
            present.sample_handle(
                by_id[entry.sample],
                bench.name,
                reason=entry.reason,
                picker=entry.picker,
                asks=[ids[name] for name in entry.labels if name in ids],
            )
            for entry in found
            if entry.sample in by_id
        ]
    return {
        "project": bench.name,
        "uid": bench.store.uid,
        "begun": bench.store.begun,
        "kind": bench.kind,
        "version": bench.version,
        "samples": num_samples,
        "encoded": bench.num_encoded,
        "is_reading": any(
            job.kind == "encode" and job.state in ("queued", "running") for job in bench.jobs.list()
        ),
        "pickers": _pickers(bench),
        "labels": _labels(bench),
        "lanes": _with_lanes(bench),
        "has_layers": bench.kind == api.Kind.IMAGE and not bench.layer_refusal,
        "is_blind": bench.people.is_blind,
        "entries": entries,
    }


def _pickers(bench: api.Workbench) -> list[str]:
    """Those that have something to ask here."""
    more = ["disagree"] if bench.brought()["predictions"] else []
    return [*PICKERS, *more, *(["drawer"] if bench.board.drawer is not None else [])]


def _in_order(bench: api.Workbench, *, who: str, k: int, after: int) -> list[present.SampleHandle]:
    """The next `k` samples after the id `after` that have an unmuted label without a verdict."""
    muted = bench.packs.muted()
    asked = {label.id for label in bench.labels() if label.pack not in muted}
    later = [sample for sample in bench.samples() if sample.id > after]
    entries: list[present.SampleHandle] = []
    for start in range(0, len(later), WINDOW):
        window = later[start : start + WINDOW]
        verdicts = bench.verdicts([sample.id for sample in window], who=who)
        for sample in window:
            missing = len(asked - verdicts.get(sample.id, {}).keys())
            if not missing:
                continue
            reason = f"{missing} of {len(asked)} labels open"
            entries.append(present.sample_handle(sample, bench.name, reason=reason, picker="order"))
            if len(entries) == k:
                return entries
    return entries


def _item(bench: api.Workbench, sample: api.Sample, who: str) -> present.ItemHandle:
    suggestions = present.suggestions_handle(bench.suggest([sample.id])[0])
    hits = [hit for hit in bench.neighbours(sample.id, NEIGHBOURS) if hit.sample != sample.id]
    near = {other.id: other for other in bench.samples([hit.sample for hit in hits])}
    offset = bench.offset  # before what is said is read: it is at least of that moment
    verdicts = bench.verdicts([sample.id, *near], who=who)
    media, full = present.shown_urls(sample, bench.name, is_still=_is_still(bench, sample))
    return present.ItemHandle(
        sample=sample.id,
        name=sample.name,
        names=sample.names,
        kind=sample.kind,
        split=sample.split,
        width=sample.width,
        height=sample.height,
        text=sample.text,
        media=media,
        full=full,
        thumb=present.media_url(sample, bench.name, size=128),
        suggestions=suggestions,
        verdicts=present.verdicts_handle(verdicts.get(sample.id, {})),
        others=present.others_handle(bench.people.others(sample.id, who)),
        borrowed=bench.people.borrowed(sample.id, who),
        marks=present.marks_handle(bench.marks([sample.id], who=who).get(sample.id, {})),
        neighbours=tuple(
            present.neighbour_handle(
                near[hit.sample],
                bench.name,
                score=hit.score,
                verdicts=verdicts.get(hit.sample, {}),
            )
            for hit in hits
            if hit.sample in near
        ),
        offset=offset,
        is_pending=not suggestions.labels and bool(bench.labels()),
        in_drawer=bool(bench.board.in_drawer[bench.board.row_of[sample.id]]),
    )


def _is_still(bench: api.Workbench, sample: api.Sample) -> bool:
    """True where a browser would show another picture than the encoder read, e.g. a later frame."""
    if sample.kind is not api.Kind.IMAGE:
        return False
    try:
        return api.is_shown_otherwise(bench.media(sample.id)[0])
    except api.PatchlaneError:
        return False  # the picture is gone; its address says so


def _labels(
    bench: api.Workbench, labels: Iterable[api.Label] | None = None
) -> list[present.LabelHandle]:
    muted, limits = bench.packs.muted(), bench.evaluator.thresholds()
    return [
        present.label_handle(label, muted, threshold=limits.get(label.id))
        for label in (bench.labels() if labels is None else labels)
    ]


def _layered(bench: api.Workbench, sample: int, who: str) -> api.Explanation | str:
    """The maps over the encoder's layers, or why there are none."""
    try:
        return bench.explain(sample, who=who, aligner=present.LAYERED)
    except (api.BadInputError, OSError) as reason:
        return str(reason)


def _with_lanes(bench: api.Workbench) -> list[int]:
    """Ids of the labels whose pack has a lane that counts: only those have a lane's map."""
    return sorted({i for lane in bench.learned.lanes if lane.share for i in lane.labels})


def _verdicts(bench: api.Workbench, samples: Iterable[int], who: str) -> dict[str, dict[str, str]]:
    asked = list(samples)
    found = bench.verdicts(asked, who=who) if asked else {}
    return {str(sample): present.verdicts_handle(found.get(sample, {})) for sample in asked}


def _tag(bench: api.Workbench, *parts: object) -> dict[str, str]:
    """Headers with an ETag of everything the answer depends on."""
    labels = [(label.id, label.name) for label in bench.labels()]
    which = bench.store.uid, str(bench.path), bench.encoder_id, bench.version
    state = (*which, labels, parts)
    digest = hashlib.blake2b(repr(state).encode(), digest_size=12).hexdigest()
    return {"ETag": f'"{digest}"', "Cache-Control": "private, no-cache"}


def _has(request: Request, headers: Mapping[str, str]) -> bool:
    return headers["ETag"] in request.headers.get("if-none-match", "")
