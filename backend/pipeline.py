"""The chosen methods in order: arrays in, arrays out; no disk, no screen.

parts, pooled --encoder--> aligner (which part fits which label) --> learner (what verdicts
changed) --> calibrator (how sure) ; picker, index and projector work on the same arrays.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property, lru_cache
from threading import Lock
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from backend import catalogue
from backend.contracts import (
    Aligner,
    Calibrator,
    Encoder,
    Index,
    LaneHost,
    LaneTeacher,
    LayerHost,
    Learner,
    Picker,
    Projector,
    has_text_side,
    lane_host,
    layer_host,
    layers_of_reading,
    token_owners,
    why_no_lanes,
    why_no_layers,
)
from backend.errors import BadInputError
from backend.numerics import map_shape
from backend.recipes import EncoderName, Recipe, parse_encoder_id
from backend.settings import Settings
from backend.types import (
    Alignment,
    Encoded,
    FrozenStack,
    Kind,
    LaneReading,
    Layout,
    ScoreScale,
)

PACKAGED = {"encoders/embedded": "", "encoders/sentence": "minilm", "encoders/static_words": ""}
"""Encoders whose files come as pinned packages, each with the model that does."""


def load_encoder(encoder_id: str, settings: Settings) -> Encoder:
    """Build the encoder that an id names; members joined by `+` stand side by side.

    Raises:
        BadInputError: unknown family, weights that do not fit, a mix of image and text members.
        OfflineError: it would have to be downloaded.
    """
    members = [_build_encoder(name, settings) for name in parse_encoder_id(encoder_id)]
    if len(members) == 1:
        return members[0]
    return catalogue.load("encoders/side_by_side")(members)


def _build_encoder(name: EncoderName, settings: Settings) -> Encoder:
    method = catalogue.load(name.key)
    own = {field.name for field in fields(method.Settings)}
    wanted: dict[str, Any] = {
        "engine": settings.engine,
        "device": settings.device,
        "dtype": settings.dtype,
        "threads": settings.threads,
        "cache": str(settings.cache),
        "is_offline": settings.is_offline,
    }
    if name.model:
        wanted["model"] = name.model
    if "pretrained" in own and not name.model.startswith(("hf-hub:", "local-dir:")):
        wanted["model"], _, wanted["pretrained"] = name.model.partition("/")
    choices = getattr(method, "choices", {})
    for option, value in name.options:
        if option not in choices:
            can = f"it can say {', '.join(choices)}" if choices else "it has none"
            raise BadInputError(
                f"{option}={value} is no setting in the name of a {name.key} encoder; {can}"
            )
        wanted[option] = value
    chosen = method.Settings(**{key: value for key, value in wanted.items() if key in own})
    if PACKAGED.get(name.key) == name.model:
        return _shared_encoder(name.key, chosen)
    return method(chosen)


@lru_cache(maxsize=4)
def _shared_encoder(key: str, chosen: Any) -> Encoder:
    """One encoder for all projects of a process: compiling one takes seconds.

    An encoder keeps nothing of what it sees. Only packaged ones are shared, since a checkpoint in
    a person's folder may be another one the next time it is named.
    """
    return catalogue.load(key)(chosen)


@dataclass(frozen=True)
class EncoderFacts:
    """What a project remembers of its encoder, so that it opens before any weights are read.

    Attributes:
        lane_key, lane_refusal: as in `LaneHost`; both empty where they were not noted yet.
        num_layers, layer_refusal: as in `LayerHost`; nothing where they were not noted yet.
    """

    id: str
    kind: Kind
    dim: int
    fingerprint: str
    input_size: int
    scale: ScoreScale
    has_text_side: bool = True
    lane_key: str = ""
    lane_refusal: str = ""
    plain_dim: int = 0
    lane_width: int = 0
    num_layers: int = 0
    layer_refusal: str = ""

    @classmethod
    def of(cls, encoder: Encoder) -> EncoderFacts:
        """Note the facts of a loaded encoder."""
        host = lane_host(encoder)
        layered = layer_host(encoder)
        return cls(
            id=encoder.id,
            kind=encoder.kind,
            dim=encoder.dim,
            fingerprint=encoder.fingerprint,
            input_size=encoder.input_size,
            scale=encoder.scale,
            has_text_side=has_text_side(encoder),
            lane_key=host.lane_key if host is not None else "",
            lane_refusal=why_no_lanes(encoder),
            plain_dim=host.plain_dim if host is not None else 0,
            lane_width=host.frozen_stack().width if host is not None else 0,
            num_layers=layered.num_layers if layered is not None else 0,
            layer_refusal=why_no_layers(encoder),
        )

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> EncoderFacts:
        """Read what `as_json` wrote."""
        scale = ScoreScale(**content["scale"])
        return cls(**{**content, "kind": Kind(content["kind"]), "scale": scale})

    def as_json(self) -> dict[str, Any]:
        """Plain values, kept in the project."""
        return {**asdict(self), "kind": self.kind.value}


class DeferredEncoder:
    """An encoder whose facts are known and whose weights are read when they are first needed."""

    def __init__(self, facts: EncoderFacts, load: Callable[[], Encoder]):
        self.id = facts.id
        self.kind = facts.kind
        self.dim = facts.dim
        self.fingerprint = facts.fingerprint
        self.input_size = facts.input_size
        self.scale = facts.scale
        self.has_text_side = facts.has_text_side
        self._facts = facts
        self._load = load
        self._loaded: Encoder | None = None
        self._lock = Lock()

    def loaded(self) -> Encoder:
        """The encoder itself.

        Raises:
            BadInputError: its weights or settings are no longer those of the stored vectors.
        """
        with self._lock:
            if self._loaded is None:
                encoder = self._load()
                if encoder.fingerprint != self.fingerprint:
                    raise BadInputError(
                        f"encoder {self.id} has changed since this project was encoded "
                        f"({self.fingerprint} is now {encoder.fingerprint}); change the encoder "
                        "of the project to encode it again, every verdict is kept"
                    )
                self._loaded = encoder
            return self._loaded

    @property
    def lane_key(self) -> str:
        """As the encoder says; loads it where an older project did not note it."""
        return self._lane_facts().lane_key

    @property
    def lane_refusal(self) -> str:
        """As the encoder says; loads it where an older project did not note it."""
        return self._lane_facts().lane_refusal

    @property
    def plain_dim(self) -> int:
        """As the encoder says; loads it where an older project did not note it."""
        return self._lane_facts().plain_dim

    @property
    def lane_width(self) -> int:
        """Width of the host's blocks; 0 where the encoder is none."""
        return self._lane_facts().lane_width

    @property
    def num_layers(self) -> int:
        """As the encoder says; loads it where an older project did not note it."""
        return self._layer_facts().num_layers

    @property
    def layer_refusal(self) -> str:
        """As the encoder says; loads it where an older project did not note it."""
        return self._layer_facts().layer_refusal

    def encode(self, samples: Sequence[Any]) -> Encoded:
        """As the encoder does, loading it first."""
        return self.loaded().encode(samples)

    def layers(self, samples: Sequence[Any]) -> list[Float[np.ndarray, "p k d"]]:
        """As the encoder does, loading it first."""
        return self._layered().layers(samples)

    def layers_of_reading(
        self, parts: Float[np.ndarray, "p d"], reading: LaneReading
    ) -> Float[np.ndarray, "p k d"] | None:
        """As the encoder does, loading it first."""
        return layers_of_reading(self._layered(), parts, reading)

    def read(self, samples: Sequence[Any]) -> tuple[Encoded, list[LaneReading]]:
        """As the encoder does, loading it first."""
        return self._host().read(samples)

    def frozen_stack(self) -> FrozenStack:
        """As the encoder does, loading it first."""
        return self._host().frozen_stack()

    def token_owners(self, sample: Any) -> Int[np.ndarray, " t"] | None:
        """As the encoder does, loading it first."""
        return token_owners(self._host(), sample)

    def encode_labels(self, names: Sequence[str]) -> Float[np.ndarray, "l d"]:
        """As the encoder does, loading it first."""
        return self.loaded().encode_labels(names)

    def encode_texts(self, texts: Sequence[str]) -> Float[np.ndarray, "n d"]:
        """As the encoder does, loading it first."""
        return self.loaded().encode_texts(texts)

    def _lane_facts(self) -> EncoderFacts:
        known = self._facts
        if not (known.lane_refusal or (known.lane_key and known.lane_width)):
            self._facts = EncoderFacts.of(self.loaded())
        return self._facts

    def _layer_facts(self) -> EncoderFacts:
        known = self._facts
        if not (known.layer_refusal or known.num_layers):
            self._facts = EncoderFacts.of(self.loaded())
        return self._facts

    def _layered(self) -> LayerHost:
        host = layer_host(self.loaded())
        if host is None:
            raise BadInputError(why_no_layers(self.loaded()))
        return host

    def _host(self) -> LaneHost:
        host = lane_host(self.loaded())
        if host is None:
            raise BadInputError(why_no_lanes(self.loaded()))
        return host


