"""Importing over the web: send files or name a folder, look at what was understood, take it in."""

from __future__ import annotations

import csv
import io
import logging
import secrets
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from backend import api
from ui.context import Context
from ui.uploads import BatchWriter, TooLargeError, Upload, Uploads

log = logging.getLogger("patchlane.web")

SHOWN_PROBLEMS = 200
SHOWN_TEXT = 240
KEPT_RECORDS = 20
KEPT = "What had come in by then is kept; undo takes it back."
UNFINISHED = "It did not come to its end, or another process is still at it"
MENDABLE = (api.BadInputError, api.NotFoundError, api.RefusedError)
"""What is wrong with one source, and no reason to leave the others."""


Part = api.ImportReport | api.PastImport
"""What came of one source; of one that was cut off, what the log says."""


class Source(BaseModel):
    """What to import: an upload, or a path on the server where that is allowed."""

    upload: str | None = None
    path: Annotated[str, Field(max_length=4096)] | None = None
    format: Annotated[str, Field(max_length=40)] = "auto"
    follow_links: bool = False


class Take(Source):
    """How to import it; the words are those of the command line."""

    link: bool = False
    on_conflict: Literal["keep", "replace", "both"] = "keep"
    unlisted: Literal["unknown", "no"] = "unknown"
    create_labels: bool = True


@dataclass
class Record:
    """One import and its report, for the page to show after a reload.

    Attributes:
        project: its uid; another one may get its name.
        ops: the actions that undo takes back.
        planned: ids of the actions that it makes, one per source; known before they are there.
        num_unkept: how many problems there were beyond those that the report holds.
        num_unkept_taken: of how many of these something came in all the same.
    """

    id: str
    project: str
    owner: str
    title: str
    job: str = ""
    report: api.ImportReport | None = None
    ops: list[str] = field(default_factory=list)
    error: str = ""
    planned: tuple[str, ...] = ()
    when: float = field(default_factory=time.time)
    num_unkept: int = 0
    num_unkept_taken: int = 0

    @classmethod
    def past(cls, one: api.PastImport, project: str, owner: str) -> Record:
        """One of an earlier run of the server, or of the command line."""
        record = cls(
            one.op,
            project,
            owner,
            one.source or "files",
            planned=(one.op,),
            when=one.when,
        )
        record.end([one], [] if one.is_final else [one.op], "" if one.is_finished else UNFINISHED)
        return record

    def end(self, parts: Iterable[Part], ops: list[str], error: str) -> None:
        """Keep what came of each source, what undo takes back, and what ended it too early."""
        total = api.ImportReport(0, 0, (), 0, 0)
        for part in parts:
            if isinstance(part, api.PastImport):
                seen = sum(problem.is_taken for problem in part.report.errors)
                self.num_unkept += part.num_errors - len(part.report.errors)
                self.num_unkept_taken += part.num_taken - seen
            total = _sum(total, part.report if isinstance(part, api.PastImport) else part)
        self.ops = ops
        self.error = f"{error}. {KEPT}" if error and ops else error
        self.report = total  # last: with it the page takes the import for ended

    def table(self) -> str:
        """All problems that are held as CSV, and how many more there were."""
        problems = list(self.report.errors) if self.report else []
        if self.num_unkept:
            more = f"{self.num_unkept:,} more problems were not kept, only their number"
            problems.append(api.FileProblem("", more))
        return problems_csv(problems)

    def told(self, *, is_undone: bool = False) -> dict[str, object]:
        """As the page shows it: the first problems, those that are held in the CSV."""
        row: dict[str, object] = {
            "id": self.id,
            "title": self.title,
            "job": self.job,
            "error": self.error,
            "ops": self.ops,
            "undone": is_undone,
            "report": None,
        }
        if self.report is not None:
            row["report"] = {**asdict(replace(self.report, errors=())), **self._problems()}
        return row

    def _problems(self) -> dict[str, object]:
        """What cannot be taken, and what is taken otherwise than its file says; the first of both.

        Of both also how many there were, and how many of them are in the CSV.
        """
        problems = self.report.errors if self.report else ()
        taken = [one for one in problems if one.is_taken]
        refused = [one for one in problems if not one.is_taken]
        return {
            "errors": [_row(problem) for problem in refused[:SHOWN_PROBLEMS]],
            "problems": len(refused) + self.num_unkept - self.num_unkept_taken,
            "numKept": len(refused),
            "otherwise": [_row(problem) for problem in taken[:SHOWN_PROBLEMS]],
            "numOtherwise": len(taken) + self.num_unkept_taken,
            "numOtherwiseKept": len(taken),
        }


