"""The quick conversions are NumPy's own."""

from __future__ import annotations

import numpy as np

from backend.numerics.halves import narrowed, quantised, restored, widened

ALL = np.arange(65536, dtype=np.uint16).view(np.float16)
FINITE = ALL[np.isfinite(ALL)]


def test_every_float16_is_widened_exactly() -> None:
    np.testing.assert_array_equal(widened(ALL), ALL.astype(np.float32))
    strided = np.repeat(FINITE[:6144], 2).reshape(2, 12, 512)[:, ::3]
    np.testing.assert_array_equal(widened(strided), strided.astype(np.float32))


def test_every_finite_float16_survives_there_and_back_with_its_sign() -> None:
    back = narrowed(FINITE.astype(np.float32))
    np.testing.assert_array_equal(back.view(np.uint16), FINITE.view(np.uint16))


def test_numbers_between_go_to_the_nearest() -> None:
    random = np.random.default_rng(0)
    size = 10.0 ** random.uniform(-7, 4.8, 300_000)
    values = np.clip(random.normal(size=300_000) * size, -65504, 65504).astype(np.float32)
    error = np.abs(narrowed(values).astype(np.float64) - values)
    best = np.abs(values.astype(np.float16).astype(np.float64) - values)
    # Where float32 itself has fewer digits after the scaling, what is nearly a tie may go wrong.
    np.testing.assert_allclose(error, best, atol=1e-11, rtol=0)


def test_a_whole_number_of_steps_is_exact() -> None:
    random = np.random.default_rng(1)
    numbers = random.integers(-127, 128, (3, 50, 20)).astype(np.int8)
    numbers[:, 0] = 127
    tokens = (numbers * np.float32(0.25)).astype(np.float16)
    found, scale = quantised(tokens)
    np.testing.assert_array_equal(found, numbers)
    np.testing.assert_array_equal(scale, np.full((3, 20), 0.25, np.float32))
    np.testing.assert_array_equal(restored(found, scale), tokens)