class Pipeline:
    """A recipe made alive for one encoder."""

    def __init__(self, recipe: Recipe, encoder: Encoder):
        self.recipe = recipe
        self.encoder = encoder
        scale = encoder.scale
        self.scale: ScoreScale = scale
        self.aligner: Aligner = self._method("aligner", temperature=scale.temperature)
        host = lane_host(encoder)
        self.host: LaneHost | None = host
        self.learner: Learner = self._method(
            "learner",
            plain_dim=host.plain_dim if host else 0,
            lane_width=_lane_width(host) if host else 0,
        )
        learner = self.learner
        has_lanes = host is not None and isinstance(learner, LaneTeacher)
        self.teacher: LaneTeacher | None = learner if has_lanes else None  # pyright: ignore
        self.calibrator: Calibrator = self._method("calibrator")

    @cached_property
    def picker(self) -> Picker:
        """The recipe's picker."""
        return self._method("picker")

    @cached_property
    def projector(self) -> Projector:
        """The recipe's projector; built when asked, since UMAP takes seconds to import."""
        return self._method("projector")

    @property
    def fingerprint(self) -> str:
        """Names everything that decides a learned state: recipe, encoder and its methods."""
        parts = [self.recipe.fingerprint, self.encoder.fingerprint, self.aligner.fingerprint]
        parts += [self.learner.fingerprint, self.calibrator.fingerprint]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]

    def new_index(self) -> Index:
        """An empty index of the encoder's width."""
        return catalogue.load(self.recipe.methods["index"])(self.encoder.dim)

    def other_aligner(self, key: str | None) -> Aligner:
        """The recipe's aligner, or another one by name (`maxsim` or `aligners/maxsim`).

        Raises:
            NotFoundError: no aligner has that name; they are listed.
        """
        if not key:
            return self.aligner
        key = f"aligners/{key.removeprefix('aligners/')}"
        return self._built(key, temperature=self.scale.temperature)

    def other_picker(self, key: str | None) -> Picker:
        """The recipe's picker, or another one by name (`random` or `pickers/random`)."""
        if not key:
            return self.picker
        return catalogue.load(key if "/" in key else f"pickers/{key}")()

    def plain_projector(self) -> Projector:
        """The one that answers at once, shown while the recipe's projector runs."""
        return catalogue.load("projectors/pca")()

    def global_scores(
        self, pooled: Float[np.ndarray, "n d"], labels: Float[np.ndarray, "l d"]
    ) -> Float[np.ndarray, "n l"]:
        """Zero-shot score of whole samples, on the encoder's fixed scale."""
        cosine = pooled @ labels.T
        return ((cosine - self.scale.global_mean) / self.scale.global_std).astype(np.float32)

    def local_scores(
        self, parts: Sequence[Float[np.ndarray, "_ d"]], labels: Float[np.ndarray, "l d"]
    ) -> Float[np.ndarray, "n l"]:
        """Zero-shot transport score of the parts of samples, on the encoder's fixed scale."""
        if not len(parts) or not len(labels):
            return np.zeros((len(parts), len(labels)), np.float32)
        block, real = padded(parts)
        score = self.aligner.score(block, labels, real=real)
        return ((score - self.scale.local_mean) / self.scale.local_std).astype(np.float32)

    def align(self, parts: Float[np.ndarray, "p d"], labels: Float[np.ndarray, "l d"]) -> Alignment:
        """Plans and scores of one sample; labels weighted uniformly."""
        return self.aligner.align(parts[None], labels)

    def shown(
        self,
        parts: Float[np.ndarray, "p w"],
        labels: Float[np.ndarray, "l d"],
        layout: Layout,
        *,
        rivals: Float[np.ndarray, "r d"] | None = None,
        own: Int[np.ndarray, " l"] | None = None,
        aligner: Aligner | None = None,
    ) -> Alignment:
        """The alignment of one sample as people see it.

        In a picture the maps look at neighbours, away from the ground and away from what other
        accepted labels claim, see `numerics/map_shape.py`; likeness and what a part is are told of
        the parts as they are.

        Args:
            parts: of the sample; for an aligner that reads layers its layers, side by side.
            labels: whose maps are asked for.
            layout: where the parts are.
            rivals: vectors of the sample's accepted labels; None where each map is for itself.
            own: of each label its number among the rivals, -1 where it is none of them.
            aligner: the recipe's unless another one is given.

        Raises:
            BadInputError: layers were given to an aligner that reads none.
        """
        aligner = aligner or self.aligner
        alignment = aligner.align(parts[None], labels)
        if layout.grid is None:
            return alignment
        smooth = map_shape.smoothed(parts, layout.grid)
        width = labels.shape[1]
        saliency = map_shape.saliency(parts[:, -width:], layout.grid)[None]
        backward = aligner.align(smooth[None], labels, saliency=saliency).backward
        if rivals is not None and own is not None and len(rivals):
            # Likeness is linear, so the mean layer's is the mean of the layers'.
            mean = smooth.reshape(len(smooth), -1, width).mean(axis=1)
            claimed = map_shape.claims(mean @ rivals.T, own, self.scale.temperature)
            backward = map_shape.yielded(backward[0], claimed)[None]
        return replace(alignment, backward=backward)

    def _method(self, shelf: str, **values: object) -> Any:
        """Build the recipe's member of a shelf."""
        return self._built(self.recipe.methods[shelf], **values)

    def _built(self, key: str, **values: object) -> Any:
        """Build one member: values the encoder asks for, then the recipe's own settings."""
        method = catalogue.load(key)
        own = {field.name for field in fields(method.Settings)}
        asked = dict(self.recipe.settings.get(key, {}))
        unknown = sorted(set(asked) - own)
        if unknown:
            raise BadInputError(
                f"recipe {self.recipe.name}: {key} has no setting {', '.join(unknown)}; "
                f"it has {', '.join(sorted(own))}"
            )
        given = {name: value for name, value in values.items() if name in own}
        return method(replace(method.Settings(), **(given | asked)))


