"""A label's vector moved by verdicts: laws, a twin in loops, and marks that come first."""

import numpy as np

from backend.numerics.part_shift import CAUTION, ROUNDS, Taught, learned_vector

DRAW = np.random.default_rng(0)
TEMPERATURE = 0.1


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def sample(count: int = 6) -> Taught:
    return Taught(unit(DRAW.normal(size=(count, 8))))


LABEL = unit(DRAW.normal(size=8))
YES, NO = [sample(), sample(9), sample()], [sample(4), sample()]


def by_hand(label: np.ndarray, yes: list[Taught], no: list[Taught]) -> np.ndarray:
    """The formula of the module in loops, in double precision."""
    around = sum(s.parts.astype(float).mean(0) for s in yes) / len(yes)
    absent = sum(s.parts.astype(float).mean(0) for s in no) / len(no)
    vector = label.astype(float)
    for _ in range(ROUNDS):
        carried = np.zeros(len(label))
        for s in yes:
            weights = [np.exp(float(part @ vector) / TEMPERATURE) for part in s.parts]
            for weight, part in zip(weights, s.parts, strict=True):
                carried += weight / sum(weights) * part / len(yes)
        away = carried - 0.5 * absent - 0.5 * around
        count = min(len(yes), len(no))
        vector = label + count / (count + CAUTION) * away / np.sqrt((away**2).sum())
    return vector


def test_it_is_the_formula_in_loops():
    found = learned_vector(LABEL, YES, NO, TEMPERATURE)
    np.testing.assert_allclose(found, by_hand(LABEL, YES, NO), atol=1e-5)


def test_one_kind_of_verdict_moves_nothing():
    for yes, no in (([], []), (YES, []), ([], NO)):
        assert learned_vector(LABEL, yes, no, TEMPERATURE) is LABEL


def test_the_order_of_samples_and_parts_does_not_matter():
    turned = [Taught(s.parts[::-1]) for s in YES[::-1]]
    np.testing.assert_allclose(
        learned_vector(LABEL, turned, NO[::-1], TEMPERATURE),
        learned_vector(LABEL, YES, NO, TEMPERATURE),
        atol=1e-5,
    )


def test_it_finds_the_part_that_only_samples_with_the_label_have():
    thing, ground = unit(DRAW.normal(size=8)), unit(DRAW.normal(size=8))
    name = unit(thing + ground)  # the name alone cannot tell them apart
    noise = 0.05 * DRAW.normal(size=(40, 6, 8))
    with_it = [Taught(unit(np.stack([thing, *[ground] * 5]) + n)) for n in noise[:20]]
    without = [Taught(unit(np.stack([ground] * 6) + n)) for n in noise[20:]]
    vector = learned_vector(name, with_it, without, TEMPERATURE)
    assert all((s.parts @ vector).argmax() == 0 for s in with_it)
    assert not all((s.parts @ name).argmax() == 0 for s in with_it)


def test_a_mark_decides_which_part_carries_the_label():
    parts = unit(DRAW.normal(size=(5, 8)))
    best, other = int((parts @ LABEL).argmax()), int((parts @ LABEL).argmin())
    marked = Taught(parts, here=np.array([other]), absent=np.array([best]))
    before = learned_vector(LABEL, [Taught(parts)], NO, TEMPERATURE)
    after = learned_vector(LABEL, [marked], NO, TEMPERATURE)
    assert parts[other] @ after > parts[other] @ before
    assert parts[best] @ after < parts[best] @ before


def test_not_here_alone_tells_what_is_without_the_label():
    parts = unit(DRAW.normal(size=(5, 8)))
    marked = Taught(parts, absent=np.array([0, 1]))
    assert not np.array_equal(learned_vector(LABEL, [marked], [], TEMPERATURE), LABEL)
    everywhere = Taught(parts, absent=np.arange(5))
    assert np.isfinite(learned_vector(LABEL, [everywhere], [], TEMPERATURE)).all()
