"""A project of texts that are about four things, encoded once; each test gets a copy."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from backend import api
from backend.settings import Settings
from tests.backend.text_projects import loaded, made_project, told

LABELS = ("apple", "river", "engine", "violin")
WORDS = {
    "apple": ["ripe fruit from the orchard", "a red apple", "cider and cake", "sweet pears"],
    "river": ["the river was high", "boats on the stream", "we swam in cold water", "the shore"],
    "engine": ["the motor would not start", "oil on the engine", "a loud diesel", "a truck"],
    "violin": ["she tuned her violin", "strings and a bow", "the fiddle played", "a concert"],
}
COUNT = 160


def texts():
    """Name, text and what it is about; each is about one thing or more."""
    draw = np.random.default_rng(8)
    rows = []
    for number in range(COUNT):
        about = {label for label in LABELS if draw.random() < 0.35}
        about |= {LABELS[number % 4]}
        rows.append(told(number, about, WORDS, draw))
    return rows


TRUTH = {name: about for name, _, about in texts()}


@pytest.fixture(autouse=True)
def one_encoder(monkeypatch):
    monkeypatch.setattr("backend.live.load_encoder", loaded)


@pytest.fixture(scope="session")
def text_settings(tmp_path_factory):
    return Settings(home=tmp_path_factory.mktemp("home"), threads=1)


@pytest.fixture
def settings(text_settings):
    return text_settings


@pytest.fixture(scope="session")
def made(text_settings, tmp_path_factory):
    """A project without a verdict, never opened by a test itself."""
    folder = tmp_path_factory.mktemp("in")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("backend.live.load_encoder", loaded)
        bench = made_project(texts(), folder, text_settings, labels=LABELS, encoder="words")
        bench.close()
    return bench.path


@pytest.fixture
def new_bench(made, settings, tmp_path):
    """Makes as many copies as a test wants."""
    opened = []

    def make():
        path = tmp_path / f"project{len(opened)}"
        shutil.copytree(made, path)
        opened.append(api.open_project(path, settings=settings))
        return opened[-1]

    yield make
    for bench in opened:
        bench.close()


@pytest.fixture
def bench(new_bench):
    return new_bench()


def answers(names, labels=LABELS):
    return [
        {"sample": n, "label": x, "verdict": "yes" if x in TRUTH[n] else "no"}
        for n in names
        for x in labels
    ]


def decide(bench, names, labels=LABELS, **more):
    """Answer samples completely, one action each as a person does."""
    for name in names:
        bench.correct(answers([name], labels), **more)


def drawer_names(bench):
    return [bench.board.samples[row].name for row in bench.board.drawer_order()]


def others(bench):
    """Training samples outside the drawer."""
    inside = set(drawer_names(bench))
    return [name for name in TRUTH if name not in inside]


@pytest.fixture
def sure(bench):
    """With a drawer of 40 decided samples and 60 others learned from."""
    bench.certainty.open_drawer(share=0.25)
    bench.correct(answers(others(bench)[:60]))
    bench.correct(answers(drawer_names(bench)))
    bench.learn()
    return bench
