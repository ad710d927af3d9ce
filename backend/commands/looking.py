"""What the model believes and why, what is like what, which methods there are."""

from __future__ import annotations

import json
from argparse import Namespace
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from backend import api
from backend.commands.speaking import as_json, progress, project, say, written
from backend.errors import BadInputError, NotFoundError
from backend.heatmap import painted
from backend.images import decode

EXPLAIN_FORMATS = (".npz", ".png")


def suggest(args: Namespace) -> dict[str, Any]:
    """Scores of all labels, best first; also as JSONL."""
    with project(args) as workbench:
        told = workbench.suggest(args.ids or None)
        said = workbench.evaluator.suggested([found.sample for found in told])
        rows = [found.as_row(said.get(found.sample, ())) for found in told]
    if args.out:
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        with written(args.out) as path:
            path.write_text(lines, encoding="utf-8")
        return {"written": args.out, "samples": len(rows)}
    return {"suggestions": rows}


def explain(args: Namespace) -> dict[str, Any]:
    """Which part carries which label: as numbers (NPZ) or as a picture (PNG)."""
    if args.check:
        return _check(args)
    if not args.samples:
        raise BadInputError("name a sample, or say --check to look at all that have regions")
    with project(args) as workbench:
        several = len(args.samples) > 1
        if several and args.out and Path(args.out).suffix in EXPLAIN_FORMATS:
            raise BadInputError(f"several samples go into a folder, and {args.out} is one file")
        files, rows = [], []
        for name in args.samples:
            found = workbench.explain(name, label=args.label, aligner=args.aligner)
            if args.out:
                with written(args.out) as out:
                    files.append(str(_write_explanation(workbench, found, out, several)))
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


def _write_explanation(
    workbench: api.Workbench, found: api.Explanation, path: Path, several: bool
) -> Path:
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


def _check(args: Namespace) -> dict[str, Any]:
    """Whether maps are what scores rest on; of all samples with regions where none is named."""
    with project(args) as workbench:
        if not args.samples:
            return _placed(workbench, args.aligner)
        found = []
        for name in args.samples:
            label = args.label
            if label is None:
                label = workbench.suggest([name])[0].suggestions[0].label
            curves = api.check(workbench, name, label, aligner=args.aligner, progress=progress)
            say(f"{curves.name}: {curves.verdict}")
            found.append(as_json(curves))
        return {"checks": found}


def _placed(workbench: api.Workbench, aligner: str | None) -> dict[str, Any]:
    found = api.placements(workbench, aligner=aligner, progress=progress)
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


def search(args: Namespace) -> dict[str, Any]:
    """Samples like a text, a picture or a region of one, or of which a formula is probably true."""
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
            query=args.query,
            like=args.like or (),
            unlike=args.unlike or (),
            k=args.k,
        )
    return {"results": [{"sample": h.name, "score": h.score, "parts": h.parts} for h in hits]}


def methods(args: Namespace) -> dict[str, Any]:
    """The catalogue."""
    return {"methods": [asdict(entry) for entry in api.entries(args.shelf)]}