def _row(problem: api.FileProblem) -> dict[str, str]:
    return {"file": problem.file, "reason": in_words_of_the_page(problem.reason)}


_WORDS = (
    (
        "; name one with --format if you know better",
        "; if you know better, choose how to read it below",
    ),
    (
        "use --follow-links to take what it points to",
        'tick "Follow links" to take what it points to',
    ),
    (
        "create labels with --create-labels, or add it first",
        'tick "Create labels", or add it first',
    ),
)
"""What a reason says to do on the command line, and the same on the page."""


def in_words_of_the_page(reason: str) -> str:
    """A reason without options of a command that its reader does not have."""
    for theirs, ours in _WORDS:
        reason = reason.replace(theirs, ours)
    return reason


class Records:
    """The newest imports of this server's run; older ones are in the log of their project."""

    def __init__(self) -> None:
        self._records: list[Record] = []

    def keep(self, record: Record) -> None:
        """Remember one more, forget the oldest."""
        self._records = [*self._records, record][-KEPT_RECORDS:]

    def of(self, bench: api.Workbench, owner: str) -> list[tuple[Record, bool]]:
        """A person's imports into a project and whether they were taken back, newest first.

        What was cancelled before its turn came brought nothing in and is none.
        """
        over = {job.id for job in bench.jobs.list() if not job.state.is_open}
        mine = [
            record
            for record in self._records
            if (record.project, record.owner) == (bench.store.uid, owner)
            and (record.report is not None or record.job not in over)
        ]
        known = {op for record in mine for op in record.planned}
        past = bench.store.past_imports(owner, KEPT_RECORDS)
        undone = {one.op for one in past if one.is_undone}
        mine += [Record.past(one, bench.store.uid, owner) for one in past if one.op not in known]
        mine.sort(key=lambda record: record.when, reverse=True)
        return [(r, bool(r.ops) and undone.issuperset(r.ops)) for r in mine[:KEPT_RECORDS]]


def router(context: Context) -> APIRouter:
    """The routes of importing."""
    uploads = Uploads(context.settings.home, context.settings.limits.upload_bytes)
    context.on_close(uploads.close)
    routes = APIRouter(prefix="/pl/api")
    _add_uploads(routes, context, uploads)
    _add_imports(routes, context, uploads, Records())
    return routes


def _add_uploads(routes: APIRouter, context: Context, uploads: Uploads) -> None:
    @routes.post("/uploads")
    def start(request: Request) -> dict[str, object]:
        context.writable()
        return {"id": uploads.start(context.user(request)).id}

    @routes.post("/uploads/{upload_id}")
    async def send(upload_id: str, request: Request) -> Response:
        context.writable()
        return await _receive(uploads.find(upload_id, context.user(request)), request)

    @routes.delete("/uploads/{upload_id}")
    def drop(upload_id: str, request: Request) -> dict[str, bool]:
        context.writable()
        upload = uploads.find(upload_id, context.user(request))
        uploads.claim(upload)  # no import takes what is being deleted
        uploads.drop(upload)
        return {"dropped": True}


