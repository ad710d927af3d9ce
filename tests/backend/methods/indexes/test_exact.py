"""The exact index: its stated width, and its speed."""

from __future__ import annotations

import numpy as np
import pytest

from backend.errors import BadInputError
from backend.methods.indexes.exact import ExactIndex


def test_a_stated_width_is_held_from_the_first_vector_on():
    with pytest.raises(BadInputError, match="3 wide for an index 4 wide"):
        ExactIndex(4).add(np.array([1]), np.ones((1, 3), np.float32))


def test_refusing_leaves_the_index_as_it_was():
    index = ExactIndex(2)
    index.add(np.array([1, 2]), np.eye(2, dtype=np.float32))
    with pytest.raises(BadInputError):
        index.add(np.array([2, 3]), np.array([[1, 0], [np.inf, 0]], np.float32))
    ids, cosine = index.search(np.array([[0, 3]], np.float32), 1)
    assert (ids[0, 0], len(index)) == (2, 2)
    assert cosine[0, 0] == pytest.approx(1)
