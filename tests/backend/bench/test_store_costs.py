"""What the store costs is measured to the end, at a small size."""

from __future__ import annotations

import pytest

from backend.bench import store_costs
from backend.settings import Settings


def test_every_part_of_the_store_is_measured(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_costs, "NUM", 1_500)
    found = {row.name: row.value for row in store_costs.rows(settings)}
    measured = ("take", "append", "undo", "open", "vectors", "read")
    assert [name.split()[1] for name in found] == list(measured)
    assert all(value > 0 for value in found.values())
