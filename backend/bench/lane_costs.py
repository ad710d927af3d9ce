"""What it costs to keep what lanes read: time and bytes per sample, and the error of int8.

Photographs of `coco_mini` for the embedded encoder and an open_clip ViT-B-16 of random weights
(costs do not depend on them), texts of `nlupp` for MiniLM. `python -m backend.bench.lane_costs`.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from backend.bench.reports import Row, row
from backend.images import decode
from backend.numerics.halves import quantised, restored, widened
from backend.pipeline import load_encoder
from backend.settings import Settings
from backend.store.token_cache import PRECISIONS, TokenCache
from backend.types import LaneReading

PHOTOGRAPHS, LARGE, TEXTS = 32, 8, 512
STORED = 400
BATCH = 32
ROUNDS = 3


def rows(settings: Settings) -> Iterator[Row]:
    """Per host: encode, read, bytes, and the token cache in both precisions."""
    folder = settings.data / "coco_mini"
    items = [json.loads(line) for line in (folder / "annotations.jsonl").open(encoding="utf-8")]
    photographs = [decode(folder / item["file"], at_least=384) for item in items[:PHOTOGRAPHS]]
    yield from _of_host("embedded", load_encoder("embedded", settings), photographs)
    yield from _of_host("MiniLM", load_encoder("sentence:minilm", settings), _texts(settings))
    with tempfile.TemporaryDirectory(prefix="patchlane-bench-") as place:
        large = load_encoder(f"open_clip:ViT-B-16/{random_vit(Path(place))}", settings)
        yield from _of_host("ViT-B-16", large, photographs[:LARGE])


def _of_host(name: str, encoder: Any, samples: Sequence[Any]) -> Iterator[Row]:
    num = len(samples)
    alone, both = _quickest(lambda: encoder.encode(samples), lambda: encoder.read(samples))
    yield row(
        f"{name}: read a sample", both / num, "ms", baseline="encode", baseline_value=alone / num
    )
    readings: list[LaneReading] = encoder.read(samples)[1]
    kept = [reading.tokens.nbytes + reading.plain.nbytes for reading in readings]
    yield row(f"{name}: bytes of a sample, float16", float(np.mean(kept)), "bytes")
    yield row(f"{name}: error of int8 tokens", _int8_error(readings), "of their length")
    with tempfile.TemporaryDirectory(prefix="patchlane-bench-") as place:
        for precision in PRECISIONS:
            cache = TokenCache(Path(place) / precision, budget_bytes=2**33, precision=precision)
            yield from _of_cache(f"{name}, {precision}", cache, readings)
            cache.close()


def _of_cache(name: str, cache: TokenCache, readings: list[LaneReading]) -> Iterator[Row]:
    count = min(STORED, 1 + 400_000_000 // readings[0].tokens.nbytes)
    many = [readings[number % len(readings)] for number in range(count)]
    keys = [str(number) for number in range(count)]

    def put() -> None:
        for at in range(0, count, BATCH):
            cache.put("lane", keys[at : at + BATCH], many[at : at + BATCH])

    yield row(f"{name}: put a sample", _milliseconds(put) / count, "ms")
    yield row(f"{name}: bytes on disk a sample", cache.bytes / count, "bytes")
    got = _milliseconds(lambda: [len(batch) for batch in cache.iter("lane", keys, BATCH)])
    yield row(f"{name}: get a sample", got / count, "ms")


def _int8_error(readings: Sequence[LaneReading]) -> float:
    """Mean over samples of |int8 - float16| / |float16|, both as one long vector."""
    shares = []
    for reading in readings:
        true, near = widened(reading.tokens), widened(restored(*quantised(reading.tokens)))
        shares.append(np.linalg.norm(near - true) / np.linalg.norm(true))
    return float(np.mean(shares))


def _texts(settings: Settings) -> list[str]:
    lines = (settings.data / "nlupp" / "data.jsonl").open(encoding="utf-8")
    return [json.loads(line)["text"] for line in lines][:TEXTS]


def random_vit(folder: Path) -> Path:
    """Weights of an open_clip ViT-B-16 drawn at random, as a file in `folder`."""
    # After the encoders' own modules, which make torchvision importable.
    import open_clip  # noqa: PLC0415
    from safetensors.torch import save_file  # noqa: PLC0415

    network = open_clip.create_model("ViT-B-16", load_weights=False)
    save_file(
        {n: t.contiguous() for n, t in network.state_dict().items()}, folder / "vit.safetensors"
    )
    return folder / "vit.safetensors"


def _quickest(*works: Callable[[], object]) -> list[float]:
    """Milliseconds of each one's quickest run, in turns; the first compiles and is left out."""
    for work in works:
        work()
    turns = [[_milliseconds(work) for work in works] for _ in range(ROUNDS)]
    return [min(each) for each in zip(*turns, strict=True)]


def _milliseconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1e3


if __name__ == "__main__":
    for found in rows(Settings.from_environ()):
        beside = f" ({found.baseline} {found.baseline_value:.2f})" if found.baseline else ""
        sys.stdout.write(f"{found.name}: {found.value:.4g} {found.unit}{beside}\n")
        sys.stdout.flush()
