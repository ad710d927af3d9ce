"""Where a sentence encoder's network and tokenizer come from: the package, a folder, or a download.

All give the same `TextModel`; nothing here runs it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from backend.errors import BadInputError, OfflineError
from backend.methods.encoders import _minilm
from backend.methods.encoders._available import telling_what_there_is
from backend.methods.encoders._frozen import (
    Frozen,
    NotPlainError,
    activation_of,
    array,
    check,
    linear_of,
    norm_of,
)
from backend.methods.encoders._packaged import MINILM
from backend.methods.encoders._torchvision_shim import allow_torchvision
from backend.types import FrozenBlock, FrozenStack, Kind

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

PACKAGED = ("minilm",)
_ALIASES = ("all-minilm-l6-v2", "sentence-transformers/all-minilm-l6-v2")


@dataclass(frozen=True)
class TextModel:
    """A network (ids, mask) -> (token outputs, text vectors) and what it takes to feed it.

    Attributes:
        load_module: gives the network, frozen and in evaluation mode; may take seconds.
        window: most tokens of one run, special ones included.
        identity: hashes or names that decide its vectors.
        freeze: gives the transformer inside a network from `load_module`, for lanes.
        no_lanes: why lanes cannot live in it, "" if they can.
    """

    load_module: Callable[[], nn.Module]
    tokenizer: Tokenizer
    window: int
    dim: int
    pad: int
    identity: dict[str, object]
    freeze: Callable[[nn.Module], Frozen]
    no_lanes: str = ""


def load_text_model(name: str, *, is_offline: bool) -> TextModel:
    """Load `minilm` (packaged), a local sentence-transformers folder, or a model by its name.

    Every refusal of another one than the packaged model ends with what is available offline.

    Raises:
        OfflineError: the model is neither packaged nor on this machine, and downloads are off or
            nothing came.
        BadInputError: the folder holds no sentence-transformers model, or the name is unknown.
    """
    if is_packaged(name):
        return _load_packaged()
    with telling_what_there_is(Kind.TEXT):
        folder = Path(name).expanduser()
        if folder.is_dir():
            return _load_with_library(str(folder), name, is_offline=True)
        if name.startswith((".", "/", "~")):
            raise BadInputError(f"there is no folder {name!r} with a sentence-transformers model")
        return _load_with_library(name, name, is_offline=is_offline)


def is_packaged(name: str) -> bool:
    """Whether the name is one of the packaged model's."""
    return name.lower() in (*PACKAGED, *_ALIASES)


def _load_packaged() -> TextModel:
    return TextModel(
        load_module=_minilm.load_minilm,
        tokenizer=_minilm.load_minilm_tokenizer(),
        window=_minilm.WINDOW,
        dim=_minilm.WIDTH,
        pad=0,
        identity={"files": dict(MINILM.files), "window": _minilm.WINDOW},
        freeze=_minilm.freeze_minilm,
    )


def _load_with_library(where: str, name: str, *, is_offline: bool) -> TextModel:
    # Imported here: sentence-transformers takes 5 to 8 seconds, which the packaged model, the
    # default of every text project, does without; the hub's library comes with it.
    allow_torchvision()
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415

    from backend.methods.encoders._hub import why_not_fetched  # noqa: PLC0415

    try:
        model = SentenceTransformer(where, device="cpu", local_files_only=is_offline)
    except Exception as error:
        if is_offline and not Path(where).is_dir():
            raise OfflineError(
                f"the sentence model {name!r} is not on this machine and downloads are off; set "
                "PATCHLANE_OFFLINE=0 to fetch it, or give a local folder"
            ) from error
        if reason := why_not_fetched(error):
            raise OfflineError(
                f"the sentence model {name!r} could not be downloaded: {reason}"
            ) from error
        raise BadInputError(
            f"{name!r} could not be loaded as a sentence-transformers model "
            f"({type(error).__name__}: {_first_line(error)})"
        ) from error
    tokenizer = getattr(model.tokenizer, "backend_tokenizer", None)
    if not isinstance(tokenizer, Tokenizer):
        raise BadInputError(f"{name!r} has no fast tokenizer, which says where each word stands")
    tokenizer = Tokenizer.from_str(tokenizer.to_str())
    tokenizer.no_truncation()
    tokenizer.no_padding()
    dim = model.get_embedding_dimension()
    if not dim:
        raise BadInputError(f"{name!r} does not say how wide its vectors are")
    module = _LibraryModel(model).eval().requires_grad_(False)
    start = tokenizer.encode("a").ids[0]
    return TextModel(
        load_module=lambda: module,
        tokenizer=tokenizer,
        window=int(model.max_seq_length or 512),
        dim=dim,
        pad=int(model.tokenizer.pad_token_id or 0),
        identity={"weights": _hash_of_weights(model), "tokenizer": _hash(tokenizer.to_str())},
        freeze=lambda network: freeze_bert(network, start),
        no_lanes=_no_lanes(module, tokenizer),
    )


