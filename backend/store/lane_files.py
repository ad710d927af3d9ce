"""Lanes on disk: one small safetensors file each, named by the SHA-256 of its arrays.

A lane that was trained here could be trained again, one that came from elsewhere could not, so
all of them lie outside the cache. The same file is what a person exports and imports; beside the
arrays of the lane it may hold those of the heads that read it. Reading one never runs anything:
the header is JSON of bounded size, and names, shapes and the hash are checked.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from backend.errors import BadInputError
from backend.store.media import write_whole
from backend.types import Lane

FORMAT = "patchlane-lane"
LANE = "lane."
HEAD = "head."
MOST_LABELS = 5000
MOST_KNOWN = 32
"""Lanes of a project that are kept in memory; more than it has in use."""
_MOST_BYTES = 256 * 2**20
_MOST_HEADER = 4 * 2**20


@dataclass(frozen=True)
class LaneFile:
    """What a lane file holds.

    Attributes:
        lane: without ids of labels, which mean nothing elsewhere.
        names: of its labels, in the order of the heads' rows.
        heads: arrays with the labels on axis 0; may be empty.
        encoder: id of the encoder it lives in, for people.
    """

    lane: Lane
    names: tuple[str, ...] = ()
    heads: Mapping[str, np.ndarray] = field(default_factory=dict)
    encoder: str = ""


def digest_of(arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of a lane's arrays, by name and shape."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].shape} {arrays[name].dtype}".encode())
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()


def pack_lane(content: LaneFile) -> bytes:
    """The bytes of a lane file."""
    lane = content.lane
    told = {
        "format": FORMAT,
        "pack": lane.pack,
        "names": list(content.names),
        "lane_key": lane.lane_key,
        "maker": lane.maker,
        "share": lane.share,
        "digest": lane.digest,
        "heads_digest": digest_of(content.heads),
        "encoder": content.encoder,
    }
    arrays = {LANE + name: np.ascontiguousarray(array) for name, array in lane.arrays.items()}
    arrays |= {HEAD + name: np.ascontiguousarray(array) for name, array in content.heads.items()}
    return save(arrays, metadata={"patchlane": json.dumps(told)})


def unpack_lane(content: bytes, *, name: str = "the file") -> LaneFile:
    """Read a lane file.

    Raises:
        BadInputError: it is no lane file, or was cut off or changed.
    """
    try:
        told = _told(content)
        arrays = load(content)
        lane_arrays = {
            key.removeprefix(LANE): array for key, array in arrays.items() if key.startswith(LANE)
        }
        heads = {
            key.removeprefix(HEAD): array for key, array in arrays.items() if key.startswith(HEAD)
        }
        names = tuple(str(one) for one in told["names"])
        lane = Lane(
            pack=str(told["pack"]),
            labels=(),
            lane_key=str(told["lane_key"]),
            arrays=lane_arrays,
            share=float(told["share"]),
            digest=str(told["digest"]),
            maker=str(told["maker"]),
        )
        encoder = str(told.get("encoder", ""))
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise BadInputError(
            f"{name} is no lane of Patchlane, or it was cut off ({type(error).__name__})"
        ) from error
    heads_digest = told.get("heads_digest", digest_of({}))
    if digest_of(lane_arrays) != lane.digest or digest_of(heads) != heads_digest:
        raise BadInputError(f"{name} was changed: its arrays are not those its header names")
    if len(set(names)) != len(names) or len(names) > MOST_LABELS:
        raise BadInputError(f"{name} names a label twice, or more than {MOST_LABELS} labels")
    if any(len(array) != len(names) for array in heads.values()):
        raise BadInputError(f"{name} holds heads of another number of labels than it names")
    if not 0 <= lane.share <= 1:
        raise BadInputError(f"{name} has a share of {lane.share}; it is between 0 and 1")
    return LaneFile(lane, names, heads, encoder)


def _told(content: bytes) -> dict[str, Any]:
    """The JSON that the header carries."""
    if not 8 < len(content) <= _MOST_BYTES:
        raise ValueError("too short or too long")
    size = int.from_bytes(content[:8], "little")
    if not 0 < size <= min(_MOST_HEADER, len(content) - 8):
        raise ValueError("no header")
    header = json.loads(content[8 : 8 + size])
    told = json.loads(header["__metadata__"]["patchlane"])
    if told["format"] != FORMAT:
        raise ValueError("another format")
    return told


class LaneStore:
    """The lanes of one project."""

    def __init__(self, project: Path) -> None:
        self.folder = project / "lanes"
        self._known: OrderedDict[str, Lane] = OrderedDict()  # the one used last at the end
        self._lock = threading.Lock()

    def save(self, lane: Lane) -> None:
        """Keep a lane; on the disk when this returns. A damaged file of it is replaced.

        Raises:
            SaveError: it could not be written.
        """
        if self._read(self.path(lane.digest)) is None:
            content = pack_lane(LaneFile(lane))
            self._write(self.path(lane.digest), content)

    def load(self, digest: str) -> Lane | None:
        """A lane by its digest; None if it is gone or damaged."""
        with self._lock:
            lane = self._known.pop(digest, None)
        if lane is None:
            content = self._read(self.path(digest))
            if content is None or content.lane.digest != digest:
                return None
            lane = content.lane
        with self._lock:
            self._known[digest] = lane
            if len(self._known) > MOST_KNOWN:
                self._known.popitem(last=False)
        return lane

    def save_import(self, content: bytes) -> str:
        """Keep a lane file as it came, with its heads; returns the name that `load_import` takes.

        Raises:
            SaveError: it could not be written.
        """
        name = hashlib.sha256(content).hexdigest()
        self._write(self._import(name), content)
        return name

    def load_import(self, name: str) -> LaneFile | None:
        """A file that `save_import` kept; None if it is gone or damaged."""
        try:
            content = self._import(name).read_bytes()
        except OSError:
            return None
        if hashlib.sha256(content).hexdigest() != name:
            return None
        return unpack_lane(content)

    def _write(self, path: Path, content: bytes) -> None:
        write_whole(path, content, project=self.folder.parent, is_precious=True)

    def _read(self, path: Path) -> LaneFile | None:
        try:
            return unpack_lane(path.read_bytes())
        except (OSError, BadInputError):
            return None

    def _import(self, name: str) -> Path:
        return self.path(name).with_suffix(".import.safetensors")

    def path(self, digest: str) -> Path:
        """Where the lane with this digest lies.

        Raises:
            BadInputError: it is no digest.
        """
        if not digest.isalnum():
            raise BadInputError(f"{digest!r} names no lane")
        return self.folder / f"{digest}.safetensors"
