"""The embedded encoder, measured beside the untrained combination and a random network.

`patchlane reproduce embedded-encoder` measures the weights that ship, through the encoder that the
product uses; with `--train` it first trains them again. Claims and how long it takes:
`assets/recipes/embedded-encoder.toml`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from backend.bench._embedded_data import MOSAICS, PACK, read_rows
from backend.bench._embedded_heads import Photos, heads
from backend.bench._embedded_measures import (
    PhotoSet,
    Scene,
    encode_files,
    measure_scale,
    measure_scene,
    naming,
    read_pictures,
)
from backend.bench._embedded_training import TrainingSettings, train
from backend.bench._embedded_vectors import TRUNK_SIZE, kept_trunk, kept_vectors
from backend.bench.claims import read_claims, report
from backend.bench.embedded_captions import fit_captions
from backend.bench.embedded_layers import fit_layers
from backend.bench.reports import Row, row
from backend.methods.encoders._parts_transformer import Combination, PartsTransformer
from backend.methods.encoders._trunk import random_trunk
from backend.methods.encoders.embedded import CONSTANTS, EmbeddedEncoder, EmbeddedNetwork
from backend.settings import Settings

Say = Callable[[str], None]

NAME = "embedded-encoder"
SCENES = ("coco_mini", MOSAICS)
TRUNK_ALONE = f"trunk alone, {TRUNK_SIZE} px"


@dataclass(frozen=True)
class Measured:
    """Everything measured of one encoder.

    Attributes:
        scenes: by pack.
        named: by "seen" and "unseen", of each val photo whether its label came first.
        probed: the same for heads on top, by what they are and read; empty if not measured.
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
    encoder: EmbeddedEncoder,
    data: Path,
    photos: PhotoSet,
    say: Say,
    *,
    heads_in: Path | None = None,
) -> Measured:
    """Scenes, names of photos and, where a folder for their vectors is given, heads on top."""
    scenes = {}
    for pack in SCENES:
        rows = scene_rows(data, pack)
        encoded = encode_files(encoder, data, pack, [r["file"] for r in rows], say)
        scenes[pack] = measure_scene(encoder, encoded, rows)
    files = [each["file"] for each in photos.val]
    val = encode_files(encoder, data, PACK, files, say).pooled
    named = {
        f"top-1 {word}": naming(encoder, val, photos, unseen=word == "unseen")
        for word in ("seen", "unseen")
    }
    probed = {} if heads_in is None else measure_heads(encoder, data, photos, heads_in, say)
    found = Measured(scenes, named, probed, speed(encoder, data))
    figures = ", ".join(f"{name} {value:.3f}" for name, value in found.figures().items())
    say(f"{figures}, {found.images_per_second:.1f} images/s")
    return found


def measure_heads(
    encoder: EmbeddedEncoder, data: Path, photos: PhotoSet, folder: Path, say: Say
) -> dict[str, Bool[np.ndarray, " n"]]:
    """Heads on pooled beside plain, as a project's heads read them, and on each alone."""
    train, val = (
        kept_vectors(encoder, data, PACK, [each["file"] for each in rows], folder, say)
        for rows in (photos.train, photos.val)
    )
    found = {}
    for read, take in (
        ("", lambda each: each.both),
        (", pooled alone", lambda each: each.pooled),
        (", plain alone", lambda each: each.plain),
    ):
        say(f"heads on top{read}")
        found |= heads(*_labelled(take(train), take(val), photos), photos.few, read)
    return found


def _labelled(
    train: Float[np.ndarray, "n d"], val: Float[np.ndarray, "m d"], photos: PhotoSet
) -> tuple[Photos, Photos]:
    return (
        Photos(train, photos.indices(photos.train)),
        Photos(val, photos.indices(photos.val)),
    )


def scene_rows(data: Path, pack: str) -> list[dict]:
    """Rows to measure on: all of coco_mini, which nothing learns from, and val of the mosaics."""
    rows = read_rows(data, pack)
    return rows if pack != MOSAICS else [each for each in rows if each["split"] == "val"]


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


def measure_trunk(
    data: Path, photos: PhotoSet, folder: Path, say: Say
) -> dict[str, Bool[np.ndarray, " n"]]:
    """Heads on the trunk's mean feature at 160 pixels: what the packaged weights give alone."""
    train, val = (
        kept_trunk(data, PACK, [each["file"] for each in rows], folder, say)
        for rows in (photos.train, photos.val)
    )
    say("heads on the trunk alone")
    return heads(*_labelled(train, val, photos), photos.few)


def kept_in(home: Path) -> Path:
    """Where vectors of the measured photos are kept."""
    return home / "training" / NAME / "vectors"


def untrained(folder: Path, encoder: EmbeddedEncoder, data: Path) -> EmbeddedEncoder:
    """The combination alone, at the same input size: labels by name, equal shares of the scores."""
    settings = without_learning(folder, encoder)
    write_scale(folder, measure_scale(settings, data, every=3, local_share=0.5))
    return EmbeddedEncoder(settings)


