"""Training of the embedded encoder's parts transformer; resumable, a checkpoint every few minutes.

Three things are learned at once, for every cell and for the whole picture:
the trunk's own classes, as the trunk names each photo alone (dense distillation, which keeps what
ImageNet can name nameable); the label of the photo that stands in the cell, said by name and by
gloss; and, for the whole picture, the trunk's features, so that little is lost for heads on top.
"""

from __future__ import annotations

import json
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from backend.bench._embedded_cache import MosaicCache, cache_mosaics, cache_photos
from backend.bench._embedded_data import PACK, load_photos
from backend.bench._kept import kept_arrays
from backend.methods.encoders._label_space import (
    PROMPT,
    ClassSpace,
    TextSide,
    build_class_space,
    encode_label_names,
)
from backend.methods.encoders._parts_transformer import (
    Combination,
    PartsTransformer,
    TransformerShape,
)
from backend.methods.encoders._trunk import load_trunk
from backend.methods.encoders._words import unit_rows
from backend.methods.encoders.embedded import Output
from backend.types import Progress


@dataclass(frozen=True)
class TrainingSettings:
    """What the shipped weights were trained with."""

    size: int = 384
    mosaics: int = 7000
    steps: int = 2000
    batch: int = 20
    learning_rate: float = 7e-4
    weight_decay: float = 0.05
    warmup: int = 100
    share_photos: float = 0.25
    teacher_share: float = 0.75
    weight_labels: float = 0.3
    weight_features: float = 0.2
    average: float = 0.995
    seed: int = 0
    threads: int = 2
    checkpoint_every: int = 100


@dataclass(frozen=True)
class Batch:
    """Pictures as trunk cells (B, P, C), the photo of each tile and the share of cells it covers.

    Attributes:
        tiles: (B, T) photo of each tile, 0 where there is none.
        cover: (B, P, T) share of each cell, rows sum to at most 1.
    """

    cells: Tensor
    tiles: Tensor
    cover: Tensor


class Truth:
    """What is known of the photos: label, the trunk's classes, the trunk's mean feature."""

    def __init__(self, photo_cells: np.ndarray, labels: np.ndarray, trunk: nn.Module):
        head = trunk.classifier
        mean = torch.from_numpy(
            np.concatenate(
                [
                    np.asarray(photo_cells[i : i + 512], np.float32).mean(1)
                    for i in range(0, len(photo_cells), 512)
                ]
            )
        )
        with torch.inference_mode():
            self.classes = head(mean).softmax(-1).half()  # pyright: ignore
        centred = mean - mean.mean(0)
        _, _, basis = torch.pca_lowrank(centred, 256, center=False)
        # Half-way between raw and whitened: small directions count, noise does not.
        reduced = centred @ basis
        self.features = functional.normalize(reduced / reduced.std(0).sqrt(), dim=-1)
        self.labels = torch.from_numpy(labels)


class Trainee(nn.Module):
    """The transformer with the scales and the reader of features that only training needs."""

    def __init__(self, transformer: PartsTransformer):
        super().__init__()
        self.transformer = transformer
        self.label_scale = nn.Parameter(torch.tensor(2.7))
        self.class_scale = nn.Parameter(torch.tensor(2.7))
        self.features = nn.Linear(transformer.shape.out, 256)


@dataclass(frozen=True)
class Targets:
    """Unit vectors of text: label names, labels with glosses, and the trunk's classes."""

    names: Tensor
    glosses: Tensor
    classes: Tensor


def build_transformer(
    space: ClassSpace, trunk: nn.Module, shape: TransformerShape | None = None
) -> PartsTransformer:
    """The untrained network: exactly the class convex combination."""
    head, output = trunk.get_submodule("classifier"), Output()
    weight, bias = head.get_parameter("weight").data, head.get_parameter("bias").data
    vectors = torch.from_numpy(space.vectors)

    def combination(temperature: float, keep: int) -> Combination:
        return Combination(weight, bias, vectors, temperature=temperature, keep=keep)

    return PartsTransformer(
        combination(output.parts_temperature, output.parts_keep),
        combination(output.whole_temperature, output.whole_keep),
        shape or TransformerShape(),
    )


def build_targets(text: TextSide, space: ClassSpace, data: Path, names: list[str]) -> Targets:
    """Text of the labels; a gloss is the definition in the pack's classes.json."""
    described = json.loads((data / PACK / "classes.json").read_text(encoding="utf-8"))
    glosses = [
        f"{PROMPT.format(name)}, {described.get(name, {}).get('definition', name)}"
        for name in names
    ]
    return Targets(
        names=torch.from_numpy(encode_label_names(text, space.mean, names)),
        glosses=torch.from_numpy(unit_rows(text.encode(glosses) - space.mean)),
        classes=torch.from_numpy(unit_rows(space.vectors)),
    )


