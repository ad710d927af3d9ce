"""What each verb of the command line does: arguments in, one JSON-ready result out.

`__main__` parses and prints; nothing here writes to the screen except through `say`, which goes to
stderr. Everything heavy comes in through `backend.api` when a command runs.
"""

from __future__ import annotations

import json
import math
import sys
import time
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from backend import api, score_tables
from backend.errors import BadInputError, NotFoundError
from backend.heatmap import painted
from backend.images import decode
from backend.intake import answers, preview

EXPLAIN_FORMATS = (".npz", ".png")


def say(text: str) -> None:
    """A line for the person, beside the result."""
    print(text, file=sys.stderr, flush=True)


def progress(done: int, total: int, note: str) -> None:
    """Every fiftieth step and the last one, on stderr."""
    if total and (done % 50 == 0 or done == total):
        say(f"  {done}/{total} {note}")


@contextmanager
def project(args: Namespace) -> Iterator[api.Workbench]:
    """The project a command names, closed afterwards."""
    workbench = api.open_project(args.project)
    try:
        yield workbench
    finally:
        workbench.close()


def new(args: Namespace) -> dict[str, Any]:
    """Make a project; with `--from` bring its samples in at once."""
    settings = api.Settings.from_environ()
    labels = _labels(args.labels)
    kind = None
    if args.source and not args.encoder:
        kind = _kind_of(Path(args.source), settings)
    workbench = api.create_project(
        args.project, labels=labels, kind=kind, encoder=args.encoder, recipe=args.recipe
    )
    try:
        result: dict[str, Any] = {"project": workbench.name, "path": str(workbench.path)}
        if args.source:
            report = workbench.add(args.source, progress=progress, create_labels=not labels)
            result["import"] = as_json(report)
        info = workbench.info()
        return {**result, "kind": info.kind, "encoder": info.encoder, "samples": info.samples}
    finally:
        workbench.close()


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
        return as_json(report)


def encode(args: Namespace) -> dict[str, Any]:
    """Compute missing vectors, or change the encoder; every verdict is kept."""
    with project(args) as workbench:
        if args.encoder and args.encoder != workbench.encoder_id:
            count = workbench.change_encoder(args.encoder, progress=progress)
        else:
            count = workbench.encode(progress=progress)
        return {"encoded": count, "encoder": workbench.encoder_id}


def labels(args: Namespace) -> dict[str, Any]:
    """List or edit labels."""
    with project(args) as workbench:
        if args.action == "add":
            workbench.add_labels(_labels(args.values[0]) if args.values else [], pack=args.pack)
        elif args.action == "rename":
            old, name = _exactly(args.values, 2, "labels PROJECT rename OLD NEW")
            workbench.rename_label(old, name)
        elif args.action == "merge":
            source, into = _exactly(args.values, 2, "labels PROJECT merge SOURCE INTO")
            workbench.merge_labels(source, into)
        elif args.action == "describe":
            label, definition = _exactly(args.values, 2, "labels PROJECT describe LABEL TEXT")
            workbench.describe_label(label, definition=definition)
        elif args.action == "parent":
            label, parent = _exactly(args.values, 2, "labels PROJECT parent LABEL PARENT")
            workbench.set_parent(label, parent)
        elif args.action == "threshold":
            usage = "labels PROJECT threshold LABEL 0..1|none"
            label, value = _exactly(args.values, 2, usage)
            _set_threshold(workbench, label, value)
        elif args.action == "remove":
            workbench.remove_label(*_exactly(args.values, 1, "labels PROJECT remove LABEL"))
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


def suggest(args: Namespace) -> dict[str, Any]:
    """Scores of all labels, best first; also as JSONL."""
    with project(args) as workbench:
        told = workbench.suggest(args.ids or None)
        said = workbench.evaluator.suggested([found.sample for found in told])
        rows = [suggestion_row(found, said.get(found.sample, frozenset())) for found in told]
    if args.out:
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        Path(args.out).write_text(lines, encoding="utf-8")
        return {"written": args.out, "samples": len(rows)}
    return {"suggestions": rows}


def suggestion_row(found: api.SampleSuggestions, said: Set[int]) -> dict[str, Any]:
    """One row as promised; what is not known yet is null.

    Args:
        found: all suggestions of a sample.
        said: ids of the labels at their thresholds or above.
    """
    return {
        "sample": found.name,
        "suggestions": [
            {
                "label": s.label,
                "score": s.score,
                "probability": s.probability,
                "p_value": s.p_value,
                "in_set": s.in_set,
                "suggested": s.label_id in said,
            }
            for s in found.suggestions
        ],
        "set": found.set,
        "coverage": found.coverage,
        "version": found.version,
        "encoder": found.encoder,
    }


