"""Laws of every method's identity and settings, on every line of the catalogue."""

from __future__ import annotations

import json
from dataclasses import asdict, fields, is_dataclass, replace

import pytest

from backend import catalogue
from backend.errors import BadInputError

SHELVES = ("aligners", "learners", "calibrators", "pickers", "indexes", "projectors")
KEYS = [line.key for line in catalogue.ENTRIES if line.shelf in SHELVES]


@pytest.mark.parametrize("key", KEYS)
def test_settings_survive_a_json_round_trip(key):
    method = catalogue.load(key)
    settings = method.Settings()
    assert is_dataclass(settings)
    assert method.Settings(**json.loads(json.dumps(asdict(settings)))) == settings


OTHERS = {("calibrators/powerset", "measure"): "euclidean"}
"""Another value of settings that are words."""


@pytest.mark.parametrize("key", KEYS)
def test_fingerprint_changes_with_each_setting_and_only_then(key):
    method = catalogue.load(key)
    default = method().fingerprint
    assert method(settings=method.Settings()).fingerprint == default
    for field in fields(method.Settings):
        old = getattr(method.Settings(), field.name)
        other = OTHERS.get((key, field.name)) or (not old if isinstance(old, bool) else old + 1)
        changed = replace(method.Settings(), **{field.name: other})
        assert method(settings=changed).fingerprint != default, field.name


def test_fingerprints_of_all_methods_differ():
    prints = [catalogue.load(key)().fingerprint for key in KEYS]
    assert len(set(prints)) == len(prints)


@pytest.mark.parametrize("key", KEYS)
def test_settings_are_frozen(key):
    settings = catalogue.load(key).Settings()
    with pytest.raises(AttributeError):
        settings.anything = 1


@pytest.mark.parametrize("key", [line.key for line in catalogue.entries("aligners")])
def test_a_temperature_of_zero_is_refused(key):
    method = catalogue.load(key)
    with pytest.raises(BadInputError, match="temperature is 0"):
        method(method.Settings(temperature=0.0))
