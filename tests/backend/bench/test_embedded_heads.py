import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from backend.bench import _embedded_heads
from backend.bench._embedded_heads import Photos, chosen_probe, heads, nearest, probe


@pytest.fixture
def clouds() -> tuple[Photos, Photos]:
    """Three kinds of things, apart in two of twelve directions; train and val."""
    rng = np.random.default_rng(0)

    def drawn(count: int) -> Photos:
        labels = np.arange(count) % 3
        centres = 3 * np.eye(3, 12)
        return Photos((centres[labels] + rng.normal(0, 1, (count, 12))).astype("f4"), labels)

    return drawn(300), drawn(90)


def test_a_probe_names_what_is_apart_and_chance_what_is_not(clouds):
    train, val = clouds
    assert probe(train, val, 0.1).mean() > 0.85
    shuffled = Photos(train.vectors, np.random.default_rng(1).permutation(train.labels))
    assert probe(shuffled, val, 0.1).mean() < 0.6


def test_a_scale_of_one_column_changes_no_probe(clouds):
    train, val = clouds
    by = np.ones(12, np.float32)
    by[4] = 1000
    scaled = [Photos(each.vectors * by, each.labels) for each in clouds]
    assert np.array_equal(probe(*scaled, 0.1), probe(train, val, 0.1))


def test_neighbours_vote_as_those_of_scikit_learn(clouds):
    train, val = clouds
    theirs = KNeighborsClassifier(
        5, metric="cosine", weights=lambda distances: 1 - distances, algorithm="brute"
    ).fit(train.vectors, train.labels)
    assert np.array_equal(nearest(train, val), theirs.predict(val.vectors) == val.labels)


def test_the_strength_is_chosen_on_train_photos_held_back(clouds, monkeypatch):
    train, val = clouds
    seen = []

    class Watched(_embedded_heads.LogisticRegression):
        def fit(self, x, y):
            seen.append((len(y), self.C))
            return super().fit(x, y)

    monkeypatch.setattr(_embedded_heads, "LogisticRegression", Watched)
    right = chosen_probe(train, val)
    assert [count for count, _ in seen] == [270] * len(_embedded_heads.STRENGTHS) + [300]
    # Where a fit starts decides nothing but how long it takes.
    np.testing.assert_array_equal(right, probe(train, val, seen[-1][1]))


def test_few_photos_of_each_label_have_rows_of_their_own(clouds):
    train, val = clouds
    few = [0, 1, 2, 3, 4, 5]
    found = heads(train, val, few, ", read so")
    assert np.array_equal(
        found["linear probe, read so, 10 a label"], probe(train.some(few), val, 0.1)
    )
    assert np.array_equal(found["kNN, read so"], nearest(train, val))
    assert len(found) == 4