def _lane_width(host: LaneHost) -> int:
    if isinstance(host, DeferredEncoder):
        return host.lane_width
    return host.frozen_stack().width


def padded(
    parts: Sequence[Float[np.ndarray, "_ d"]],
) -> tuple[np.ndarray, np.ndarray | None]:
    """Stack (P_n, D) arrays to (N, P, D) with a mask; no mask when all have one length."""
    lengths = [len(part) for part in parts]
    longest = max(lengths)
    if min(lengths) == longest:
        return np.stack(parts), None
    block = np.zeros((len(parts), longest, parts[0].shape[1]), np.float32)
    real = np.zeros((len(parts), longest), bool)
    for row, part in enumerate(parts):
        block[row, : len(part)] = part
        real[row, : len(part)] = True
    return block, real


def kind_of_encoder(encoder_id: str) -> Kind:
    """The kind of samples an encoder id takes, without loading it.

    Raises:
        BadInputError: it mixes encoders of images and of texts, or names an unknown family.
    """
    kinds = {Kind(catalogue.entry(name.key).kind) for name in parse_encoder_id(encoder_id)}
    if len(kinds) > 1:
        raise BadInputError(
            f"{encoder_id!r} mixes encoders of images and of texts; choose one kind"
        )
    return kinds.pop()
