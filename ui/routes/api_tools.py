"""Patchlane's verbs for programs: Gradio's API and MCP tools, behind the same gate as the pages.

Unqueued on purpose: Gradio calls queued tools through a client of its own that has no
credentials, so behind any sign-in they fail. Answers are JSON in a string, because a tool that
returns a mapping reaches an MCP client as Python's `repr` of it.

A text names a sample or label by its name, and by its id where nothing is called so, as on the
command line: samples called "12" are found as `next` tells of them. A JSON number is an id.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict
from functools import wraps
from typing import Any
from urllib.parse import urlencode

import gradio as gr
import numpy as np
from gradio.events import api as gradio_api

from backend import api
from ui.context import Context
from ui.exports import check_may_export, make_export
from ui.routes.finding import numbers

MAX_SAMPLES = 10_000
MAX_ROWS = 10_000


class Tools:
    """The verbs; each method is one endpoint and one MCP tool, its docstring their description."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def suggest(self, project: str = "", samples: str = "") -> str:
        """Labels that the model suggests for samples, best first, as JSON rows.

        Args:
            project: name of the project; empty means the last opened one
            samples: names or ids, comma separated or a JSON list; a number in a JSON list is an id,
                a text a name before it is an id; empty means all, of a larger project the first
                10,000
        """
        bench = self._bench(project)
        ids = _names(samples)
        wanted = ids or [sample.id for sample in bench.samples()[:MAX_SAMPLES]]
        told = bench.suggest(wanted)
        said = bench.evaluator.suggested([found.sample for found in told])
        rows = [found.as_row(said.get(found.sample, ())) for found in told]
        return _json(rows)

    def explain(
        self,
        sample: str,
        request: gr.Request,
        project: str = "",
        label: str = "",
        top: int = 10,
        aligner: str = "",
    ) -> str:
        """Why: the parts of a sample (patches or words) that carry each label, strongest first.

        Args:
            sample: name of the sample, or its id where none is called so
            request: who asks; the server fills it in
            project: name of the project; empty means the last opened one
            label: only this label, by name, or by id where none is called so; empty means all
            top: how many parts to give for each label
            aligner: maps of another method than the project's, such as maxsim or layered_transport
        """
        bench = self._bench(project)
        who = self._context.user(request)
        found = bench.sample(_wanted(sample))
        why = bench.explain(
            found.id,
            label=_wanted(label) if label not in ("", None) else None,
            who=who,
            aligner=aligner or None,
        )
        labels = []
        for column, name in enumerate(why.labels):
            weights = why.backward[:, column]
            best = np.argsort(-weights, kind="stable")[: max(0, min(top, len(weights)))]
            labels.append(
                {
                    "label": name,
                    "score": float(why.scores[column]),
                    "spread": float(why.spread[column]),
                    "parts": [
                        {
                            "part": int(part),
                            "weight": float(weights[part]),
                            **_place(why.layout, int(part), found.text),
                        }
                        for part in best
                    ],
                }
            )
        grid = list(why.layout.grid) if why.layout.grid else None
        return _json({"sample": why.name, "grid": grid, "labels": labels, "version": why.version})

    def correct(self, rows: str, request: gr.Request, project: str = "", op: str = "") -> str:
        """Store verdicts, durably and as one action that can be undone.

        Args:
            rows: JSON list of {"sample", "label", "verdict": "yes"|"no"|"unsure"|null},
                {"sample", "label", "part": {"box": [x, y, width, height]}, "here": true|false|null}
                (this place shows it, does not, or is no longer marked; also {"polygon": [[x, y],
                ...]}, in 0..1 of the picture, or {"span": [start, end]} of a text) and
                {"sample", "complete": true} (all undecided labels become NO)
            request: who asks; the server fills it in
            project: name of the project; empty means the last opened one
            op: an id of your own; the same id again is stored once
        """
        self._context.writable()
        try:
            found = json.loads(rows)
        except (ValueError, RecursionError) as error:  # the latter: lists in lists in lists
            raise api.BadInputError(f"rows is not JSON: {error}") from error
        if isinstance(found, dict):
            found = [found]
        if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
            raise api.BadInputError("rows is not a list of objects")
        if len(found) > MAX_ROWS:
            raise api.BadInputError(f"{len(found):,} rows at once; the limit is {MAX_ROWS:,}")
        bench = self._bench(project)
        receipt = bench.correct(found, who=self._context.user(request), op=op or None)
        told = {"op": receipt.op, "offset": receipt.offset, "pairs": len(receipt.pairs)}
        return _json({"project": bench.name, **told})

    def next(self, request: gr.Request, project: str = "", k: int = 20, picker: str = "") -> str:
        """What to label next, each with the reason.

        Args:
            request: who asks; the server fills it in
            project: name of the project; empty means the last opened one
            k: how many
            picker: stages, doubt, margin, entropy, width, gradients, centres, part_centres,
                disagreement, rarity, typicality or random; empty means the project's own
        """
        who = self._context.user(request)
        entries = self._bench(project).next(_bounded(k), picker=picker or None, who=who)
        rows = [
            {"sample": e.name, "picker": e.picker, "reason": e.reason, "score": e.score}
            for e in entries
        ]
        return _json(rows)

    def search(
        self,
        request: gr.Request,
        text: str = "",
        sample: str = "",
        project: str = "",
        k: int = 10,
        region: str = "",
        query: str = "",
        like: str = "",
        unlike: str = "",
    ) -> str:
        """Samples that are like a text or other samples, or of which a formula holds, best first.

        Args:
            request: who asks; the server fills it in
            text: words to look for
            sample: name of a sample to find more of, or its id where none is called so
            project: name of the project; empty means the last opened one
            k: how many
            region: only this part of the sample's picture, as x, y, width, height in 0..1
            query: a formula over labels, such as cat & ~dog; the score is the chance that it is
                true
            like: several samples to find more of, as in suggest
            unlike: beside like, samples that the results should not be like
        """
        hits = self._bench(project).search(
            text=text or None,
            sample=_wanted(sample) if sample not in ("", None) else None,
            region=numbers(region) if region else None,
            query=query or None,
            like=_names(like),
            unlike=_names(unlike),
            k=_bounded(k),
            who=self._context.user(request),
        )
        rows = [{"sample": h.name, "score": h.score, "parts": list(h.parts)} for h in hits]
        return _json(rows)

    def slices(
        self,
        request: gr.Request,
        action: str = "list",
        name: str = "",
        samples: str = "",
        project: str = "",
        op: str = "",
    ) -> str:
        """Named sets of samples: which there are, put samples in, take them out, or forget one.

        Saved durably, each as one action that can be undone; slice:NAME is a filter of evaluate.

        Args:
            request: who asks; the server fills it in
            action: list, save (makes the slice if it is new), take (samples out of it) or remove
            name: of the slice
            samples: as in suggest; for save and take
            project: name of the project; empty means the last opened one
            op: an id of your own; the same id again is stored once
        """
        bench = self._bench(project)
        if action != "list":
            self._context.writable()
            who, ids = self._context.user(request), _names(samples)
            if action == "save":
                bench.save_slice(name, ids, who=who, op=op or None)
            elif action == "take":
                bench.take_from_slice(name, ids, who=who, op=op or None)
            elif action == "remove":
                bench.remove_slice(name, who=who, op=op or None)
            else:
                raise api.BadInputError(
                    f"unknown action {action!r}; there are list, save, take and remove"
                )
        found = bench.saved_slices().items()
        return _json([{"slice": name, "samples": len(ids)} for name, ids in found])

    def evaluate(
        self,
        project: str = "",
        split: str = "held-back",
        filters: str = "",
        unknown: str = "masked",
    ) -> str:
        """How good the suggestions are on decided labels: mAP, CF1, OF1, AP per label, ECE.

        Args:
            project: name of the project; empty means the last opened one
            split: held-back, val or test
            filters: only samples that match all of these, one a line, such as label:cat:yes,
                source:phone, meta:season:spring or said:cat:no
            unknown: what a label without a verdict is: masked (left out), no, or complete (only
                samples decided on all labels)
        """
        told = self._bench(project).evaluate(
            split, filters=filters.split("\n") if filters else (), unknown=unknown
        )
        return _json(asdict(told))

    def export(
        self,
        request: gr.Request,
        project: str = "",
        format: str = "jsonl",
        has_media: bool = True,
        split: str = "",
    ) -> str:
        """Write the labels into the project's own folder; says what the format cannot hold.

        Args:
            request: who asks; the server fills it in
            project: name of the project; empty means the last opened one
            format: jsonl, csv, coco or yolo; jsonl-by-person or csv-by-person for each one's own
                verdicts instead of what counts
            has_media: put the pictures into it; without them they are named as they came in
            split: only samples of train, val or test; empty means all
        """
        self._context.writable()
        bench = self._bench(project)
        check_may_export(bench, self._context.user(request))
        made = make_export(bench, format, has_media=has_media, split=split or None)
        address = f"/pl/api/exports/{made.name}?{urlencode({'project': bench.name})}"
        return _json({**asdict(made), "project": bench.name, "download": address})

    def _bench(self, project: str) -> api.Workbench:
        return self._context.open(project or None)


