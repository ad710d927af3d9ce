"""How good the suggestions and the labels are: evaluation, audit, guide."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from backend import api, score_tables
from backend.commands.speaking import as_json, is_file, json_lines, progress, project, say, written
from backend.errors import BadInputError


def guide(args: Namespace) -> dict[str, Any]:
    """Labelling instructions of one label or all, also as a page to give to people."""
    with project(args) as workbench:
        wanted = [workbench.label(args.label)] if args.label else workbench.labels()
        if args.keep:
            for label in wanted:
                workbench.guides.keep(label.id, who=args.who)
        if args.out:
            only = wanted[0].id if args.label else None
            files = api.write_guide(workbench, args.out, only)
            return {"written": str(files[0]), "labels": len(wanted), "pictures": len(files) - 1}
        return {"guides": [guide_row(workbench.guides.of(label.id)) for label in wanted]}


def guide_row(found: api.Guide) -> dict[str, Any]:
    """One guide; geometry of places in 0..1 of the picture, or as characters of the text."""
    row = as_json(found)
    label = row.pop("label")
    row = {"label": label["name"], "definition": label["definition"], **row}
    row["changes"] = api.guide_changes(found.drift) if found.drift else []
    for shown in (*row["exemplars"], *row["misses"], *row["parts"]):
        place = shown.pop("place")
        region = place["region"]
        shown |= {"sample": place["name"], "quote": place["quote"]}
        shown["region"] = {region["kind"]: region["points"]} if region else None
    return row


def evaluate(args: Namespace) -> dict[str, Any]:
    """Quality on held-back verdicts, a split, or a file of verdicts."""
    with project(args) as workbench:
        truth, split = None, args.split
        if _is_of_file(split):
            truth, split = workbench.truth_from(json_lines(Path(split))), "held-back"
            if args.by:
                raise BadInputError("--by compares slices of the project's own verdicts")
        asked = {"filters": args.filter, "unknown": args.unknown}
        told = _told(workbench.evaluate(split, truth=truth, **asked))
        question = api.Question(split, tuple(args.filter), args.unknown)
        slices = workbench.evaluator.slices(args.by, question) if args.by else []
        if args.by:
            told["slices"] = as_json(slices)
        if args.out:
            comparison = workbench.evaluator.compare(question, truth=truth)
            with written(args.out) as folder:
                told["written"] = _tables(folder, comparison, slices, args.by, workbench)
        return told


def _is_of_file(split: str) -> bool:
    """Whether verdicts of a file are meant: a split is none, whatever files there are.

    A file that is not there is meant where what was said looks like one, so that it is missed.
    """
    path = Path(split)
    looks_so = bool(path.suffix) or path.name != split
    return split not in api.SPLITS and (looks_so or is_file(path))


def _tables(
    folder: Path,
    comparison: api.Comparison,
    slices: Sequence[api.Slice],
    by: str | None,
    workbench: api.Workbench,
) -> list[str]:
    """Write the tables of a comparison and the learning curve; gives their names."""
    folder.mkdir(parents=True, exist_ok=True)
    found = {name: score_tables.table(name, comparison) for name in score_tables.TABLES}
    found["curve"] = score_tables.learning_curve(workbench.packs.curve())
    if by:
        found["slices"] = score_tables.slices(slices, by)
    for name, rows in found.items():
        (folder / f"{name}.csv").write_text(score_tables.csv_of(rows), encoding="utf-8")
    return sorted(f"{name}.csv" for name in found)


def _told(found: api.Evaluation) -> dict[str, Any]:
    """An evaluation; in words why it says nothing of any label, if it does not."""
    if found.mAP is None:
        say(
            f"no label has both YES and NO among the {found.n} samples of {found.split}, so there "
            "is no precision to tell. NO comes from the Label page (Enter), or from "
            "`import --unlisted no` where a file lists everything that is there."
        )
    return as_json(found)


def audit(args: Namespace) -> dict[str, Any]:
    """Suspected label errors, copies, ambiguous samples and doubtful imports; accept or dismiss."""
    with project(args) as workbench:
        report = api.audit(
            workbench,
            kinds=(args.kind,) if args.kind else api.AUDIT_KINDS,
            measures_pruning=args.pruning,
            progress=progress,
        )
        done: dict[str, Any] = {}
        if args.accept:
            found = api.chosen_suspects(report, args.accept)
            receipt = api.accept_suspects(workbench, found, who=args.who)
            done["accepted"] = {"op": receipt.op, "findings": len(found)}
        if args.dismiss:
            found = api.chosen_suspects(report, args.dismiss)
            receipt = api.dismiss_suspects(workbench, found, who=args.who)
            done["dismissed"] = {"op": receipt.op, "findings": len(found)}
        if done:
            report = api.open_suspects(workbench, report)
        return {**done, **_audited(workbench, report, args.k)}


def _audited(workbench: api.Workbench, report: api.AuditReport, most: int) -> dict[str, Any]:
    """A report by names; at most so many findings of each kind, all of them counted."""
    names = {label.id: label.name for label in workbench.labels()}
    rows: list[dict[str, Any]] = []
    counts: dict[str, int] = dict.fromkeys(api.AUDIT_KINDS, 0)
    for group in report.groups:
        for one in group.suspects:
            counts[one.kind] += 1
            if counts[one.kind] > most:
                continue
            rows.append(
                {
                    "kind": one.kind,
                    "sample": workbench.sample(one.samples[0]).name,
                    "copies": [workbench.sample(each).name for each in one.samples[1:]],
                    "labels": [names[each] for each in one.labels],
                    "given": [verdict and str(verdict) for verdict in one.given],
                    "proposal": one.proposal,
                    "strength": one.strength,
                    "reason": one.reason,
                    "evidence": dict(one.evidence),
                    "key": one.key,
                    "group": group.key,
                    "shares_part": group.shares_part,
                }
            )
    return {
        "version": report.version,
        "checked": report.checked,
        "counts": counts,
        "dismissed_before": report.dismissed,
        "notes": list(report.notes),
        "pruning": as_json(report.pruning),
        "suspects": as_json(rows),
    }