def _add_imports(routes: APIRouter, context: Context, uploads: Uploads, records: Records) -> None:
    def sources(source: Source, request: Request) -> tuple[list[Path], Upload | None]:
        if source.upload:
            upload = uploads.find(source.upload, context.user(request))
            return upload.sources(), upload
        return [_server_path(context, source.path or "")], None

    @routes.post("/imports/preview")
    def preview(source: Source, request: Request) -> dict[str, object]:
        context.writable()
        paths, upload = sources(source, request)
        return _preview(paths, upload.problems if upload else (), context.settings, source)

    @routes.post("/imports")
    def take(wanted: Take, request: Request) -> dict[str, object]:
        context.writable()
        bench = context.of(request)
        paths, upload = sources(wanted, request)
        if not paths:
            raise api.BadInputError("there is nothing to import; choose files first")
        # What was picked one by one has no name of its own.
        named = [path.name for path in paths if upload is None or path != upload.folder / "files"]
        title = ", ".join(named) or "files"
        record = Record(
            secrets.token_urlsafe(12),
            bench.store.uid,
            context.user(request),
            title,
            planned=tuple(uuid.uuid4().hex for _ in paths),
        )
        record.job = _submit(bench, paths, wanted, record, upload, uploads)
        records.keep(record)
        return record.told()

    @routes.get("/imports")
    def imports(request: Request) -> list[dict[str, object]]:
        mine = records.of(context.of(request), context.user(request))
        return [record.told(is_undone=is_undone) for record, is_undone in mine]

    @routes.get("/imports/{import_id}/report.csv")
    def report(import_id: str, request: Request) -> Response:
        for record, _ in records.of(context.of(request), context.user(request)):
            if record.id == import_id:
                return Response(
                    record.table(),
                    media_type="text/csv; charset=utf-8",
                    headers={"Content-Disposition": 'attachment; filename="import-report.csv"'},
                )
        raise api.NotFoundError("that import is not known here")


async def _receive(upload: Upload, request: Request) -> Response:
    """Take one batch from the request's body."""
    length = request.headers.get("content-length", "")
    limit = upload.limit
    writer = BatchWriter(upload)
    try:
        if length.isdecimal() and upload.received + int(length) > limit + 4_000_000:
            raise TooLargeError(f"the upload has {int(length):,} bytes; the limit is {limit:,}")
        async for chunk in request.stream():
            await run_in_threadpool(writer.feed, chunk)
        writer.finish()
    except TooLargeError as error:
        writer.abort()
        log.warning("upload refused: %r", str(error))
        return JSONResponse({"detail": str(error)}, 413)
    except (api.PatchlaneError, ClientDisconnect):
        writer.abort()
        raise
    refused = [asdict(problem) for problem in writer.refused]
    return JSONResponse({"stored": writer.stored, "refused": refused})


def _server_path(context: Context, text: str) -> Path:
    """A path on the server's own disk, where only its own machine can ask.

    Raises:
        RefusedError: others can reach this server.
        BadInputError: no absolute path, or it cannot be opened.
        NotFoundError: nothing is there.
    """
    if not context.is_local:
        raise api.RefusedError(
            "folders of the server can be named only on the server's own machine; send the files, "
            "or use `patchlane import` there"
        )
    try:
        path = Path(text.strip()).expanduser()
    except RuntimeError:  # `~somebody` whom this machine does not know
        path = Path()
    if not text.strip() or "\0" in text or not path.is_absolute():
        raise api.BadInputError("give the whole path, like /home/ann/photos")
    api.check_opens(path)
    return path


def _preview(
    paths: Iterable[Path],
    refused: Iterable[api.FileProblem],
    settings: api.Settings,
    source: Source,
) -> dict[str, object]:
    """What all sources together would bring; nothing is stored."""
    problems, found = list(refused), []
    num_problems = len(problems)
    follow_links = source.follow_links and source.upload is None
    for path in paths:
        try:
            seen = api.preview(
                path, settings=settings, format=source.format, follow_links=follow_links
            )
            found.append(seen)
            num_problems += seen.num_problems
        except MENDABLE as error:
            problems.append(api.FileProblem(path.name, str(error)))
            num_problems += 1
    for seen in found:
        problems.extend(seen.problems)
    kinds = [seen.kind for seen in found if seen.kind is not None]
    return {
        "formats": sorted({seen.format for seen in found}),
        "kind": kinds[0].value if kinds else None,
        "samples": sum(seen.samples for seen in found),
        "annotations": sum(seen.annotations for seen in found),
        "labels": list(dict.fromkeys(label for seen in found for label in seen.labels)),
        "problems": [_row(problem) for problem in problems[:SHOWN_PROBLEMS]],
        "numProblems": num_problems,
        # What is in an archive is read by the format that is named.
        "choices": ["auto", *(name for name in api.formats() if name != "archive")],
        "first": [
            {
                "name": draft.name,
                "text": None if draft.text is None else draft.text[:SHOWN_TEXT],
                "labels": {name: verdict.value for name, verdict in draft.verdicts.items()},
            }
            for seen in found
            for draft in seen.first
        ][:12],
    }