class Sampler:
    """Batches: real mosaics from the cache, or four photos' cells laid side by side."""

    def __init__(
        self,
        mosaics: MosaicCache,
        photo_cells: np.ndarray,
        labels: np.ndarray,
        settings: TrainingSettings,
    ):
        self._mosaics, self._photos, self._settings = mosaics, photo_cells, settings
        self._by_label = [np.flatnonzero(labels == k) for k in range(int(labels.max()) + 1)]

    def draw(self, step: int) -> Batch:
        """The batch of a step; depends on the seed and the step only."""
        rng = np.random.default_rng((self._settings.seed, step))
        draw = self._from_photos if rng.random() < self._settings.share_photos else self._real
        batch = draw(rng)
        return _mirrored(batch) if rng.random() < 0.5 else batch

    def _real(self, rng: np.random.Generator) -> Batch:
        rows = np.sort(rng.choice(len(self._mosaics.photos), self._settings.batch, replace=False))
        return Batch(
            torch.from_numpy(np.asarray(self._mosaics.cells[rows], np.float32)),
            torch.from_numpy(np.maximum(self._mosaics.photos[rows], 0)).long(),
            torch.from_numpy(np.asarray(self._mosaics.cover[rows], np.float32)),
        )

    def _from_photos(self, rng: np.random.Generator) -> Batch:
        n = self._settings.batch
        labels = rng.integers(len(self._by_label), size=4 * n)
        tiles = np.array([rng.choice(self._by_label[k]) for k in labels])
        side = math.isqrt(self._photos.shape[1])
        cells = np.asarray(self._photos[tiles], np.float32)
        cells = cells.reshape(n, 2, 2, side, side, -1).transpose(0, 1, 3, 2, 4, 5)
        owner = np.arange(4).reshape(2, 2).repeat(side, 0).repeat(side, 1).reshape(-1)
        cover = torch.from_numpy(np.eye(4, dtype=np.float32)[owner])
        return Batch(
            torch.from_numpy(cells.reshape(n, 4 * side * side, -1)),
            torch.from_numpy(tiles.reshape(n, 4)),
            cover.expand(n, -1, -1),
        )


def _mirrored(batch: Batch) -> Batch:
    side = math.isqrt(batch.cells.shape[1])
    order = torch.arange(side * side).reshape(side, side).flip(1).flatten()
    return Batch(batch.cells[:, order], batch.tiles, batch.cover[:, order])


def loss_of(
    trainee: Trainee, batch: Batch, truth: Truth, targets: Targets, settings: TrainingSettings
) -> Tensor:
    """The three lessons of the module's head, for parts and for the whole."""
    net = trainee.transformer
    grid = math.isqrt(batch.cells.shape[1])
    parts, whole = net(batch.cells, grid)
    label = trainee.label_scale.exp()
    share = settings.teacher_share

    # Whole picture: a tile counts by the root of its visible area, one hidden away not at all.
    visible = batch.cover.mean(1)
    weight = visible.sqrt() * (visible > 0.01)
    weight = weight / weight.sum(1, keepdim=True).clamp_min(1e-6)
    teacher = truth.classes[batch.tiles].float()
    names = functional.one_hot(truth.labels[batch.tiles], len(targets.names)).float()
    with torch.no_grad():
        own_parts = _own_classes(net, batch.cells)
        own_whole = own_parts.mean(1)
        on_cells = share * batch.cover @ teacher + (1 - share) * own_parts
        on_whole = share * (weight.unsqueeze(1) @ teacher).squeeze(1) + (1 - share) * own_whole
        names_cells = batch.cover @ names
        names_whole = (weight.unsqueeze(1) @ names).squeeze(1)
        cell_weight = batch.cover.sum(-1, keepdim=True).clamp_max(1)
        features = functional.normalize(
            (weight.unsqueeze(1) @ truth.features[batch.tiles]).squeeze(1), dim=-1
        )
        # A cell without a photo has only the trunk's own opinion, at full weight.
        on_cells = on_cells + (1 - cell_weight) * share * own_parts

    def soft(vectors: Tensor, text: Tensor, scale: Tensor, target: Tensor) -> Tensor:
        return -(target * (vectors @ text.T * scale).log_softmax(-1)).sum(-1).mean()

    distill = soft(parts, targets.classes, trainee.class_scale.exp(), on_cells)
    distill = distill + soft(whole, targets.classes, trainee.class_scale.exp(), on_whole)
    labels = sum(
        soft(parts, text, label, names_cells) + soft(whole, text, label, names_whole)
        for text in (targets.names, targets.glosses)
    )
    kept = 1 - functional.cosine_similarity(trainee.features(whole), features, dim=-1).mean()
    return distill + 0.5 * settings.weight_labels * labels + settings.weight_features * kept


