"""What lanes read comes from the pass that makes the vectors, and can be read again."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from PIL import Image, ImageOps

from backend import encoding
from backend.errors import BadInputError
from backend.images import SMALLEST_CROP, fixed_view
from backend.pipeline import load_encoder
from backend.settings import Settings
from backend.store.project import ProjectStore
from backend.store.token_cache import TokenCache
from backend.types import Draft, Encoded, Kind, LaneReading, Layout, ScoreScale

TEXTS = ["my card is lost", "open the pool at noon", "", "a much longer text, " * 12]


class Colours:
    """An encoder whose readings tell what it was shown: the mean colour of each quarter."""

    id = "colours"
    kind = Kind.IMAGE
    dim = 3
    fingerprint = "colours-1"
    scale = ScoreScale()
    input_size = 16
    lane_key = "colours-stream"
    lane_refusal = ""
    plain_dim = 2

    def __init__(self) -> None:
        self.encoded: list[int] = []
        self.read_in: list[int] = []
        self.shown: list[tuple[int, int]] = []

    def encode(self, samples):
        self.encoded.append(len(samples))
        return self._encoded(samples)

    def _encoded(self, samples):
        quarters = [np.asarray(one.resize((2, 2)), np.float32).reshape(4, 3) for one in samples]
        unit = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in quarters]
        whole = np.stack([rows.mean(0) / np.linalg.norm(rows.mean(0)) for rows in unit])
        return Encoded(whole, tuple(unit), (Layout(grid=(2, 2)),) * len(samples))

    def read(self, samples):
        self.read_in.append(len(samples))
        self.shown += [one.size for one in samples]
        readings = [
            LaneReading(
                np.asarray(one.resize((8, 8)), np.float16).reshape(1, 64, 3),
                np.array(one.size, np.float32),
            )
            for one in samples
        ]
        return self._encoded(samples), readings

    def frozen_stack(self):
        raise NotImplementedError

    def encode_labels(self, names):
        return np.ones((len(names), 3), np.float32) / np.sqrt(3)

    encode_texts = encode_labels


@pytest.fixture
def pictures(tmp_path, settings):
    """A project of ten pictures, each a left to right gradient of its own."""
    store = ProjectStore.create(
        tmp_path / "pictures", name="p", kind=Kind.IMAGE, encoder="colours", settings=settings
    )
    drafts = []
    for number in range(10):
        ramp = np.linspace(1, 250, 60 + number).astype(np.uint8)
        pixels = np.stack([np.tile(ramp, (40, 1)), np.full((40, len(ramp)), 10 * number + 5)], 2)
        file = tmp_path / f"{number}.png"
        Image.fromarray(np.dstack([pixels, pixels[:, :, :1]]).astype(np.uint8)).save(file)
        drafts.append(Draft(name=file.name, path=file))
    store.take(drafts, who="me", source="test", op="1")
    yield store
    store.close()


@pytest.fixture
def texts(tmp_path, settings):
    store = ProjectStore.create(
        tmp_path / "texts", name="t", kind=Kind.TEXT, encoder="sentence:minilm", settings=settings
    )
    drafts = [Draft(name=f"{number}.txt", text=text) for number, text in enumerate(TEXTS)]
    store.take([one for one in drafts if one.text], who="me", source="test", op="1")
    yield store
    store.close()


def hashes_of(store: ProjectStore) -> list[str]:
    return [sample.content_hash for sample in store.samples()]


def test_with_a_token_cache_one_pass_gives_vectors_and_readings(texts):
    encoder = load_encoder("sentence:minilm", Settings(threads=1))
    samples = texts.samples()
    assert encoding.encode_missing(texts, encoder, samples, tokens=texts.tokens) == len(samples)
    hashes = hashes_of(texts)
    assert texts.vectors.missing(hashes, encoder.fingerprint) == []
    expected = encoder.read([sample.text for sample in samples])[1]
    for found, reading in zip(texts.tokens.get(encoder.lane_key, hashes), expected, strict=True):
        assert found.tokens.shape == reading.tokens.shape
        difference = found.tokens.astype(float) - reading.tokens.astype(float)
        assert np.abs(difference).max() < 0.02
    assert encoding.encode_missing(texts, encoder, samples, tokens=texts.tokens) == 0


def test_without_a_token_cache_nothing_is_read(pictures):
    encoder = Colours()
    encoding.encode_missing(pictures, encoder, pictures.samples())
    assert (encoder.encoded, encoder.read_in) == ([8, 2], [])
    assert not pictures.tokens.folder.exists()


def test_media_that_cannot_be_read_are_told_and_the_rest_goes_on(pictures, caplog):
    """One that is damaged, and one whose file is gone."""
    encoder, samples = Colours(), pictures.samples()
    pictures.media.path(samples[3]).write_bytes(b"no picture")
    pictures.media.path(samples[7]).unlink()
    with caplog.at_level(logging.WARNING, "patchlane.encoding"):
        assert encoding.encode_missing(pictures, encoder, samples) == 8
    assert [record.args[0] for record in caplog.records] == [samples[3].name, samples[7].name]
    assert all("gets no vectors" in record.getMessage() for record in caplog.records)


def test_an_encoder_without_lanes_is_only_encoded(pictures):
    encoder = Colours()
    encoder.lane_refusal = "no lanes with colours: it is a toy; its labels learn by heads alone"
    encoding.encode_missing(pictures, encoder, pictures.samples(), tokens=pictures.tokens)
    assert (encoder.encoded, encoder.read_in) == ([8, 2], [])
    with pytest.raises(BadInputError, match="it is a toy"):
        encoding.read_missing(pictures, encoder, pictures.samples(), pictures.tokens)


def test_a_stream_reads_in_pieces_that_fit_into_memory(pictures, monkeypatch):
    encoder = Colours()
    monkeypatch.setattr(encoding, "PIECE_BYTES", 3 * 64 * 3 * 2)
    encoding.encode_missing(pictures, encoder, pictures.samples(), tokens=pictures.tokens)
    assert encoder.read_in == [4, 3, 1, 2]  # of a first batch of 8, and the rest
    assert pictures.tokens.missing(hashes_of(pictures), encoder.lane_key) == []


def test_only_what_is_gone_is_read_again(pictures):
    encoder = Colours()
    seen = []
    samples, tokens = pictures.samples(), pictures.tokens
    encoding.encode_missing(pictures, encoder, samples, tokens=tokens)
    before = tokens.get(encoder.lane_key, hashes_of(pictures))
    tokens.remove(hashes_of(pictures)[:1])  # with the file it lies in
    tokens.put(encoder.lane_key, hashes_of(pictures)[4:], before[4:])
    encoder.read_in.clear()
    count = encoding.read_missing(
        pictures, encoder, samples, tokens, progress=lambda *step: seen.append(step)
    )
    assert (count, sum(encoder.read_in), encoder.encoded) == (4, 4, [])
    assert seen[-1][:2] == (4, 4)
    for one, other in zip(tokens.get(encoder.lane_key, hashes_of(pictures)), before, strict=True):
        np.testing.assert_array_equal(one.tokens, other.tokens)


def test_each_view_is_read_apart_and_shows_what_it_says(pictures):
    encoder, sample = Colours(), pictures.samples()[0]
    encoder.input_size = 400  # so that no picture is shrunk when it is decoded
    for view in range(4):
        assert encoding.read_missing(pictures, encoder, [sample], pictures.tokens, view=view) == 1
    whole, mirror, *crops = (
        pictures.tokens.get(encoder.lane_key, [sample.content_hash], view)[0] for view in range(4)
    )
    np.testing.assert_allclose(
        mirror.tokens.reshape(8, 8, 3), whole.tokens.reshape(8, 8, 3)[:, ::-1], atol=1.5
    )
    for crop in crops:
        assert (crop.plain < whole.plain).all()
        assert (crop.plain >= np.floor(SMALLEST_CROP * whole.plain)).all()
    assert not np.array_equal(crops[0].tokens, crops[1].tokens)
    with pytest.raises(BadInputError, match="image has no view 7"):
        encoding.read_missing(pictures, encoder, [sample], pictures.tokens, view=7)


def test_texts_are_read_as_they_are_only(texts):
    encoder = load_encoder("sentence:minilm", Settings(threads=1))
    with pytest.raises(BadInputError, match="text has no view 1"):
        encoding.read_missing(texts, encoder, texts.samples(), texts.tokens, view=1)


def test_a_damaged_picture_is_left_out(pictures):
    sample = pictures.samples()[3]
    pictures.media.path(sample).write_bytes(b"no picture")
    encoder = Colours()
    assert encoding.read_missing(pictures, encoder, pictures.samples(), pictures.tokens) == 9
    assert pictures.tokens.missing(hashes_of(pictures), encoder.lane_key) == [sample.content_hash]


def test_vectors_are_stored_where_the_token_cache_cannot_be(pictures, tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    blocked = TokenCache(tmp_path / "file" / "tokens", budget_bytes=10_000_000)
    encoder = Colours()
    with caplog.at_level(logging.WARNING):
        encoding.encode_missing(pictures, encoder, pictures.samples(), tokens=blocked)
    assert pictures.vectors.missing(hashes_of(pictures), encoder.fingerprint) == []
    assert len([line for line in caplog.messages if "cannot be stored" in line]) == 1


def test_fixed_views_depend_on_content_and_number_alone():
    pixels = np.random.default_rng(0).integers(0, 255, (90, 130, 3), dtype=np.uint8)
    picture = Image.fromarray(pixels)
    assert fixed_view(picture, "a", 0) is picture
    assert fixed_view(picture, "a", 1).tobytes() == ImageOps.mirror(picture).tobytes()
    same = fixed_view(picture, "a", 2)
    assert same.tobytes() == fixed_view(Image.fromarray(pixels), "a", 2).tobytes()
    views = {fixed_view(picture, key, number).tobytes() for key in "abc" for number in (2, 3)}
    assert len(views) == 6
    mirrored = 0
    for key in range(40):
        crop = np.asarray(fixed_view(picture, str(key), 2))
        found = [_is_inside(crop, pixels), _is_inside(crop[:, ::-1], pixels)]
        assert sum(found) == 1
        mirrored += found[1]
    assert 8 < mirrored < 32
    assert fixed_view(Image.new("RGB", (1, 1)), "a", 3).size == (1, 1)


def _is_inside(crop: np.ndarray, pixels: np.ndarray) -> bool:
    height, width = crop.shape[:2]
    windows = np.lib.stride_tricks.sliding_window_view(pixels, (1, 8, 3))[:, :, 0, 0]
    corners = np.argwhere((windows == crop[0, :8]).all(axis=(2, 3)))
    return any(
        np.array_equal(pixels[top : top + height, left : left + width], crop)
        for top, left in corners
    )


@pytest.mark.parametrize(
    ("for_lanes", "refusal", "is_read"),
    [(True, "", True), (False, "", False), (True, "it has no blocks", False)],
)
def test_warming_up_runs_what_an_import_will_run(for_lanes, refusal, is_read):
    encoder = Colours()
    encoder.lane_refusal = refusal
    with np.errstate(invalid="ignore"):  # a black picture has no colour to scale
        encoding.encode_once(encoder, Kind.IMAGE, for_lanes=for_lanes)
    assert (encoder.read_in, encoder.encoded) == (([1], []) if is_read else ([], [1]))
