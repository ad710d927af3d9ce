"""These but not those: against all samples compared one by one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from backend.errors import BadInputError
from backend.numerics import rocchio
from backend.settings import Settings
from tests.backend.text_projects import LABELS, TEXTS, made_project, numbered


def test_results_are_ordered_by_the_direction_and_hold_no_example(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, threads=1)
    bench = made_project(numbered(TEXTS), tmp_path, settings, labels=LABELS, encoder="words")
    like, unlike = ["t0", "t2", "t8"], ["t1", "t12"]
    vectors = bench.board.pooled
    rows = {name: bench.board.row_of[bench.sample(name).id] for name in (*like, *unlike)}
    wanted = rocchio.towards(
        vectors[[rows[name] for name in like]], vectors[[rows[name] for name in unlike]]
    )
    twin = sorted(
        (
            (-float(vectors[row] @ wanted), sample.name)
            for row, sample in enumerate(bench.samples())
            if sample.name not in rows
        )
    )
    found = bench.search(like=like, unlike=unlike, k=len(TEXTS))
    assert [hit.name for hit in found] == [name for _, name in twin]
    np.testing.assert_allclose([hit.score for hit in found], [-cost for cost, _ in twin], atol=1e-5)
    assert found[:3] == bench.search(like=like, unlike=unlike, k=3)
    assert [hit.name for hit in bench.search(like=like, k=99)] != [hit.name for hit in found]
    with pytest.raises(BadInputError, match="say which these are"):
        bench.search(unlike=unlike, text="a dog")
    with pytest.raises(BadInputError, match="t1 cannot be both like and unlike"):
        bench.search(like=[*like, "t1"], unlike=unlike)
    bench.close()