def _submit(
    bench: api.Workbench,
    paths: list[Path],
    wanted: Take,
    record: Record,
    upload: Upload | None,
    uploads: Uploads,
) -> str:
    """Queue the job; what was sent belongs to it from now on, and goes with it."""

    def let_go() -> None:
        if upload is not None:
            uploads.drop(upload)

    if upload is not None:
        uploads.claim(upload)
    work = _import_work(bench, paths, wanted, record, upload, let_go)
    title = f"Importing {record.title}"
    try:
        return bench.jobs.submit("import", title, work, owner=record.owner, dropped=let_go)
    except api.PatchlaneError:
        if upload is not None:
            upload.is_claimed = False
        raise


def _import_work(
    bench: api.Workbench,
    paths: list[Path],
    wanted: Take,
    record: Record,
    upload: Upload | None,
    let_go: Callable[[], object],
) -> Callable[[api.Ticket], object]:
    """The job: each source in turn, one report for all; `let_go` of what was sent in the end."""
    refusals: list[str] = []

    def take(path: Path, op: str, ticket: api.Ticket) -> Iterator[Part]:
        try:
            yield bench.add(
                path,
                format=wanted.format,
                follow_links=wanted.follow_links and upload is None,
                link=wanted.link and upload is None,
                on_conflict=wanted.on_conflict,
                unlisted=wanted.unlisted,
                create_labels=wanted.create_labels,
                who=record.owner,
                progress=ticket.progress,
                op=op,
            )
        except Exception as error:
            past = _stored(bench, op)  # whole batches of it may be in
            if past is not None:
                yield past
            if not isinstance(error, MENDABLE) or (past is not None and past.is_undone):
                raise
            refusals.append(in_words_of_the_page(str(error)))
            yield _skipped(api.FileProblem(path.name, str(error)))

    def work(ticket: api.Ticket) -> None:
        parts: list[Part] = [_skipped(*upload.problems)] if upload else []
        ending = ""
        try:
            for path, op in zip(paths, record.planned, strict=True):
                for part in take(path, op, ticket):
                    parts.append(part)  # noqa: PERF402  also what came before an error
        except api.Cancelled:
            ending = "It was cancelled"
            raise
        except api.PatchlaneError as error:
            ending = str(error)
            raise
        except Exception as error:
            ending = f"A fault of Patchlane ended it: {error!r}"
            raise
        finally:
            made = [_stored(bench, op) for op in record.planned]
            record.end(parts, [one.op for one in made if one and not one.is_final], ending)
            let_go()
        if len(refusals) == len(paths):
            raise api.BadInputError(refusals[0])

    return work


def _stored(bench: api.Workbench, op: str) -> api.PastImport | None:
    """What the log holds of a source; None if nothing, or where it cannot be read by now."""
    try:
        return bench.store.past_import(op)
    except api.PatchlaneError:
        return None


def _skipped(*problems: api.FileProblem) -> api.ImportReport:
    return api.ImportReport(0, len(problems), problems, 0, 0)


def _sum(a: api.ImportReport, b: api.ImportReport) -> api.ImportReport:
    return api.ImportReport(
        imported=a.imported + b.imported,
        skipped=a.skipped + b.skipped,
        errors=(*a.errors, *b.errors),
        labels=a.labels + b.labels,
        annotations=a.annotations + b.annotations,
        duplicates=a.duplicates + b.duplicates,
        op=b.op,
        matched=a.matched + b.matched,
    )


def problems_csv(problems: Iterable[api.FileProblem]) -> str:
    """A table of what was skipped and why; no cell can be taken for a formula."""
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(("file", "reason"))
    rows.writerows(
        (_plain_cell(problem.file), _plain_cell(in_words_of_the_page(problem.reason)))
        for problem in problems
    )
    return out.getvalue()


def _plain_cell(text: str) -> str:
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