def explain(args: Namespace) -> dict[str, Any]:
    """Which part carries which label: as numbers (NPZ) or as a picture (PNG)."""
    if args.check:
        return _check(args)
    if not args.samples:
        raise BadInputError("name a sample, or say --check to look at all that have regions")
    with project(args) as workbench:
        several = len(args.samples) > 1
        files, rows = [], []
        for name in args.samples:
            found = workbench.explain(name, label=args.label)
            if args.out:
                files.append(str(_write_explanation(workbench, found, args.out, several)))
            order = np.argsort(-found.scores)
            rows.append(
                {
                    "sample": found.name,
                    "labels": [
                        {
                            "label": found.labels[i],
                            "score": float(found.scores[i]),
                            "spread": float(found.spread[i]),
                            "best_part": int(found.backward[:, i].argmax()),
                        }
                        for i in order
                    ],
                    "grid": found.layout.grid,
                }
            )
        return {"written": files, "explanations": rows} if files else {"explanations": rows}


def _check(args: Namespace) -> dict[str, Any]:
    """Whether maps are what scores rest on; of all samples with regions where none is named."""
    with project(args) as workbench:
        if not args.samples:
            return _placed(workbench)
        found = []
        for name in args.samples:
            label = args.label
            if label is None:
                label = workbench.suggest([name])[0].suggestions[0].label
            curves = api.check(workbench, name, label, progress=progress)
            say(f"{curves.name}: {curves.verdict}")
            found.append(as_json(curves))
        return {"checks": found}


def _placed(workbench: api.Workbench) -> dict[str, Any]:
    found = api.placements(workbench, progress=progress)
    if not found:
        raise NotFoundError(
            "no YES of this project has a region; import boxes or mark parts, or name a SAMPLE"
        )
    figures = {
        "pointing": float(np.mean([one.pointing for one in found])),
        "mask_iou": float(np.mean([one.mask_iou for one in found])),
    }
    known = [one.heatmap_ap for one in found if one.heatmap_ap is not None]
    if known:
        figures["heatmap_ap"] = float(np.mean(known))
    return {"pairs": len(found), **figures, "placements": as_json(found)}


def correct(args: Namespace) -> dict[str, Any]:
    """Store verdicts from JSONL, durably, all or none."""
    rows = list(json_lines(Path(args.source)))
    with project(args) as workbench:
        if args.adjudicate:
            receipt = workbench.people.adjudicate(_decisions(workbench, rows), who=args.who)
        else:
            receipt = workbench.correct(rows, who=args.who)
        return {"stored": len(receipt.pairs), "op": receipt.op, "offset": receipt.offset}


def _decisions(
    workbench: api.Workbench, rows: Sequence[Mapping[str, object]]
) -> list[tuple[int, int, api.Verdict | None]]:
    """Rows of `correct` as verdicts for everybody.

    Raises:
        BadInputError: a row says more or less than one verdict.
    """
    for number, row in enumerate(rows, 1):
        if set(row) != {"sample", "label", "verdict"}:
            raise BadInputError(
                f"row {number}: an adjudication has sample, label and verdict, nothing else"
            )
    return [
        (workbench.sample(asked.sample).id, workbench.label(asked.label or "").id, asked.verdict)
        for asked in answers(rows)
    ]


def agreement(args: Namespace) -> dict[str, Any]:
    """How far people agree, and where they do not."""
    with project(args) as workbench:
        people = workbench.people
        if args.blind is not None:
            people.set_blind(args.blind == "on")
        found = people.agreement(with_files=args.with_files)
        if found.why:
            say(f"no alpha: {found.why}.")
        label = None if args.label is None else workbench.label(args.label).id
        disputes, _ = people.disputes(args.k, label=label)
        told = as_json(found)
        if args.label is not None:
            told["labels"] = [one for one in told["labels"] if one["label_id"] == label]
        return {**told, "is_blind": people.is_blind, "disputes": [as_json(d) for d in disputes]}


