import numpy as np
import pytest

from backend.bench._caption_data import (
    among_captions,
    captions_by_noun,
    read_captions,
    without_names,
)
from backend.bench._embedded_data import read_rows
from backend.bench.captions import partly_whitening, recalled, without_top


@pytest.fixture
def rows() -> np.ndarray:
    rng = np.random.default_rng(0)
    turn, _ = np.linalg.qr(rng.normal(size=(6, 6)))
    return (rng.normal(size=(4000, 6)) * [5, 3, 1, 1, 0.5, 0.2]) @ turn


def test_without_the_main_directions_the_others_stay_as_they_are(rows):
    by = without_top(rows, 2)
    centred = rows - rows.mean(axis=0)
    before = np.linalg.svd(centred, compute_uv=False)
    after = np.linalg.svd(centred @ by, compute_uv=False)
    np.testing.assert_allclose(after[:4], before[2:], rtol=1e-4)
    np.testing.assert_allclose(after[4:], 0, atol=0.01)
    np.testing.assert_allclose(by @ by, by, atol=1e-6)


def test_whitening_by_a_power_scales_each_direction_as_said(rows):
    sizes = np.linalg.eigvalsh(np.cov(rows.T))
    turned = rows @ partly_whitening(rows, 0.25)
    expected = sizes / (sizes + sizes.mean()) ** 0.5
    np.testing.assert_allclose(np.linalg.eigvalsh(np.cov(turned.T)), np.sort(expected), rtol=1e-3)
    np.testing.assert_allclose(partly_whitening(rows, 0), np.eye(6), atol=1e-6)


def test_what_is_recalled_is_the_closest_caption_when_cold_and_their_mean_when_hot():
    captions = np.array([[1, 0, 0], [0, 1, 0], [0, 0.6, 0.8]], np.float32)
    row = np.array([[0.1, 0.9, 0.2]], np.float32)
    np.testing.assert_allclose(recalled(row, captions, 0.001)[0], captions[1], atol=1e-5)
    mean = captions.mean(axis=0)
    np.testing.assert_allclose(
        recalled(row, captions, 1e4)[0], mean / np.linalg.norm(mean), atol=1e-3
    )


def test_a_caption_holds_a_noun_in_either_number_and_no_part_of_a_word():
    texts = ["Two dogs on a fire truck.", "A dog.", "A dogma", "Hot dogs, really"]
    found = captions_by_noun(texts)
    assert found["dog"] == [0, 1, 3]
    assert found["truck"] == [0]
    assert found["fire truck"] == [0]
    assert found["hot dog"] == [3]


def test_no_caption_is_of_a_photograph_that_measures_the_encoder(packs):
    captions = read_captions(packs)
    assert len(captions) > 10_000
    own = {
        " ".join(each.split()) for row in read_rows(packs, "coco_mini") for each in row["captions"]
    }
    assert len(own) > 1000
    # A few people wrote the same few words under two photographs.
    assert sum(each in own for each in captions) < 100


def test_a_name_is_left_out_with_what_it_may_be_the_plural_of():
    holders = {"short": [1], "shorts": [2], "pony": [3], "grand piano": [4], "piano": [5]}
    left = without_names(holders, ["Shorts", "ponies", "grand_piano"])
    assert left == {"piano": [5]}


def test_a_noun_lies_where_the_captions_lie_that_are_closest_to_its_label():
    captions = np.array([[1, 0, 0], [0, 1, 0], [0, 0.6, 0.8], [0, 0, 1]], np.float32)
    labels = np.array([[0.8, 0.6, 0], [0, 0, 1]], np.float32)
    found = among_captions(labels, [[0, 1], [3]], captions)
    weights = np.exp(np.array([0.8, 0.6]) / 0.03)
    expected = np.array([*weights, 0]) / np.linalg.norm(weights)
    np.testing.assert_allclose(found[0], expected, atol=1e-5)
    np.testing.assert_allclose(found[1], captions[3], atol=1e-6)