def _no_lanes(module: _LibraryModel, tokenizer: Tokenizer) -> str:
    tokens = tokenizer.encode("a plain sentence")
    if not tokens.special_tokens_mask[0]:
        return "it puts no token before a text that a lane could start from"
    ids = torch.tensor([tokens.ids])
    try:
        check(freeze_bert(module, tokens.ids[0]), lambda: module(ids, torch.ones_like(ids)))
    except NotPlainError as error:
        return str(error)
    return ""


class _LibraryModel(nn.Module):
    """A sentence-transformers model with the token vectors in the space of the text vectors.

    What comes after pooling (a dense layer, say) is done to every token as well, except for the
    scaling to length 1: a word's tokens are averaged first, as the text's are.
    """

    def __init__(self, model: SentenceTransformer):
        super().__init__()
        self.steps = nn.ModuleList(model.children())
        names = [type(step).__name__ for step in self.steps]
        self.after = names.index("Pooling") + 1 if "Pooling" in names else len(names)

    def forward(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        features: dict[str, Tensor] = {"input_ids": ids, "attention_mask": mask}
        for step in self.steps[: self.after]:
            features = step(features)
        tokens = features["token_embeddings"]
        both = {"sentence_embedding": features["sentence_embedding"]}
        flat = {"sentence_embedding": tokens.flatten(0, 1)}
        for step in self.steps[self.after :]:
            both = step(both)
            flat = flat if type(step).__name__ == "Normalize" else step(flat)
        words = flat["sentence_embedding"].unflatten(0, (tokens.shape[0], tokens.shape[1]))
        return words, both["sentence_embedding"]


_BERT_LIKE = ("BertModel", "RobertaModel", "XLMRobertaModel", "CamembertModel")


def freeze_bert(network: nn.Module, start_id: int) -> Frozen:
    """A transformers model with the layers of BERT; `start_id` is its class token's number.

    Raises:
        NotPlainError: with what it has more.
    """
    model: Any = getattr(network.get_submodule("steps.0"), "auto_model", None)
    if type(model).__name__ not in _BERT_LIKE:
        raise NotPlainError(f"{type(model).__name__} is not built like BERT")
    layers, inner = tuple(model.encoder.layer), model.embeddings
    word, kind = inner.word_embeddings.weight[start_id], inner.token_type_embeddings.weight[0]
    stack = FrozenStack(
        blocks=tuple(_bert_block(layer) for layer in layers),
        heads=layers[0].attention.self.num_attention_heads,
        start=array(inner.LayerNorm(word + kind)),
        final_norm=None,
        is_post_norm=True,
        activation=activation_of(layers[0].intermediate.intermediate_act_fn),
    )
    return Frozen(stack, layers, layers)


def _bert_block(layer: Any) -> FrozenBlock:
    own = layer.attention.self
    return FrozenBlock(
        norm1=norm_of(layer.attention.output.LayerNorm),
        query=linear_of(own.query),
        key=linear_of(own.key),
        value=linear_of(own.value),
        out=linear_of(layer.attention.output.dense),
        norm2=norm_of(layer.output.LayerNorm),
        up=linear_of(layer.intermediate.dense),
        down=linear_of(layer.output.dense),
    )


def _hash_of_weights(model: nn.Module) -> str:
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().float().numpy().tobytes())
    return digest.hexdigest()


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or ["no reason given"])[0][:200]