def learn(args: Namespace) -> dict[str, Any]:
    """Fold all corrections in and refine, lanes that are due included."""
    started = time.monotonic()
    with project(args) as workbench:
        report = as_json(workbench.learn(until=args.until, progress=progress))
        lanes = []
        for pack in workbench.packs.due():
            left = None if args.until is None else args.until - (time.monotonic() - started)
            if left is not None and left <= 0:
                say(f"no time left to teach the lane of {pack}; run `packs teach {pack}`")
                continue
            lanes.append(as_json(workbench.packs.teach(pack, until=left, progress=progress)))
            report |= {"version": workbench.version}
        report |= {"forecast": as_json(workbench.forecast())}
    return report | ({"lanes": lanes} if lanes else {})


def drawer(args: Namespace) -> dict[str, Any]:
    """The calibration drawer: how far it is decided, what to decide next; open or close it."""
    with project(args) as workbench:
        certainty = workbench.certainty
        match args.action:
            case "open":
                certainty.open_drawer(share=args.share, samples=args.samples, who=args.who)
            case "close":
                certainty.close_drawer(who=args.who)
        report = as_json(certainty.drawer())
        asked = [{"sample": e.name, "reason": e.reason} for e in certainty.ask(args.k)]
    return {**report, "next": asked}


def certain(args: Namespace) -> dict[str, Any]:
    """What is certain at a level; with --accept stored as verdicts, one action."""
    with project(args) as workbench:
        certainty = workbench.certainty
        if args.accept:
            certainty.accept(args.level, args.guarantee, who=args.who)
        sets = certainty.sets(args.level, args.guarantee)
        if sets.why:
            say(f"nothing is certain: {sets.why}")
        seen = sets.state[workbench.board.encoded & ~workbench.board.in_drawer]
        return {
            "level": args.level,
            "guarantee": args.guarantee,
            "why": sets.why,
            "counted": sets.counted,
            "certified": float((seen != 0).mean()) if seen.size else 0.0,
            "mean_width": float((seen == 0).sum(axis=1).mean()) if len(seen) else None,
            "plan": as_json(certainty.plan(args.level, args.guarantee)),
            "accepted": [as_json(one) for one in certainty.acceptances()],
            "realised": [
                {
                    "claimed": point.level,
                    "realised": point.realised,
                    "low": point.low,
                    "high": point.high,
                    "n": point.n,
                }
                for point in certainty.coverage(groups=1)
            ],
        }


def next_(args: Namespace) -> dict[str, Any]:
    """What to look at next."""
    with project(args) as workbench:
        entries = workbench.next(args.k, picker=args.picker)
        forecast = workbench.forecast()
    return {
        "next": [
            {"sample": e.name, "picker": e.picker, "reason": e.reason, "score": e.score}
            for e in entries
        ],
        "asks": {e.name: list(e.labels) for e in entries},
        "forecast": as_json(forecast),
    }


def search(args: Namespace) -> dict[str, Any]:
    """Samples like a text, a picture or a region of one."""
    region = None
    if args.region:
        try:
            region = [float(value) for value in args.region.split(",")]
        except ValueError:
            raise BadInputError(f"--region is x,y,w,h in 0..1, not {args.region!r}") from None
    with project(args) as workbench:
        hits = workbench.search(
            text=args.text,
            image=args.image,
            sample=args.sample,
            region=region,
            vectors=args.vectors,
            k=args.k,
        )
    return {"results": [{"sample": h.name, "score": h.score, "parts": h.parts} for h in hits]}


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
        if Path(split).suffix:
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
            told["written"] = _tables(Path(args.out), comparison, slices, args.by, workbench)
        return told


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


