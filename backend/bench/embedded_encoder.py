"""The embedded encoder, measured beside the untrained combination and a random network.

`patchlane reproduce embedded-encoder` measures the weights that ship, through the encoder that the
product uses; with `--train` it first trains them again. Claims and how long it takes:
`assets/recipes/embedded-encoder.toml`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float

from backend.bench._embedded_assets import (
    write_dictionary,
    write_encoder,
    write_mean_cells,
    write_scale,
)
from backend.bench._embedded_cache import stretch, trunk_engine
from backend.bench._embedded_data import MOSAICS, load_photos, read_rows, usable_mosaics
from backend.bench._embedded_measures import (
    LOCAL_SHARE,
    PhotoSet,
    Scene,
    encode_files,
    fit_scale,
    heads,
    measure_scene,
    naming,
    read_pictures,
)
from backend.bench._embedded_training import TrainingSettings, train
from backend.bench.claims import read_claims, report
from backend.bench.reports import Row, row
from backend.methods.encoders._parts_transformer import Combination, PartsTransformer
from backend.methods.encoders._trunk import random_trunk
from backend.methods.encoders.embedded import CONSTANTS, EmbeddedEncoder, EmbeddedNetwork
from backend.settings import Settings
from backend.types import ScoreScale

Say = Callable[[str], None]

NAME = "embedded-encoder"
SCENES = ("coco_mini", MOSAICS)
TRUNK_SIZE = 160


@dataclass(frozen=True)
class Measured:
    """Everything measured of one encoder.

    Attributes:
        scenes: by pack.
        named: by "seen" and "unseen", of each val photo whether its label came first.
        probed: by "linear probe" and "kNN", the same for heads on top; empty if not measured.
        images_per_second: of `encode`, pictures already decoded.
    """

    scenes: dict[str, Scene]
    named: dict[str, Bool[np.ndarray, " n"]]
    probed: dict[str, Bool[np.ndarray, " n"]] = field(default_factory=dict)
    images_per_second: float = 0.0

    def figures(self, seed: int | None = None) -> dict[str, float]:
        """All figures; with a seed, of a bootstrap sample of the pictures."""
        rng = None if seed is None else np.random.default_rng(seed)

        def some(count: int) -> np.ndarray:
            return np.arange(count) if rng is None else rng.integers(count, size=count)

        found = {
            f"{pack} {name}": value
            for pack, scene in self.scenes.items()
            for name, value in scene.figures(some(len(scene.truth))).items()
        }
        for name, right in (*self.named.items(), *self.probed.items()):
            found[name] = float(right[some(len(right))].mean())
        return found


class RandomEncoder(EmbeddedEncoder):
    """The same network with nothing learned anywhere: what the architecture alone can do."""

    def network(self) -> EmbeddedNetwork:
        """A network of the same shape, every tensor drawn at random."""
        torch.manual_seed(0)
        trunk = random_trunk()
        head = trunk.get_submodule("classifier")
        weight, bias = head.get_parameter("weight").data, head.get_parameter("bias").data
        combination = Combination(
            weight, bias, torch.randn(len(weight), self.dim), temperature=1.0, keep=50
        )
        transformer = PartsTransformer(combination, combination, self.shape)
        torch.nn.init.normal_(transformer.out.weight, std=0.05)
        network = EmbeddedNetwork(trunk, transformer, self.output)
        return network.eval().requires_grad_(False)


def measure(
    encoder: EmbeddedEncoder, data: Path, photos: PhotoSet, say: Say, *, with_heads: bool
) -> Measured:
    """Scenes, names of photos and, where asked, heads on top."""
    scenes = {}
    for pack in SCENES:
        rows = scene_rows(data, pack)
        encoded = encode_files(encoder, data, pack, [r["file"] for r in rows], say)
        scenes[pack] = measure_scene(encoder, encoded, rows)
    val = _pooled(encoder, data, photos.val, say)
    named = {
        f"top-1 {word}": naming(encoder, val, photos, unseen=word == "unseen")
        for word in ("seen", "unseen")
    }
    probed = {}
    if with_heads:
        linear, nearest = heads(_pooled(encoder, data, photos.train, say), val, photos)
        probed = {"linear probe": linear, "kNN": nearest}
    found = Measured(scenes, named, probed, speed(encoder, data))
    figures = ", ".join(f"{name} {value:.3f}" for name, value in found.figures().items())
    say(f"{figures}, {found.images_per_second:.1f} images/s")
    return found


def scene_rows(data: Path, pack: str) -> list[dict]:
    """Rows to measure on: all of coco_mini, which nothing learns from, and val of the mosaics."""
    rows = read_rows(data, pack)
    return rows if pack != MOSAICS else [each for each in rows if each["split"] == "val"]


def _pooled(
    encoder: EmbeddedEncoder, data: Path, rows: Sequence[dict], say: Say
) -> Float[np.ndarray, "n d"]:
    files = [each["file"] for each in rows]
    return encode_files(encoder, data, "pretrain_openphotos", files, say).pooled


def speed(encoder: EmbeddedEncoder, data: Path, *, count: int = 16) -> float:
    """Pictures per second of `encode`, from decoded pixels; the best of three."""
    files = [each["file"] for each in scene_rows(data, "coco_mini")[:count]]
    pictures = read_pictures(data, "coco_mini", files)
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        encoder.encode(pictures)
        seconds.append(time.perf_counter() - started)
    return count / min(seconds)


def measure_trunk(data: Path, photos: PhotoSet, say: Say) -> dict[str, Bool[np.ndarray, " n"]]:
    """Heads on the trunk's mean feature at 160 pixels: what the packaged weights give alone."""
    run = trunk_engine(TRUNK_SIZE, Settings().threads)

    def features(rows: Sequence[dict]) -> Float[np.ndarray, "n c"]:
        found = []
        for start in range(0, len(rows), 64):
            files = [each["file"] for each in rows[start : start + 64]]
            pictures = read_pictures(data, "pretrain_openphotos", files)
            found.append(
                run(np.stack([stretch(np.asarray(each), TRUNK_SIZE) for each in pictures]))[0].mean(
                    1
                )
            )
        say(f"trunk at {TRUNK_SIZE} px: {len(rows)} photos")
        return np.concatenate(found)

    linear, nearest = heads(features(photos.train), features(photos.val), photos)
    return {"linear probe": linear, "kNN": nearest}


