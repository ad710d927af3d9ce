import numpy as np
import pytest

from backend.bench._embedded_data import PACK, read_rows
from backend.bench._embedded_measures import read_pictures
from backend.bench._embedded_vectors import BATCH, kept_encoded, kept_texts, kept_vectors
from backend.methods.encoders.embedded import EmbeddedEncoder


class Reader(EmbeddedEncoder):
    """Reads a text as its length; stops in the middle if told to."""

    def __init__(self, stop_after: int = 1 << 30):
        self.fingerprint, self.dim = "reader-1", 2
        self.was_read: list[str] = []
        self.stop_after = stop_after

    def encode_texts(self, texts):
        if len(self.was_read) >= self.stop_after:
            raise KeyboardInterrupt
        self.was_read += texts
        return np.array([[len(text), 1] for text in texts], np.float32)


TEXTS = ["x" * (n % 7) for n in range(3 * BATCH + 5)]


def test_a_stopped_run_goes_on_where_it_was(tmp_path):
    first = Reader(stop_after=2 * BATCH)
    with pytest.raises(KeyboardInterrupt):
        kept_texts(first, TEXTS, tmp_path, lambda _: None)
    second = Reader()
    found = kept_texts(second, TEXTS, tmp_path, lambda _: None)
    assert second.was_read == TEXTS[2 * BATCH :]
    assert np.array_equal(found[:, 0], [len(text) for text in TEXTS])
    third = Reader()
    assert np.array_equal(kept_texts(third, TEXTS, tmp_path, lambda _: None), found)
    assert not third.was_read


def test_other_weights_and_other_texts_are_read_anew(tmp_path):
    kept_texts(Reader(), TEXTS, tmp_path, lambda _: None)
    other = Reader()
    other.fingerprint = "reader-2"
    kept_texts(other, TEXTS, tmp_path, lambda _: None)
    assert other.was_read == TEXTS
    more = Reader()
    kept_texts(more, [*TEXTS[:-1], "another"], tmp_path, lambda _: None)
    assert len(more.was_read) == len(TEXTS)


@pytest.mark.slow
def test_what_is_kept_is_what_the_encoder_gives_a_project(packs, tmp_path):
    encoder = EmbeddedEncoder(EmbeddedEncoder.Settings(threads=1))
    files = [row["file"] for row in read_rows(packs, PACK)[:3]]
    encoded, readings = encoder.read(read_pictures(packs, PACK, files))
    kept = kept_vectors(encoder, packs, PACK, files, tmp_path, lambda _: None)
    np.testing.assert_allclose(kept.pooled, encoded.pooled, atol=1e-5)
    np.testing.assert_allclose(kept.plain, [one.plain for one in readings], atol=1e-5)
    assert np.array_equal(kept.both, np.hstack([kept.pooled, kept.plain]))
    again = kept_encoded(encoder, packs, PACK, files, tmp_path, lambda _: None)
    np.testing.assert_allclose(again.pooled, encoded.pooled, atol=1e-5)
    np.testing.assert_allclose(again.parts, encoded.parts, atol=1e-5)
    assert again.layouts == encoded.layouts