def register(context: Context) -> None:
    """Offer the verbs; called inside `gr.Blocks`."""
    tools = Tools(context)
    for verb in (
        tools.suggest,
        tools.explain,
        tools.correct,
        tools.next,
        tools.search,
        tools.slices,
        tools.evaluate,
        tools.export,
    ):
        gradio_api(_said(verb), api_name=verb.__name__, queue=False)


def _said(verb: Callable[..., str]) -> Callable[..., str]:
    """The same function, with mendable errors said to the caller instead of hidden."""

    @wraps(verb)
    def call(*given: Any, **named: Any) -> str:
        try:
            return verb(*given, **named)
        except api.PatchlaneError as error:
            raise gr.Error(str(error), print_exception=False) from error

    return call


def _wanted(given: object) -> int | str:
    """What names a sample or a label: a JSON number is an id, a text a name before it is an id."""
    if isinstance(given, bool) or not isinstance(given, int | str):
        raise api.BadInputError(f"{json.dumps(given)[:100]} is neither a name nor an id")
    return given


def _names(given: object) -> list[int | str]:
    """What names samples, from a list, JSON of one, or separated by commas."""
    if isinstance(given, str) and given.strip().startswith("["):
        try:
            given = json.loads(given)
        except (ValueError, RecursionError) as error:
            raise api.BadInputError(f"samples is not a JSON list: {error}") from error
    if isinstance(given, str):
        return [part.strip() for part in given.split(",") if part.strip()]
    if given is None:
        return []
    return [_wanted(one) for one in (given if isinstance(given, list) else [given])]


def _bounded(k: int) -> int:
    if not 1 <= k <= MAX_SAMPLES:
        raise api.BadInputError(f"k is {k}; give 1 to {MAX_SAMPLES:,}")
    return int(k)


def _place(layout: Any, part: int, text: str | None) -> dict[str, object]:
    """Where a part is: row and column of the grid, or its words."""
    if layout.grid is not None:
        return {"row": part // layout.grid[1], "column": part % layout.grid[1]}
    start, end = layout.spans[part]
    return {"span": [start, end], "text": (text or "")[start:end]}


def _json(value: object) -> str:
    return json.dumps(_finite(value), ensure_ascii=False)


def _finite(value: Any) -> Any:
    """JSON knows no NaN: unknown numbers become null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return value
