"""Lanes and versions as files that a person takes home, and lanes that come from elsewhere."""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from backend import replay
from backend.errors import BadInputError, NotFoundError
from backend.lane_steps import TeachReport, one_step, swap
from backend.live import Live
from backend.pack_facts import check_lanes, labels_of, lane_of, note_taught
from backend.store.lane_files import LaneFile, pack_lane, unpack_lane
from backend.store.media import write_whole
from backend.store.naming import clean_label

MOST_LANE_FILE = 256 * 2**20


def export(bench: Live, pack: str, dest: str | Path) -> Path:
    """Write the lane of a pack with the heads that read it as one safetensors file.

    Raises:
        NotFoundError: no such pack, or it has no lane yet.
    """
    learned = bench.learned
    labels = labels_of(bench, pack)
    lane = lane_of(learned, {label.id for label in labels})
    if lane is None:
        raise NotFoundError(f"the pack {pack!r} has no lane yet; teach it first")
    columns = learned.columns
    served = [label for label in labels if label.id in lane.labels and label.id in columns]
    rows = [columns[label.id] for label in served]
    content = LaneFile(
        lane=replace(lane, pack=pack),
        names=tuple(label.name for label in served),
        heads={name: learned.learner[name][rows] for name in ("mix", "weights", "offset")},
        encoder=bench.pipeline.encoder.id,
    )
    path = Path(dest).expanduser()
    if path.is_dir():
        path = path / f"{_file_name(pack)}.safetensors"
    write_whole(path, pack_lane(content))
    return path


def export_version(bench: Live, version: int, dest: str | Path) -> Path:
    """Write what a version learned, heads and calibration, as one safetensors file.

    Lanes go home one by one, see `export`; the file names the digests of those it reads.
    """
    learned = replay.at_version(bench.store, bench.pipeline, bench.board, bench.room, version)
    names = {label.id: label.name for label in bench.board.labels}
    told = {
        "version": version,
        "encoder": bench.pipeline.encoder.id,
        "labels": [names.get(label, "") for label in learned.labels],
        "lanes": [lane.digest for lane in learned.lanes],
    }
    path = Path(dest).expanduser()
    if path.is_dir():
        path = path / f"version-{version}.safetensors"
    arrays = {name: np.ascontiguousarray(x) for name, x in learned.as_arrays().items()}
    write_whole(path, save(arrays, metadata={"patchlane": json.dumps(told)}))
    return path


def take(
    bench: Live, source: str | Path | bytes, *, pack: str = "", who: str = "me", name: str = ""
) -> TeachReport:
    """Import a lane file as a pack: labels are found by name, or added.

    Args:
        bench: the open project.
        source: a path, or the content.
        pack: where labels that are new go; the name in the file by default. Known labels
            stay in the pack they are in, and are served by this lane from now on.
        who: adds the labels.
        name: of the content, for messages.

    Raises:
        BadInputError: no lane file, cut off, of another encoder or learner; nothing changed.
    """
    started = time.monotonic()
    check_lanes(bench)
    if isinstance(source, bytes):
        content, told = source, name or "the file"
    else:
        path = Path(source).expanduser()
        told = name or path.name
        if not path.is_file():
            raise BadInputError(f"there is no file {path}")
        if path.stat().st_size > MOST_LANE_FILE:
            raise BadInputError(f"{told} is larger than any lane")
        content = path.read_bytes()
    found = unpack_lane(content, name=told)
    _check_fits(bench, found, told)
    pack = clean_label(pack or found.lane.pack, bench.settings.limits.label_characters)
    # What takes long or may fail comes before anything is changed.
    bench.room.filled(bench.board, (*bench.learned.lanes, found.lane))
    with one_step(bench, folds=True):
        known = {label.name for label in bench.store.labels()}
        new = [one for one in found.names if one not in known]
        if new:
            bench.store.add_labels(new, pack=pack, who=who)
            bench.resync()
        ids = tuple(bench.store.find_label(one).id for one in found.names)
        lane = replace(found.lane, pack=pack, labels=ids)
        bench.store.lanes.save(lane)
        file = bench.store.lanes.save_import(content)
        detail = {"pack": pack, "labels": list(ids), "digest": lane.digest, "file": file}
        report = swap(bench, lane, kind="import", detail=detail, heads=found.heads, started=started)
        # What was brought is not trained over at once.
        note_taught(bench, *{label.pack for label in bench.board.labels if label.id in ids})
        return report


def _check_fits(bench: Live, found: LaneFile, told: str) -> None:
    pipeline = bench.pipeline
    host, teacher = pipeline.host, pipeline.teacher
    if host is None or teacher is None:
        raise BadInputError(bench.room.refusal)
    if not found.names:
        raise BadInputError(f"{told} serves no labels; nothing was changed")
    if found.lane.lane_key != host.lane_key:
        where = f" ({found.encoder})" if found.encoder else ""
        raise BadInputError(
            f"{told} lives in another encoder{where} than this project "
            f"({pipeline.encoder.id}); nothing was changed"
        )
    if found.lane.maker != teacher.maker:
        raise BadInputError(
            f"{told} is a lane of another shape ({found.lane.maker}) than this project's "
            f"({teacher.maker}); nothing was changed"
        )
    try:
        teacher.check_lane(bench.room.network(), dict(found.lane.arrays))
        if found.heads:
            count = len(found.names)
            fresh = pipeline.learner.start(count, pipeline.encoder.dim)
            teacher.anchored(fresh, range(count), dict(found.heads))
    except BadInputError as error:
        raise BadInputError(f"{told} does not fit: {error}; nothing was changed") from error


def _file_name(pack: str) -> str:
    """A pack's name as that of a file in the folder that was asked for, and nowhere else."""
    return re.sub(r"[^\w .-]+", "_", pack).strip(". ") or "pack"
