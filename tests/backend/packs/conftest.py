"""A small project of texts with two packs, answered in full, for tests of packs and of replay."""

from __future__ import annotations

import functools
import shutil

import numpy as np
import pytest

from backend import api
from backend.methods.learners.lanes import LanesLearner
from backend.settings import Settings
from tests.backend.text_projects import loaded, made_project, opened_copy, told

THINGS = ("apple", "river", "engine", "violin")
MOODS = ("gladness", "fear")
WORDS = {
    "apple": ["ripe fruit from the orchard", "a red apple in the basket", "cider and apple cake"],
    "river": ["the river was high", "boats on the stream", "we swam in the cold river"],
    "engine": ["the motor would not start", "oil on the engine", "a loud diesel engine"],
    "violin": ["she tuned her violin", "strings and a bow", "the fiddle played all night"],
    "gladness": ["everybody laughed", "what a happy day", "we were delighted"],
    "fear": ["he was afraid of the dark", "a terrifying noise", "they ran away in panic"],
}


def texts():
    """Forty short texts, each with one thing and some with a mood, and what they are about."""
    draw = np.random.default_rng(4)
    rows = []
    for number in range(40):
        about = {THINGS[number % 4]}
        if number % 3:
            about.add(MOODS[number % 2])
        rows.append(told(number, about, WORDS, draw))
    return rows


@pytest.fixture(autouse=True)
def one_encoder(monkeypatch):
    """Every project of these tests has the same encoder."""
    monkeypatch.setattr("backend.live.load_encoder", loaded)


@pytest.fixture(scope="session")
def text_settings(tmp_path_factory):
    """Settings of a home for the session; one thread, so that sums have one order."""
    return Settings(home=tmp_path_factory.mktemp("home"), threads=1)


@pytest.fixture
def settings(text_settings):
    """Those of the project that was made."""
    return text_settings


@pytest.fixture(scope="session")
def made(text_settings, tmp_path_factory):
    """A project that was answered in full, never opened by a test itself."""
    folder = tmp_path_factory.mktemp("in")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("backend.live.load_encoder", loaded)
        bench = made_project(
            texts(),
            folder,
            text_settings,
            labels=THINGS,
            encoder="sentence:minilm",
            packs={"moods": MOODS},
        )
        bench.correct(answers(range(32)))
        bench.learn()
        bench.close()
    return bench.path


def answers(numbers, labels=(*THINGS, *MOODS)):
    rows = texts()
    return [
        {
            "sample": rows[number][0],
            "label": label,
            "verdict": "yes" if label in rows[number][2] else "no",
        }
        for number in numbers
        for label in labels
    ]


@pytest.fixture(scope="session")
def taught_at(made, text_settings, tmp_path_factory):
    """The same project with the pack moods taught, its lane used in full or as far as it earns."""

    @functools.cache
    def make(is_used_in_full):
        path = tmp_path_factory.mktemp("taught") / "project"
        shutil.copytree(made, path)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("backend.live.load_encoder", loaded)
            if is_used_in_full:
                patch.setattr(LanesLearner, "shares", (1.0,))
            bench = api.open_project(path, settings=text_settings)
            bench.packs.teach("moods")
            bench.close()
        return path

    return make


@pytest.fixture
def taught(request, taught_at):
    """A test that asks for it gets `bench` with the pack moods taught: seconds of training."""
    return taught_at("lanes_count" in request.fixturenames)


@pytest.fixture
def bench(request, made, settings, tmp_path):
    asked = "taught" in request.fixturenames
    source = request.getfixturevalue("taught") if asked else made
    with opened_copy(source, tmp_path, settings) as bench:
        yield bench


def reopened(bench, settings):
    """The same project, as after a restart."""
    bench.close()
    return api.open_project(bench.path, settings=settings)


def columns(bench, pack):
    """The board's columns of a pack."""
    return [bench.board.column_of[label.id] for label in bench.labels() if label.pack == pack]


@pytest.fixture
def lanes_count(monkeypatch):
    """Every lane is used in full, whether held-back verdicts like it or not."""
    monkeypatch.setattr(LanesLearner, "shares", (1.0,))