def untrained(folder: Path, encoder: EmbeddedEncoder, data: Path) -> EmbeddedEncoder:
    """The combination alone, at the same input size: labels by name, equal shares of the scores."""
    constants = json.loads((encoder.folder / CONSTANTS).read_text(encoding="utf-8"))
    constants["output"] |= {
        "learned_parts": 0.0,
        "learned_whole": 0.0,
        "smooth": False,
        "whole_from_parts": 0.0,
    }
    constants.pop("dictionary", None)
    (folder / constants["file"]).symlink_to((encoder.folder / constants["file"]).resolve())
    (folder / CONSTANTS).write_text(json.dumps(constants), encoding="utf-8")
    settings = EmbeddedEncoder.Settings(folder=str(folder))
    write_scale(folder, measure_scale(settings, data, every=3, local_share=0.5))
    return EmbeddedEncoder(EmbeddedEncoder.Settings(folder=str(folder)))


def measure_scale(
    settings: EmbeddedEncoder.Settings,
    data: Path,
    *,
    every: int = 1,
    local_share: float = LOCAL_SHARE,
) -> ScoreScale:
    """The scale of an encoder, from training mosaics and the labels seen in training.

    Args:
        settings: names the encoder.
        data: folder of the data packs.
        every: takes each so manieth mosaic; a third is enough for a baseline.
        local_share: of the transport score in the shipped score.
    """
    encoder = EmbeddedEncoder(settings)
    files = [str(path.relative_to(data / MOSAICS)) for path, _ in usable_mosaics(data)[::every]]
    encoded = encode_files(encoder, data, MOSAICS, files, lambda _: None)
    labels = encoder.encode_labels(load_photos(data).names)
    return fit_scale(
        encoded.pooled,
        np.stack(encoded.parts),
        labels,
        temperature=encoder.scale.temperature,
        local_share=local_share,
    )


def train_again(data: Path, say: Say) -> Path:
    """Train from the packs, or go on where an earlier run stopped; the shipped files stay."""
    folder = Settings.from_environ().home / "training" / NAME
    settings = TrainingSettings()
    started = time.monotonic()
    transformer, space = train(
        data, folder, settings, progress=lambda done, total, note: say(f"{note}: {done}/{total}")
    )
    out = folder / "encoder"
    shipped = EmbeddedEncoder()
    facts = {**asdict(settings), "seconds": round(time.monotonic() - started)}
    write_encoder(out, transformer, space, shipped.output, scale=shipped.scale, training=facts)
    write_dictionary(out)
    write_mean_cells(out, np.load(folder / "photos.npy", mmap_mode="r"))
    write_scale(out, measure_scale(EmbeddedEncoder.Settings(folder=str(out)), data))
    say(f"trained weights are in {out}; the shipped ones were left as they are")
    return out


