"""An open_clip model's text tower as a network that reads whole texts and each of their tokens.

The tower makes one vector of a text: the last block's output at the end token, which has seen all
before it, normed and projected. The other tokens, treated alike, are the vectors of the words.
"""

from __future__ import annotations

import hashlib
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from torch import Tensor, nn

from backend.errors import BadInputError
from backend.methods.encoders._clip_towers import clip_block
from backend.methods.encoders._clip_weights import ClipModel
from backend.methods.encoders._frozen import (
    Frozen,
    NotPlainError,
    activation_of,
    array,
    check,
    norm_of,
)
from backend.methods.encoders._pictures import hash_of_weights
from backend.methods.encoders._text_models import TextModel
from backend.methods.encoders._torchvision_shim import allow_torchvision
from backend.types import FrozenStack

allow_torchvision()
from open_clip.tokenizer import SimpleTokenizer  # noqa: E402  (it imports torchvision, as above)
from open_clip.transformer import ResidualAttentionBlock  # noqa: E402

_POOLED_AT_THE_END = ("argmax", "eos")
_PIECES = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def clip_text_model(loaded: ClipModel, encoder_id: str) -> TextModel:
    """The text tower of a loaded open_clip model.

    Raises:
        BadInputError: it has other tokens than CLIP's, or pools otherwise than at the end token.
    """
    own = loaded.tokenizer
    if not isinstance(own, SimpleTokenizer):
        raise BadInputError(
            f"{encoder_id} reads texts by a {type(own).__name__}; only models with CLIP's own "
            "tokens can read the texts of a project, others are known to sentence:NAME"
        )
    model: Any = loaded.model
    tower: Any = getattr(model, "text", model)
    pool = getattr(tower, "pool_type", getattr(tower, "text_pool_type", ""))
    if pool not in _POOLED_AT_THE_END or getattr(tower, "cls_emb", None) is not None:
        raise BadInputError(
            f"the text tower of {encoder_id} does not pool at its end token; it can read labels, "
            "not the texts of a project"
        )
    tokenizer = fast_tokenizer(own)
    module = ClipTextNetwork(tower).eval().requires_grad_(False)
    return TextModel(
        load_module=lambda: module,
        tokenizer=tokenizer,
        window=len(tower.positional_embedding),
        dim=module.dim,
        pad=0,
        identity={
            "weights": hash_of_weights(module),
            "tokenizer": hashlib.sha256(tokenizer.to_str().encode()).hexdigest(),
        },
        freeze=lambda network: _freeze(network, own.eot_token_id),
        no_lanes=_no_lanes(module, own),
    )


class ClipTextNetwork(nn.Module):
    """(ids, mask), each (N, T), to the projected tokens (N, T, D) and texts (N, D).

    Padding stands behind a text, so that causal attention never sees it.
    """

    causal: Tensor | None

    def __init__(self, tower: Any):
        super().__init__()
        self.token_embedding = tower.token_embedding
        self.positions = tower.positional_embedding
        self.transformer = tower.transformer
        self.ln_final = tower.ln_final
        self.projection = tower.text_projection
        mask = tower.attn_mask
        self.register_buffer("causal", None if mask is None else mask.detach().clone())
        self.dim = self._projected(self.positions[:1]).shape[-1]

    def forward(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        x = self.token_embedding(ids) + self.positions[: ids.shape[1]]
        x = self.transformer(x, attn_mask=self.forbidden(ids))
        tokens = self._projected(self.ln_final(x))
        last = (mask.sum(dim=1) - 1)[:, None, None].expand(-1, 1, tokens.shape[2])
        return tokens, tokens.gather(1, last).squeeze(1)

    def forbidden(self, ids: Tensor) -> Tensor | None:
        """(T, T), -inf where a token may not look; None where each sees the whole text."""
        return None if self.causal is None else self.causal[: ids.shape[1], : ids.shape[1]]

    def _projected(self, x: Tensor) -> Tensor:
        if self.projection is None:
            return x
        return self.projection(x) if isinstance(self.projection, nn.Linear) else x @ self.projection


def fast_tokenizer(own: SimpleTokenizer) -> Tokenizer:
    """open_clip's tokens by the library that also says where in the text each of them stands.

    A special token that is spelled out in a text is text, as anything that people write.
    """
    merges = sorted(own.bpe_ranks, key=own.bpe_ranks.__getitem__)
    start, end = "<start_of_text>", "<end_of_text>"
    fast = Tokenizer(
        models.BPE(
            vocab=dict(own.encoder),
            merges=[pair for pair in merges if len(pair) == 2],
            end_of_word_suffix="</w>",
            unk_token=end,
        )
    )
    fast.normalizer = normalizers.Sequence(
        [
            normalizers.NFC(),
            normalizers.Replace(Regex("[\u2018\u2019]"), "'"),  # as ftfy does for open_clip
            normalizers.Replace(Regex("[\u201c\u201d]"), '"'),
            normalizers.Replace(Regex(r"\s+"), " "),
            normalizers.Lowercase(),
        ]
    )
    fast.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    fast.decoder = decoders.ByteLevel()
    fast.post_processor = processors.TemplateProcessing(
        single=f"{start} $A {end}",
        special_tokens=[(start, own.sot_token_id), (end, own.eot_token_id)],
    )
    return fast


def _no_lanes(module: ClipTextNetwork, own: SimpleTokenizer) -> str:
    ids = torch.tensor([[own.sot_token_id, *own.encode("a plain sentence"), own.eot_token_id]])
    try:
        frozen = _freeze(module, own.eot_token_id)
        check(
            frozen,
            lambda: module(ids, torch.ones_like(ids)),
            forbidden=module.forbidden(ids),
        )
    except NotPlainError as error:
        return str(error)
    return ""


def _freeze(network: Any, end_id: int) -> Frozen:
    """The tower's blocks; a lane starts as the end token does, which makes the text's vector.

    The stream's attention is causal; a lane's own token comes after all others and sees them all.

    Raises:
        NotPlainError: a block has more than attention and feed-forward.
    """
    blocks = tuple(network.transformer.resblocks)
    for block in blocks:
        if not isinstance(block, ResidualAttentionBlock):
            raise NotPlainError(f"its blocks are of the kind {type(block).__name__}, not plain")
    stack = FrozenStack(
        blocks=tuple(clip_block(block) for block in blocks),
        heads=blocks[0].attn.num_heads,
        start=array(network.token_embedding.weight[end_id]),
        final_norm=norm_of(network.ln_final),
        activation=activation_of(blocks[0].mlp.gelu),
    )
    return Frozen(stack, blocks, tuple(block.ln_1 for block in blocks))
