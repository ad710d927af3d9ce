import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from backend.bench._embedded_data import PACK, kept_out_labels, read_rows
from backend.errors import NotFoundError, RefusedError
from backend.methods.encoders._captioned_nouns import (
    FILE,
    CaptionedNouns,
    draw,
    write_captioned_nouns,
)
from backend.methods.encoders.embedded import EmbeddedEncoder
from backend.settings import assets_folder

ASSETS = assets_folder() / "encoder"


def constants() -> dict:
    return json.loads((ASSETS / "encoder.json").read_text())


def unit(*numbers: float) -> np.ndarray:
    row = np.array(numbers, np.float32)
    return row / np.linalg.norm(row)


def test_a_label_is_drawn_by_its_share_to_the_captions_of_its_noun_or_singular():
    labels = np.stack([unit(1, 0, 0), unit(1, 0, 0), unit(0, 1, 0), unit(0, 0, 1)])
    vectors = np.stack([unit(0, 1, 0), unit(0, 0, 1)])
    found = draw(
        ["Fire  Truck", "berries", "yeti", "berry"],
        labels,
        {"fire truck": 0, "berry": 1},
        vectors,
        0.25,
    )
    np.testing.assert_allclose(found[0], unit(3, 1, 0), atol=1e-6)
    np.testing.assert_allclose(found[1], unit(3, 0, 1), atol=1e-6)
    np.testing.assert_array_equal(found[2], labels[2])
    np.testing.assert_allclose(found[3], labels[3], atol=1e-6)


def test_what_was_written_is_read_and_another_file_is_refused(tmp_path):
    rng = np.random.default_rng(0)
    vectors = {name: unit(*rng.normal(size=5)) for name in ("zebra", "ant", "fire truck")}
    told = write_captioned_nouns(tmp_path, vectors, share=1.0)
    read = CaptionedNouns(tmp_path, told)
    own = np.stack([unit(*rng.normal(size=5)) for _ in range(3)])
    np.testing.assert_allclose(
        read.drawn(list(vectors), own), np.stack(list(vectors.values())), atol=1e-3
    )
    path = tmp_path / FILE
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(RefusedError, match=rf"{FILE} .*SHA-256"):
        CaptionedNouns(tmp_path, told).drawn(["ant"], own[:1])
    path.unlink()
    with pytest.raises(NotFoundError, match=f"{FILE} is missing"):
        CaptionedNouns(tmp_path, told).drawn(["ant"], own[:1])


def test_captions_change_labels_that_they_hold_and_the_fingerprint(tmp_path):
    copy = Path(shutil.copytree(ASSETS, tmp_path / "encoder"))
    without = constants()
    share = without.pop("captions")["share"]
    (copy / "encoder.json").write_text(json.dumps(without))
    encoder = EmbeddedEncoder()
    plain = EmbeddedEncoder(EmbeddedEncoder.Settings(folder=str(copy)))
    assert plain.fingerprint != encoder.fingerprint
    assert plain.lane_key == encoder.lane_key
    names = ["dogs", "quuxible"]
    ours, theirs = encoder.encode_labels(names), plain.encode_labels(names)
    assert ours[0] @ theirs[0] < 1 - share**2 / 8
    np.testing.assert_allclose(ours[1], theirs[1], atol=1e-6)
    np.testing.assert_allclose(encoder.encode_texts(names), plain.encode_texts(names), atol=1e-6)


def test_no_caption_tells_of_a_label_that_is_kept_out_of_training(packs):
    kept_out = kept_out_labels(read_rows(packs, PACK))
    told = CaptionedNouns(ASSETS, constants()["captions"])
    own = np.tile(unit(*np.ones(384)), (len(kept_out), 1))
    np.testing.assert_allclose(told.drawn(kept_out, own), own, atol=1e-6)
    assert np.abs(told.drawn(["dog"], own[:1]) - own[0]).max() > 0.01