def reproduce(*, seeds: int, train: bool, data: Path, progress: Say) -> dict[str, Any]:
    """Measure the shipped weights, or those trained again, beside the baselines.

    Args:
        seeds: bootstrap samples of the pictures; their deviation is the spread of a difference.
        train: train first.
        data: folder of the data packs.
        progress: told what is being done.

    Returns:
        The promised report; `figures` holds everything measured, by encoder.
    """
    started = time.monotonic()
    folder = train_again(data, progress) if train else Path()
    settings = EmbeddedEncoder.Settings(folder=str(folder) if train else "")
    photos = PhotoSet.read(data)
    measured = measure_all(settings, data, photos, progress)
    figures = {name: each.figures() for name, each in measured.items()}
    for name, each in measured.items():
        figures[name]["images/s"] = each.images_per_second
    trunk = measure_trunk(data, photos, progress)
    alone = {name: float(right.mean()) for name, right in trunk.items()}
    figures["trunk alone, 160 px"] = alone
    claims = [claim_of(each, measured, alone, seeds) for each in read_claims(NAME)]
    return report(NAME, "own", started=started, claims=claims, figures=figures)


def measure_all(
    settings: EmbeddedEncoder.Settings, data: Path, photos: PhotoSet, say: Say
) -> dict[str, Measured]:
    """The encoder, the untrained combination and a random network, one after the other."""
    encoder = EmbeddedEncoder(settings)
    found = {}
    say("the encoder that ships")
    found["encoder"] = measure(encoder, data, photos, say, with_heads=True)
    with TemporaryDirectory(prefix="patchlane-untrained-") as folder:
        say("the untrained combination")
        plain = untrained(Path(folder), encoder, data)
        found["untrained"] = measure(plain, data, photos, say, with_heads=False)
    say("a random network")
    found["random"] = measure(RandomEncoder(settings), data, photos, say, with_heads=False)
    return found


def claim_of(
    claim: dict[str, Any], measured: dict[str, Measured], trunk: dict[str, float], seeds: int
) -> dict[str, Any]:
    """One claim with its figures; it holds where the figure reaches what is asked."""
    figure = claim["figure"]
    value = measured["encoder"].figures()[figure]
    by_trunk = claim["baseline"] == "trunk alone"
    baseline = trunk[figure] if by_trunk else measured["untrained"].figures()[figure]
    differences = []
    for seed in range(max(2, seeds)):
        other = baseline if by_trunk else measured["untrained"].figures(seed)[figure]
        differences.append(measured["encoder"].figures(seed)[figure] - other)
    return {
        "claim": claim["claim"],
        "data": claim["data"],
        "metric": claim["metric"],
        "baseline": round(baseline, 4),
        "measured": round(value, 4),
        "difference": round(value - baseline, 4),
        "spread": round(float(np.std(differences)), 4),
        "seeds": max(2, seeds),
        "holds": bool(value >= claim["reach"]),
        "expected": claim["expected"],
    }


def rows(settings: Settings) -> Iterator[Row]:
    """The encoder's rows of `patchlane bench foundation`."""
    photos = PhotoSet.read(settings.data)
    encoder = EmbeddedEncoder(EmbeddedEncoder.Settings(threads=settings.threads))
    figures = measure(encoder, settings.data, photos, lambda _: None, with_heads=True).figures()
    with TemporaryDirectory(prefix="patchlane-untrained-") as folder:
        plain = untrained(Path(folder), encoder, settings.data)
        base = measure(plain, settings.data, photos, lambda _: None, with_heads=False).figures()
    base |= {
        name: float(right.mean())
        for name, right in measure_trunk(settings.data, photos, lambda _: None).items()
    }
    for claim in read_claims(NAME):
        yield row(
            f"embedded encoder, {claim['data']}, {claim['metric']}",
            figures[claim["figure"]],
            claim["metric"],
            at_least=claim["reach"],
            baseline=claim["baseline"],
            baseline_value=base[claim["figure"]],
        )
