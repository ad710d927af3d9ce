"""Texts of any length through a network that takes a window of tokens.

One vector per text, and one per word in its context: the mean of the word's token outputs. A text
longer than the model's window is read in several windows, cut between words; nothing is dropped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Float16, Int
from torch import nn

from backend.errors import BadInputError
from backend.methods._torch import choose_device
from backend.methods.encoders._engine import (
    Engine,
    choose_dtype,
    choose_engine,
    lazy_engine,
)
from backend.methods.encoders._frozen import Watched, refusal
from backend.methods.encoders._text_models import TextModel
from backend.methods.encoders._words import (
    check_texts,
    encoder_fingerprint,
    sum_by_word,
    unit_rows,
    word_rows,
)
from backend.numerics.words import Spans, readable_name, word_spans, words_of_tokens
from backend.types import Encoded, FrozenStack, Kind, LaneReading, Layout

MOST_TOKENS = 1024


@dataclass(frozen=True)
class _Window:
    """A run of tokens of one text that fits the model."""

    text: int
    ids: Sequence[int]
    owner: Int[np.ndarray, " t"]


@runtime_checkable
class HowToRun(Protocol):
    """The settings that all encoders of texts have."""

    @property
    def engine(self) -> str: ...
    @property
    def device(self) -> str: ...
    @property
    def dtype(self) -> str: ...
    @property
    def threads(self) -> int: ...
    @property
    def batch_size(self) -> int:
        """Windows per run."""
        ...


class WindowedTexts:
    """An encoder of texts and labels, but for the network and the scale of its scores."""

    kind = Kind.TEXT
    input_size = 0
    plain_dim = 0

    def __init__(
        self,
        settings: HowToRun,
        model: TextModel,
        *,
        encoder_id: str,
        family: str,
        cache: str = "",
    ):
        """Read texts by a network.

        Args:
            settings: how to run it.
            model: the network, and what it takes to feed it.
            encoder_id: the name that people use.
            family: what fingerprints begin with.
            cache: where compiled networks are kept; only where the fingerprint says all of them.
        """
        self.settings = settings
        self.id = encoder_id
        self.dim = model.dim
        self._tokenizer = model.tokenizer
        self._pad = model.pad
        self._before, self._after = _special_tokens(model.tokenizer)
        self._room = model.window - len(self._before) - len(self._after)
        choose_engine(settings.engine, choose_device(settings.device))
        dtype = choose_dtype(settings.dtype)
        example = np.ones((2, 8), np.int64)
        options: dict[str, Any] = {
            "engine": settings.engine,
            "device": settings.device,
            "dtype": dtype,
            "threads": settings.threads,
            "varying": 2,
            "cache": cache,
        }
        self._model = model
        self.lane_refusal = refusal(self.id, model.no_lanes) if model.no_lanes else ""
        facts = {**model.identity, "dtype": dtype}
        self.lane_key = "" if model.no_lanes else encoder_fingerprint(f"{family}-stream", facts)
        self.fingerprint = encoder_fingerprint(family, {**facts, "parts": "words, mean of tokens"})
        inputs = [example, example]
        plain, watched = (f"{family} {form} {self.fingerprint}" for form in ("plain", "watched"))
        self._run = lazy_engine(model.load_module, inputs, identity=plain, **options)
        self._watch = lazy_engine(self._watched, inputs, identity=watched, **options)

    def encode(self, samples: Sequence[object]) -> Encoded:
        """One vector per text and one per word, in windows of similar length."""
        texts = check_texts(samples, self.id)
        return self._encoded(texts, self._run, self.settings.batch_size)[0]

    def read(self, samples: Sequence[object]) -> tuple[Encoded, list[LaneReading]]:
        """`encode`, and what lanes read: the tokens of a text's windows one after the other.

        Special tokens belong to the tokens. Of a text with more than `MOST_TOKENS`, that many are
        kept, evenly spaced.

        Raises:
            BadInputError: a sample is no text, or lanes cannot live in this model.
        """
        texts = check_texts(samples, self.id)
        if self.lane_refusal:
            raise BadInputError(self.lane_refusal)
        # A quarter, since a run gives the tokens of all layers instead of the last one's.
        encoded, tokens = self._encoded(texts, self._watch, max(1, self.settings.batch_size // 4))
        none = np.zeros(0, np.float32)
        return encoded, [LaneReading(_evenly(windows), none) for windows in tokens]

    def token_owners(self, sample: str) -> Int[np.ndarray, " t"]:
        """Which word each token of a text's reading belongs to; -1 for special tokens."""
        outside = [np.full(len(ids), -1, np.int64) for ids in (self._before, self._after)]
        owners = [
            np.concatenate([outside[0], window.owner, outside[1]])
            for window in self._windows([sample], [word_spans(sample)])
        ]
        return _thinned(np.concatenate(owners)[None])[0]

    def frozen_stack(self) -> FrozenStack:
        """The layers of the model.

        Raises:
            BadInputError: lanes cannot live in this model.
        """
        if self.lane_refusal:
            raise BadInputError(self.lane_refusal)
        return self._model.freeze(self._model.load_module()).stack

    def _watched(self) -> nn.Module:
        network = self._model.load_module()
        return Watched(network, self._model.freeze(network))

    def _encoded(
        self, texts: list[str], engine: Engine, size: int
    ) -> tuple[Encoded, list[list[Float16[np.ndarray, "b _ w"]]]]:
        """The vectors, and per text the tokens of its windows if the engine gives them."""
        spans = [word_spans(text) for text in texts]
        pooled, sums, tokens = self._read(texts, spans, engine, size)
        pooled = unit_rows(pooled)
        parts = tuple(word_rows(each, pooled[row]) for row, each in enumerate(sums))
        return Encoded(pooled, parts, tuple(Layout(spans=each) for each in spans)), tokens

    def encode_labels(self, names: Sequence[str]) -> Float[np.ndarray, "l d"]:
        return self.encode_texts([readable_name(name) for name in check_texts(names, self.id)])

    def encode_texts(self, texts: Sequence[str]) -> Float[np.ndarray, "n d"]:
        texts = check_texts(texts, self.id)
        nowhere: list[Spans] = [()] * len(texts)
        return unit_rows(self._read(texts, nowhere, self._run, self.settings.batch_size)[0])

    def _read(
        self, texts: Sequence[str], spans: Sequence[Spans], engine: Engine, size: int
    ) -> tuple[
        Float[np.ndarray, "n d"],
        list[Float[np.ndarray, "_ d"]],
        list[list[Float16[np.ndarray, "b _ w"]]],
    ]:
        """Sums of the text vectors of the windows, and of the token outputs of each word.

        And, if the engine gives them, what the blocks attend to in each window.
        """
        pooled = np.zeros((len(texts), self.dim), np.float32)
        sums = [np.zeros((len(each), self.dim), np.float32) for each in spans]
        streams: list[list[np.ndarray]] = [[] for _ in texts]
        windows = list(self._windows(texts, spans))
        order = sorted(range(len(windows)), key=lambda at: len(windows[at].ids))
        first, special = len(self._before), len(self._before) + len(self._after)
        seen: dict[int, np.ndarray] = {}
        for at in range(0, len(order), size):
            rows = order[at : at + size]
            batch = [windows[row] for row in rows]
            tokens, whole, *stream = engine(*self._padded(batch))
            for one, row in enumerate(rows if stream else ()):
                seen[row] = stream[0][one][:, : len(windows[row].ids) + special]
            for window, outputs, vector in zip(batch, tokens, whole, strict=True):
                length = len(window.ids)
                # Windows weigh by their tokens, as in one mean over the whole text.
                pooled[window.text] += vector * max(1, length)
                words = sums[window.text]
                words += sum_by_word(outputs[first : first + length], window.owner, len(words))
        for row in sorted(seen):
            streams[windows[row].text].append(seen[row])
        return pooled, sums, streams

    def _windows(self, texts: Sequence[str], spans: Sequence[Spans]) -> Iterator[_Window]:
        encodings = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        for row, tokens in enumerate(encodings):
            owner = words_of_tokens(tokens.offsets, spans[row])
            start = 0
            while True:
                end = _cut(owner, start, self._room)
                yield _Window(row, tokens.ids[start:end], owner[start:end])
                if end >= len(owner):
                    break
                start = end

    def _padded(
        self, windows: Sequence[_Window]
    ) -> tuple[Int[np.ndarray, "n t"], Int[np.ndarray, "n t"]]:
        rows = [[*self._before, *window.ids, *self._after] for window in windows]
        ids = np.full((len(rows), max(map(len, rows))), self._pad, np.int64)
        mask = np.zeros_like(ids)
        for row, tokens in enumerate(rows):
            ids[row, : len(tokens)] = tokens
            mask[row, : len(tokens)] = 1
        return ids, mask