def _class_space(text: TextSide, folder: Path) -> ClassSpace:
    """Built once per folder: it takes a minute, and a resumed run needs it again."""

    def make() -> dict[str, np.ndarray]:
        space = build_class_space(text)
        return {"vectors": space.vectors, "mean": space.mean}

    return ClassSpace(**kept_arrays(folder / "class_space.npz", (), make))


def _own_classes(net: PartsTransformer, cells: Tensor) -> Tensor:
    """The trunk's opinion of each cell as it stands, over its own classes."""
    combination = net.parts_combination
    return functional.linear(cells, combination.weight, combination.bias).softmax(-1)


def train(
    data: Path, folder: Path, settings: TrainingSettings, *, progress: Progress
) -> tuple[PartsTransformer, ClassSpace]:
    """Train, or go on from the last checkpoint in `folder`; returns the averaged weights."""
    torch.set_num_threads(settings.threads)
    torch.manual_seed(settings.seed)
    photos = load_photos(data)
    mosaics = cache_mosaics(
        folder,
        photos,
        data,
        count=settings.mosaics,
        size=settings.size,
        threads=settings.threads,
        progress=progress,
    )
    photo_cells = cache_photos(folder, photos, threads=settings.threads, progress=progress)
    trunk, text = load_trunk(), TextSide()
    space = _class_space(text, folder)
    truth = Truth(photo_cells, photos.labels, trunk)
    targets = build_targets(text, space, data, photos.names)
    trainee = Trainee(build_transformer(space, trunk))
    sampler = Sampler(mosaics, photo_cells, photos.labels, settings)
    run = Run(trainee, settings, folder)
    run.resume()
    start = time.monotonic()
    while run.step < settings.steps:
        loss = loss_of(trainee, sampler.draw(run.step), truth, targets, settings)
        run.advance(loss)
        if run.step % 20 == 0:
            seconds = time.monotonic() - start
            progress(
                run.step, settings.steps, f"training, loss {run.mean_loss:.3f}, {seconds:.0f} s"
            )
    run.save()
    trainee.load_state_dict(run.average)
    return trainee.transformer.eval(), space


class Run:
    """Optimiser, schedule, moving average and the checkpoint that holds them."""

    def __init__(self, trainee: Trainee, settings: TrainingSettings, folder: Path):
        self.trainee, self.settings = trainee, settings
        self.path = folder / "checkpoint.safetensors"
        self.step, self.mean_loss = 0, float("nan")
        self.optimizer = torch.optim.AdamW(
            trainee.parameters(), settings.learning_rate, weight_decay=settings.weight_decay
        )
        self.average = {k: v.detach().clone() for k, v in trainee.state_dict().items()}

    def rate(self) -> float:
        """Learning rate of the step: warm-up, then a cosine to zero."""
        s = self.settings
        done = min(1.0, self.step / s.steps)
        return (
            s.learning_rate
            * min(1.0, (self.step + 1) / s.warmup)
            * 0.5
            * (1 + math.cos(math.pi * done))
        )

    def advance(self, loss: Tensor) -> None:
        """One step of the optimiser, and a checkpoint when it is time."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate()
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.trainee.parameters(), 1.0)
        self.optimizer.step()
        value = loss.item()
        self.mean_loss = (
            value if math.isnan(self.mean_loss) else 0.98 * self.mean_loss + 0.02 * value
        )
        self.step += 1
        keep = min(self.settings.average, self.step / (self.step + 10))
        for name, tensor in self.trainee.state_dict().items():
            self.average[name].lerp_(tensor, 1 - keep)
        if self.step % self.settings.checkpoint_every == 0:
            self.save()

    def save(self) -> None:
        """Write beside the checkpoint, then take its place: a kill leaves the old or the new."""
        tensors = {f"now.{k}": v for k, v in self.trainee.state_dict().items()}
        tensors |= {f"average.{k}": v for k, v in self.average.items()}
        for i, parameter in enumerate(self.trainee.parameters()):
            for name, value in self.optimizer.state[parameter].items():
                tensors[f"adam.{i}.{name}"] = torch.as_tensor(value)
        settings = json.dumps(asdict(self.settings))
        beside = self.path.with_suffix(".new")
        save_file(
            {k: v.contiguous().clone() for k, v in tensors.items()},
            beside,
            metadata={"step": str(self.step), "loss": str(self.mean_loss), "settings": settings},
        )
        beside.replace(self.path)

    def resume(self) -> None:
        """Take up the checkpoint if there is one of the same settings."""
        if not self.path.exists():
            return
        with safe_open(str(self.path), "pt") as file:
            meta = file.metadata()
        if json.loads(meta["settings"]) != asdict(self.settings):
            return
        tensors = load_file(self.path)
        self.step, self.mean_loss = int(meta["step"]), float(meta["loss"])
        self.trainee.load_state_dict(_below("now.", tensors))
        self.average = _below("average.", tensors)
        for i, parameter in enumerate(self.trainee.parameters()):
            self.optimizer.state[parameter] = _below(f"adam.{i}.", tensors)


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
