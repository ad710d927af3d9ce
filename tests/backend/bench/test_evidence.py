"""The bench of the evidence: what it compares, and how it says that something is missing."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from backend.bench import evidence
from backend.errors import NotFoundError


def test_both_sides_of_the_transport_part_solve_the_same_clouds(monkeypatch):
    for name, size in (("BATCH", 2), ("PARTS", 12), ("LABELS", 5), ("REGULARISER", 0.1)):
        monkeypatch.setattr(evidence, name, size)
    parts, labels = evidence._clouds()
    plans = np.stack(evidence._solved_by_pot(evidence._pot(), parts, labels))
    ours = evidence._aligner("sinkhorn").align(parts, labels)
    np.testing.assert_allclose(ours.forward / 12, plans, atol=1e-4)
    conditional = evidence._aligner("transport").align(parts, labels)
    assert np.abs(conditional.forward / 12 - plans).max() > 1e-3
    plain, joint = list(evidence.transport_rows())
    assert plain.baseline_value == joint.baseline_value
    assert plain.reach == pytest.approx(50 * plain.baseline_value)
    assert plain.ok == (plain.ratio >= 50)


def test_an_unknown_part_and_a_missing_library_are_told(settings, monkeypatch):
    with pytest.raises(
        NotFoundError, match=r"no part 'arcs'; there are transport, crops, parts, deletion"
    ):
        list(evidence.rows(settings, say=str, part="arcs"))
    monkeypatch.setitem(sys.modules, "ot", None)
    with pytest.raises(NotFoundError, match="pip install POT"):
        list(evidence.rows(settings, say=str, part="transport"))
