"""Guides over the web: read one, change what people wrote of it, cut its pictures, take it home."""

from __future__ import annotations

import io
import tempfile
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from backend import api
from ui import present
from ui.context import Context
from ui.replies import fresh

Ident = Annotated[int, Field(ge=1, le=2**53)]
Share = Annotated[float, Query(ge=0, le=1)]
SIZES = (128, 256, 512)
MOST_TYPED = 100_000
"""Characters of a request's text: what is too long for a guide is told by its own sentence."""
DOING = Literal["pin", "refuse", "release", "notes", "definition", "keep"]


class Change(BaseModel):
    """One thing a person does with a guide; the same `op` again is the same action."""

    model_config = ConfigDict(extra="forbid")

    op: str = Field(pattern=r"^[A-Za-z0-9_.-]{8,64}$")
    label: Ident
    do: DOING
    sample: Ident | None = None
    text: str | None = Field(default=None, max_length=MOST_TYPED)


def router(context: Context) -> APIRouter:
    """The routes below /pl/api of guides."""
    routes = APIRouter(prefix="/pl/api")

    @routes.get("/guides")
    def guides(request: Request) -> Response:
        """The labels, and how many verdicts each has."""
        bench = context.of(request)
        counts, muted = bench.guides.counts(), bench.packs.muted()
        rows = [
            {
                **asdict(present.label_handle(label, muted)),
                **{kind.value: counts.get(label.id, {}).get(kind, 0) for kind in api.Verdict},
            }
            for label in bench.labels()
        ]
        return fresh({"project": bench.name, "version": bench.version, "labels": rows})

    @routes.get("/guide")
    def guide(request: Request, label: Annotated[int, Query(ge=1)]) -> Response:
        """The guide of one label."""
        bench = context.of(request)
        return fresh(_told(bench, bench.guides.of(label, who=context.user(request))))

    @routes.post("/guide")
    def change(request: Request, body: Change) -> Response:
        """Change one thing; gives the guide after it."""
        context.writable()
        bench, who = context.of(request), context.user(request)
        receipt = _do(bench, body, who)
        guide = bench.guides.of(body.label, who=who)
        return fresh({"op": receipt.op, "guide": _told(bench, guide)})

    @routes.get("/crop")
    def crop(
        request: Request,
        sample: Annotated[int, Query(ge=1)],
        x: Share,
        y: Share,
        w: Annotated[float, Query(gt=0, le=1)],
        h: Annotated[float, Query(gt=0, le=1)],
        size: int = 256,
        v: str = "",
    ) -> Response:
        """A box of a picture with a little around it, as WebP."""
        bench = context.of(request)
        longest = next((one for one in SIZES if one >= size), SIZES[-1])
        known = request.headers.get("if-none-match")
        return _cropped(bench, bench.sample(sample), (x, y, w, h), longest, named=v, known=known)

    @routes.get("/guide/file")
    def file(
        request: Request,
        format: Literal["html", "md"] = "html",
        label: Annotated[int | None, Query(ge=1)] = None,
    ) -> Response:
        """The guide of one label or of all as a download: HTML, or a zip of Markdown."""
        return _download(context.of(request), format, label, who=context.user(request))

    return routes