def _evenly(windows: Sequence[Float16[np.ndarray, "b _ w"]]) -> Float16[np.ndarray, "b t w"]:
    """The windows one after the other, at most `MOST_TOKENS` of their tokens."""
    tokens = np.concatenate(windows, axis=1)
    return _thinned(tokens)


def _thinned(tokens: np.ndarray) -> np.ndarray:
    """At most `MOST_TOKENS` along the second axis, evenly spaced."""
    if tokens.shape[1] <= MOST_TOKENS:
        return tokens
    return tokens[:, np.linspace(0, tokens.shape[1] - 1, MOST_TOKENS).round().astype(np.intp)]


def _cut(owner: Int[np.ndarray, " t"], start: int, room: int) -> int:
    """Where the window that begins at `start` ends: between two words if it can."""
    end = start + room
    if end >= len(owner):
        return len(owner)
    for at in range(end, start, -1):
        if owner[at] != owner[at - 1] or owner[at] < 0:
            return at
    return end


def _special_tokens(tokenizer) -> tuple[list[int], list[int]]:
    """The ids a tokenizer puts before and after a text."""
    tokens = tokenizer.encode("a", add_special_tokens=True)
    inside = [at for at, special in enumerate(tokens.special_tokens_mask) if not special]
    if not inside:
        return list(tokens.ids), []
    return list(tokens.ids[: inside[0]]), list(tokens.ids[inside[-1] + 1 :])