def without_learning(folder: Path, encoder: EmbeddedEncoder) -> EmbeddedEncoder.Settings:
    """Settings of the combination alone, on the scale of the encoder; its files are in `folder`."""
    nothing = {
        "learned_parts": 0.0,
        "learned_whole": 0.0,
        "smooth": False,
        "whole_from_parts": 0.0,
    }
    return changed(folder, encoder, output=nothing, without=("dictionary", "captions"))


def changed(
    folder: Path,
    encoder: EmbeddedEncoder,
    *,
    output: Mapping[str, object] | None = None,
    without: Sequence[str] = (),
) -> EmbeddedEncoder.Settings:
    """Settings of the same encoder with some constants changed or taken away, in `folder`."""
    constants = json.loads((encoder.folder / CONSTANTS).read_text(encoding="utf-8"))
    constants["output"] |= output or {}
    for name in without:
        constants.pop(name, None)
    (folder / constants["file"]).symlink_to((encoder.folder / constants["file"]).resolve())
    (folder / CONSTANTS).write_text(json.dumps(constants), encoding="utf-8")
    return EmbeddedEncoder.Settings(folder=str(folder), threads=encoder.settings.threads)


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
    fit_captions(out, data)
    write_mean_cells(out, np.load(folder / "photos.npy", mmap_mode="r"))
    write_scale(out, measure_scale(EmbeddedEncoder.Settings(folder=str(out)), data))
    fit_layers(EmbeddedEncoder(EmbeddedEncoder.Settings(folder=str(out))), data, out, say)
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
        The report; `figures` holds everything measured, by encoder.
    """
    started = time.monotonic()
    folder = train_again(data, progress) if train else Path()
    settings = EmbeddedEncoder.Settings(folder=str(folder) if train else "")
    photos = PhotoSet.read(data)
    kept = kept_in(Settings.from_environ().home)
    measured = measure_all(settings, data, photos, kept, progress)
    figures = {name: each.figures() for name, each in measured.items()}
    for name, each in measured.items():
        figures[name]["images/s"] = each.images_per_second
    trunk = measure_trunk(data, photos, kept, progress)
    alone = {name: float(right.mean()) for name, right in trunk.items()}
    figures[TRUNK_ALONE] = alone
    claims = [claim_of(each, measured, alone, seeds) for each in read_claims(NAME)]
    return report(NAME, "own", started=started, claims=claims, figures=figures)


def measure_all(
    settings: EmbeddedEncoder.Settings, data: Path, photos: PhotoSet, kept: Path, say: Say
) -> dict[str, Measured]:
    """The encoder, the untrained combination and a random network, one after the other."""
    encoder = EmbeddedEncoder(settings)
    found = {}
    say("the encoder that ships")
    found["encoder"] = measure(encoder, data, photos, say, heads_in=kept)
    with TemporaryDirectory(prefix="patchlane-untrained-") as folder:
        say("the untrained combination")
        plain = untrained(Path(folder), encoder, data)
        found["untrained"] = measure(plain, data, photos, say)
    say("a random network")
    found["random"] = measure(RandomEncoder(settings), data, photos, say)
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


def rows(settings: Settings, say: Say, *, home: Path) -> Iterator[Row]:
    """The encoder's rows of `patchlane bench foundation`; photos' vectors are kept in `home`."""
    photos = PhotoSet.read(settings.data)
    encoder = EmbeddedEncoder(EmbeddedEncoder.Settings(threads=settings.threads))
    kept = kept_in(home)
    figures = measure(encoder, settings.data, photos, say, heads_in=kept).figures()
    with TemporaryDirectory(prefix="patchlane-untrained-") as folder:
        plain = untrained(Path(folder), encoder, settings.data)
        base = measure(plain, settings.data, photos, say).figures()
    trunk = measure_trunk(settings.data, photos, kept, say)
    base |= {name: float(right.mean()) for name, right in trunk.items()}
    for claim in read_claims(NAME):
        yield row(
            f"embedded encoder, {claim['data']}, {claim['metric']}",
            figures[claim["figure"]],
            claim["metric"],
            at_least=claim["reach"],
            baseline=claim["baseline"],
            baseline_value=base[claim["figure"]],
        )


def head_rows(settings: Settings, say: Say, *, home: Path) -> Iterator[Row]:
    """Heads on the encoder's vectors and on the trunk alone: the part `heads` of that bench."""
    photos, kept = PhotoSet.read(settings.data), kept_in(home)
    encoder = EmbeddedEncoder(EmbeddedEncoder.Settings(threads=settings.threads))
    found = measure_heads(encoder, settings.data, photos, kept, say)
    trunk = measure_trunk(settings.data, photos, kept, say)
    reach = {each["figure"]: each["reach"] for each in read_claims(NAME)}
    for name, right in found.items():
        like = name.replace(", pooled alone", "").replace(", plain alone", "")
        yield row(
            f"pretrain_openphotos val, {len(photos.names)} labels: {name}",
            float(right.mean()),
            "top-1",
            at_least=reach.get(name),
            baseline=TRUNK_ALONE,
            baseline_value=float(trunk[like].mean()),
        )
