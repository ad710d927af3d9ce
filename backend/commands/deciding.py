"""Store verdicts, learn from them, say what is certain and what to look at next."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from backend import api
from backend.certainty import LEVEL
from backend.commands.speaking import as_json, json_lines, progress, project, say
from backend.errors import BadInputError
from backend.verdict_rows import answers


def correct(args: Namespace) -> dict[str, Any]:
    """Store verdicts from JSONL, durably, all or none."""
    rows = list(json_lines(Path(args.source)))
    if not rows:
        raise BadInputError(f"{args.source} holds no verdicts")
    with project(args) as workbench:
        if args.adjudicate:
            receipt = workbench.people.adjudicate(_decisions(workbench, rows), who=args.who)
        else:
            receipt = workbench.correct(rows, who=args.who)
        twice = _contradicted(workbench, rows)
    if twice:
        pairs = "1 pair has" if len(twice) == 1 else f"{len(twice)} pairs have"
        say(f"{pairs} different verdicts in this file, and the last one counts: {twice[0]}")
    return {
        "stored": len(receipt.pairs),
        "contradicted": len(twice),
        "op": receipt.op,
        "offset": receipt.offset,
    }


def _contradicted(workbench: api.Workbench, rows: Sequence[Mapping[str, object]]) -> list[str]:
    """Pairs that several rows say different things of, in words."""
    said: dict[tuple[int | str, int | str], list[str]] = {}
    for asked in answers(rows):
        if asked.label is not None and asked.part is None:
            said.setdefault((asked.sample, asked.label), []).append(str(asked.verdict or "null"))
    found = []
    for (sample, label), words in said.items():
        if len(set(words)) > 1:
            name, what = workbench.sample(sample).name, workbench.label(label).name
            found.append(f"{what!r} on {name!r}: {', then '.join(words)}")
    return found


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
                is_sized = any(v is not None for v in (args.share, args.samples, args.level))
                certainty.open_drawer(
                    share=args.share,
                    samples=args.samples,
                    level=args.level if is_sized else LEVEL,
                    who=args.who,
                )
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
