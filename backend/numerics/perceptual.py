"""Is it the same picture, or the same text, but for size, colour, compression or blanks?

`picture_hash` is the perceptual hash of the lowest frequencies (Zauner, Implementation and
benchmarking of perceptual image hash functions, 2010): a picture of 32 x 32 greys, its cosine
transform, and for 8 x 8 coefficients whether each is above their median. Scaling, recompressing and
light do not change the signs of low frequencies; two pictures differ in half of the bits by chance.
`overlap` is the Jaccard index of word shingles (Broder 1997).
"""

from __future__ import annotations

import numpy as np
import regex
from jaxtyping import Float, Int, UInt64
from scipy.fft import dctn

GREYS, BITS = 32, 8
SHINGLE = 3
_WORD = regex.compile(r"[\p{L}\p{N}\p{M}]+")
_BLOCK = 512


def picture_hash(greys: Float[np.ndarray, "32 32"]) -> int:
    """64 bits of a picture of 32 x 32 greys on any scale; one of a single grey has none set."""
    low = np.asarray(dctn(greys, norm="ortho"))[:BITS, :BITS]
    low[0, 0] = np.median(low)  # the mean grey is light, not content
    bits = (low > np.median(low) + 1e-9).ravel()
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def near_hashes(
    hashes: UInt64[np.ndarray, " n"], most: int
) -> tuple[Int[np.ndarray, "p 2"], Int[np.ndarray, " p"]]:
    """All pairs (smaller row first) that differ in at most so many bits, and in how many."""
    pairs, bits = [], []
    for start in range(0, len(hashes), _BLOCK):
        block = hashes[start : start + _BLOCK]
        apart = np.bitwise_count(block[:, None] ^ hashes[None, start:])
        at, other = np.nonzero(apart <= most)
        later = other > at
        pairs.append(np.stack([at[later] + start, other[later] + start], axis=1))
        bits.append(apart[at[later], other[later]].astype(np.int64))
    if not pairs:
        return np.zeros((0, 2), np.int64), np.zeros(0, np.int64)
    return np.concatenate(pairs), np.concatenate(bits)


def words_of(text: str) -> list[str]:
    """The words of a text, without case, blanks and punctuation."""
    return _WORD.findall(text.casefold())


def shingles(text: str) -> frozenset[tuple[str, ...]]:
    """Every run of three words; of a shorter text all its words as one."""
    words = words_of(text)
    runs = [tuple(words[at : at + SHINGLE]) for at in range(max(1, len(words) - SHINGLE + 1))]
    return frozenset(run for run in runs if run)


def overlap(one: frozenset[tuple[str, ...]], other: frozenset[tuple[str, ...]]) -> float:
    """Shingles in both over shingles in either, 0..1; 1 where both are empty."""
    either = len(one | other)
    return len(one & other) / either if either else 1.0


def connected(pairs: Int[np.ndarray, "p 2"], count: int) -> list[list[int]]:
    """Groups of rows that pairs join, each ascending, by their first row; single rows left out."""
    parent = list(range(count))

    def root(at: int) -> int:
        while parent[at] != at:
            parent[at] = parent[parent[at]]
            at = parent[at]
        return at

    for one, other in pairs.tolist():
        first, second = sorted((root(one), root(other)))
        parent[second] = first
    groups: dict[int, list[int]] = {}
    for at in {int(each) for pair in pairs.tolist() for each in pair}:
        groups.setdefault(root(at), []).append(at)
    return [sorted(group) for _, group in sorted(groups.items())]