def versions(args: Namespace) -> dict[str, Any]:
    """The learned versions: list, compare, go back, take one home."""
    with project(args) as workbench:
        match args.action:
            case "diff":
                one, other = _exactly(args.values, 2, "versions PROJECT diff A B")
                changes = workbench.packs.compare(_number(one), _number(other))
                return {"changed": [as_json(change) for change in changes]}
            case "revert":
                (number,) = _exactly(args.values, 1, "versions PROJECT revert N")
                workbench.packs.revert(_number(number))
            case "export":
                number, dest = _exactly(args.values, 2, "versions PROJECT export N FILE")
                path = workbench.packs.export_version(_number(number), dest)
                return {"file": str(path)}
        return {
            "version": workbench.version,
            "versions": [as_json(step) for step in workbench.versions()],
        }


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
            (pack,) = _exactly(values, 1, f"{told} PACK")
            return as_json(its.teach(pack, progress=progress))
        case "import":
            file, *into = _exactly(values, 2 if len(values) == 2 else 1, f"{told} FILE [PACK]")
            return as_json(its.take(file, pack="".join(into)))
        case "export":
            pack, file = _exactly(values, 2, f"{told} PACK FILE")
            return {"file": str(its.export(pack, file))}
        case "curve":
            return {"curve": [as_json(point) for point in its.curve()]}
        case "move":
            names, pack = _exactly(values, 2, f"{told} LABEL,LABEL PACK")
            its.move(_labels(names), pack)
        case "rename":
            its.rename(*_exactly(values, 2, f"{told} PACK NEW"))
        case "mute" | "unmute":
            its.mute(_exactly(values, 1, f"{told} PACK")[0], action == "mute")
        case "remove":
            its.remove(_exactly(values, 1, f"{told} PACK")[0])
        case "drop":
            its.drop(_exactly(values, 1, f"{told} PACK")[0])
        case "pause" | "resume":
            its.pause(action == "pause")
    return None


def _number(text: str) -> int:
    if not text.isdigit():
        raise BadInputError(f"a version is a number, not {text!r}; see `versions PROJECT list`")
    return int(text)


def export(args: Namespace) -> dict[str, Any]:
    """Write the project in another format."""
    with project(args) as workbench:
        return as_json(workbench.export(args.dest, args.format))


def methods(args: Namespace) -> dict[str, Any]:
    """The catalogue."""
    return {"methods": [asdict(entry) for entry in api.entries(args.shelf)]}


def json_lines(path: Path) -> Iterator[Mapping[str, object]]:
    """Objects of a JSONL file, one per line.

    Raises:
        NotFoundError: no such file.
        BadInputError: names the line that is not a JSON object.
    """
    if not path.is_file():
        raise NotFoundError(f"there is no file {path}")
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise BadInputError(f"{path.name} line {number} is not JSON: {error}") from error
            if not isinstance(row, dict):
                raise BadInputError(f"{path.name} line {number} is not a JSON object")
            yield row


def as_json(value: Any) -> Any:
    """Dataclasses, arrays and paths as plain JSON values; NaN becomes null."""
    if is_dataclass(value) and not isinstance(value, type):
        return {name: as_json(item) for name, item in asdict(value).items()}
    if isinstance(value, Mapping):
        return {str(name): as_json(item) for name, item in value.items()}
    if isinstance(value, np.ndarray):
        return as_json(value.tolist())
    if isinstance(value, list | tuple | set):
        return [as_json(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value) if isinstance(value, Path) else value


def _labels(given: str | None) -> list[str]:
    """A file with one name per line, or names with commas between them."""
    if not given:
        return []
    path = Path(given)
    try:
        is_file = path.is_file()
    except OSError:  # a list longer than a file name may be
        is_file = False
    names = path.read_text(encoding="utf-8").splitlines() if is_file else given.split(",")
    return [name.strip() for name in names if name.strip()]


def _kind_of(path: Path, settings: api.Settings) -> api.Kind | None:
    return preview(path, settings=settings).kind


def _exactly(values: Sequence[str], count: int, usage: str) -> Sequence[str]:
    if len(values) != count:
        raise BadInputError(f"say: patchlane {usage}")
    return values


def _write_explanation(
    workbench: api.Workbench, found: api.Explanation, out: str, several: bool
) -> Path:
    path = Path(out)
    if several or path.suffix not in EXPLAIN_FORMATS:
        path.mkdir(parents=True, exist_ok=True)
        path = path / f"{found.name.replace('/', '__')}.npz"
    if path.suffix == ".png":
        sample = workbench.sample(found.sample)
        if sample.kind != api.Kind.IMAGE:
            raise BadInputError("a text has no picture; write its explanation as .npz")
        best = int(found.scores.argmax())
        picture = decode(workbench.store.media.path(sample))
        painted(picture, found.backward[:, best].reshape(found.layout.grid)).save(path)
        return path
    arrays: dict[str, Any] = {
        "plan": found.plan,
        "forward": found.forward,
        "backward": found.backward,
        "similarity": found.similarity,
        "labels": np.array(found.labels, dtype=np.str_),
        "score": found.scores,
    }
    if found.layout.grid is not None:
        arrays["grid"] = np.array(found.layout.grid, np.int64)
    else:
        arrays["spans"] = np.array(found.layout.spans, np.int64).reshape(-1, 2)
    np.savez(path, **arrays)
    return path
