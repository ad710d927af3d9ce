"""Settings are read from the environment, and a wrong value is refused by the variable's name."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import pytest

from backend.errors import BadInputError
from backend.settings import Limits, Settings


def test_without_variables_the_defaults_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PATCHLANE_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    found = Settings.from_environ({})
    assert found == Settings()
    assert (found.token_cache_bytes, found.token_precision) == (4 * 2**30, "float16")


def test_the_token_cache_is_set_by_two_variables() -> None:
    found = Settings.from_environ(
        {"PATCHLANE_TOKEN_CACHE_BYTES": "1000000", "PATCHLANE_TOKEN_PRECISION": "int8"}
    )
    assert (found.token_cache_bytes, found.token_precision) == (1_000_000, "int8")


def test_each_limit_is_a_setting_of_its_own() -> None:
    for limit in fields(Limits):
        found = Settings.from_environ({f"PATCHLANE_MAX_{limit.name.upper()}": "7"}).limits
        assert found == replace(Limits(), **{limit.name: 7})


def test_every_variable_is_documented() -> None:
    read: set[str] = set()

    class Told(dict[str, str]):
        def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]
            read.add(name)
            return default

    Settings.from_environ(Told())
    assert len(read) > 10
    readme = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
    for name in sorted(read):
        assert f"`{name}`" in readme, f"the README does not say what {name} is for"


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("PATCHLANE_THREADS", "0", "whole number above 0"),
        ("PATCHLANE_TOKEN_CACHE_BYTES", "4 GiB", "whole number above 0"),
        ("PATCHLANE_MAX_UPLOAD_BYTES", "2GB", "whole number above 0"),
        ("PATCHLANE_TOKEN_PRECISION", "float8", "float16, int8"),
    ],
)
def test_a_wrong_value_is_refused_by_name(name: str, value: str, sentence: str) -> None:
    with pytest.raises(BadInputError, match=f"{name} is '{value}'.*{sentence}"):
        Settings.from_environ({name: value})