def _cropped(
    bench: api.Workbench,
    sample: api.Sample,
    box: tuple[float, float, float, float],
    longest: int,
    *,
    named: str,
    known: str | None,
) -> Response:
    """A box of a picture, or that it has not changed.

    Args:
        bench: the project.
        sample: the picture.
        box: x, y, w, h in 0..1.
        longest: side of what is sent, pixels.
        named: the beginning of the content's hash, if the address has it: it never changes then.
        known: the tag of what the browser has.
    """
    is_named = bool(named) and sample.content_hash.startswith(named)
    place = "-".join(f"{each:.4f}" for each in box)
    tag = f'"{sample.content_hash[:16]}-{place}-{longest}"'
    headers = {
        "ETag": tag,
        "Cache-Control": f"private, max-age={31536000 if is_named else 0}"
        + (", immutable" if is_named else ", must-revalidate"),
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
    if known == tag:
        return Response(status_code=304, headers=headers)
    buffer = io.BytesIO()
    picture = api.cut_out(bench.media(sample.id)[0], box, longest)
    picture.save(buffer, "WEBP", quality=85, method=0)
    return Response(buffer.getvalue(), media_type="image/webp", headers=headers)


def _download(
    bench: api.Workbench, format: Literal["html", "md"], label: int | None, *, who: str
) -> Response:
    """A guide as one HTML file, or as a zip of Markdown and its pictures."""
    with tempfile.TemporaryDirectory(prefix="patchlane-") as folder:
        files = api.write_guide(bench, Path(folder) / f"guide.{format}", label, who=who)
        if format == "html":
            # Not shown on our own address: whatever is in it, it is a file to save.
            headers = {"Content-Disposition": 'attachment; filename="guide.html"'}
            return Response(files[0].read_bytes(), media_type="text/html", headers=headers)
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for one in files:
                archive.write(one, one.relative_to(folder).as_posix())
    headers = {"Content-Disposition": 'attachment; filename="guide.zip"'}
    return Response(packed.getvalue(), media_type="application/zip", headers=headers)


def _do(bench: api.Workbench, body: Change, who: str) -> Any:
    """One change of a guide.

    Raises:
        BadInputError: it lacks the sample or the text that it is about.
    """
    guides, label, op = bench.guides, body.label, body.op
    if body.do == "keep":
        return guides.keep(label, who=who, op=op)
    if body.do in ("notes", "definition"):
        if body.text is None:
            raise api.BadInputError(f"the new {body.do} is missing; nothing was changed")
        return guides.write(label, **{body.do: body.text}, who=who, op=op)
    if body.sample is None:
        raise api.BadInputError(f"say which sample to {body.do}; nothing was changed")
    verbs = {"pin": guides.pin, "refuse": guides.refuse, "release": guides.release}
    return verbs[body.do](label, body.sample, who=who, op=op)


def _told(bench: api.Workbench, guide: api.Guide) -> dict[str, Any]:
    """A guide as the screen draws it."""
    edition = guide.edition
    return {
        "label": asdict(present.label_handle(guide.label)),
        "parent": guide.parent,
        **{name: getattr(guide, name) for name in ("yes", "no", "unsure", "missing", "notes")},
        "held_out": guide.held_out,
        "held_out_of": guide.held_out_of,
        "yes_of": guide.yes_of,
        "exemplars": [
            {
                **_place(bench, one.place),
                "is_pinned": one.is_pinned,
                "is_marked": one.is_marked,
                "covers": one.covers,
                "chance": round(one.chance, 4),
                "also": one.also,
            }
            for one in guide.exemplars
        ],
        "misses": [
            {
                **_place(bench, one.place),
                "like": one.like,
                "fit": round(one.fit, 4),
                "who": one.who,
                "when": one.when,
                "absent": len(one.absent),
                "instead": one.instead,
            }
            for one in guide.misses
        ],
        "parts": [{**_place(bench, one.place), "share": one.share} for one in guide.parts],
        "words": [asdict(one) for one in guide.words],
        "refused": [{"sample": sample, "name": name} for sample, name in guide.refused],
        "lapsed": [asdict(one) for one in guide.lapsed],
        "edition": None
        if edition is None
        else {"number": edition.number, "when": edition.when, "who": edition.who},
        "changes": None if guide.drift is None else api.guide_changes(guide.drift),
    }


def _place(bench: api.Workbench, place: Any) -> dict[str, Any]:
    """Where a place is: addresses of its crop and of the whole; its words in UTF-16 units."""
    sample = bench.sample(place.sample)
    box = api.box_of(place.region)
    thumb = present.media_url(sample, bench.name, size=256)
    return {
        "sample": place.sample,
        "name": place.name,
        "box": box,
        "crop": thumb if box is None else _crop_url(bench, sample, box),
        "thumb": thumb,
        "quote": place.quote,
        "words": present.utf16_spans(place.quote, place.words).tolist(),
    }


def _crop_url(
    bench: api.Workbench, sample: api.Sample, box: tuple[float, float, float, float]
) -> str:
    x, y, w, h = (round(each, 4) for each in box)
    asked = {"project": bench.name, "sample": sample.id, "x": x, "y": y}
    asked |= {"w": max(w, 0.0001), "h": max(h, 0.0001), "v": sample.content_hash[:16]}
    return f"/pl/api/crop?{urlencode(asked)}"
