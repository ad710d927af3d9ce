"""Static word vectors: WordLlama's packaged table, 256 numbers per token, no network at all.

A text is the mean of its tokens' vectors, a word the mean of its own. 60,000 texts a second, and
beside a sentence encoder it adds what the exact words say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from backend.methods.encoders._frozen import no_layers, refusal
from backend.methods.encoders._packaged import WORDLLAMA
from backend.methods.encoders._words import (
    check_texts,
    encoder_fingerprint,
    sum_by_word,
    unit_rows,
    word_rows,
)
from backend.numerics.words import readable_name, word_spans, words_of_tokens
from backend.types import Encoded, Kind, Layout, ScoreScale

_TABLE = "weights/l2_supercat_256.safetensors"
_TOKENIZER = "tokenizers/l2_supercat_tokenizer_config.json"


class StaticWordsEncoder:
    """Texts and labels as means of packaged token vectors."""

    @dataclass(frozen=True)
    class Settings:
        """Nothing to choose: one table, no engine, no batches."""

    id = "words"
    kind = Kind.TEXT
    # Measured by `python -m backend.bench.text_scales`; names are said as they are.
    scale = ScoreScale(
        global_mean=0.0655, global_std=0.1169, local_mean=0.118, local_std=0.154, temperature=0.08
    )
    input_size = 0
    lane_key = ""
    lane_refusal = refusal("words", "static word vectors come from no transformer")
    layer_refusal = no_layers("words", "static word vectors come from no transformer")
    plain_dim = 0

    def __init__(self, settings: Settings = Settings()):
        self.settings = settings
        # WordLlama's own loader would ask the network for a tokenizer that the wheel carries.
        self._tokenizer = Tokenizer.from_file(str(WORDLLAMA.locate(_TOKENIZER)))
        self._table = load_file(WORDLLAMA.locate(_TABLE))["embedding.weight"]
        self.dim = int(self._table.shape[1])
        self._neutral = self._table.mean(axis=0, dtype=np.float32)
        self.fingerprint = encoder_fingerprint(
            "words", {"files": dict(WORDLLAMA.files), "parts": 1}
        )

    def encode(self, samples: Sequence[object]) -> Encoded:
        """One vector per text and one per word; unseen scripts come apart into bytes."""
        texts = check_texts(samples, self.id)
        pooled = np.zeros((len(texts), self.dim), np.float32)
        parts, layouts = [], []
        for row, tokens in enumerate(self._tokenizer.encode_batch(texts, add_special_tokens=False)):
            spans = word_spans(texts[row])
            vectors = self._table[tokens.ids].astype(np.float32)
            pooled[row] = vectors.mean(axis=0) if len(vectors) else self._neutral
            owner = words_of_tokens(tokens.offsets, spans)
            parts.append(word_rows(sum_by_word(vectors, owner, len(spans)), pooled[row]))
            layouts.append(Layout(spans=spans))
        return Encoded(unit_rows(pooled), tuple(parts), tuple(layouts))

    def encode_labels(self, names: Sequence[str]) -> Float[np.ndarray, "l d"]:
        return self.encode_texts([readable_name(name) for name in check_texts(names, self.id)])

    def encode_texts(self, texts: Sequence[str]) -> Float[np.ndarray, "n d"]:
        texts = check_texts(texts, self.id)
        rows = [
            self._table[tokens.ids].mean(axis=0, dtype=np.float32) if tokens.ids else self._neutral
            for tokens in self._tokenizer.encode_batch(texts, add_special_tokens=False)
        ]
        return unit_rows(np.array(rows, np.float32).reshape(len(texts), self.dim))
