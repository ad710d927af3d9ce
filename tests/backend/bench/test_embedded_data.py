from pathlib import Path

import numpy as np

from backend.bench._embedded_data import (
    Canvas,
    Photos,
    compose,
    forbidden_photos,
    kept_out_labels,
    read_rows,
    usable_mosaics,
    usable_rows,
)


def test_a_later_photo_hides_what_is_below_it():
    canvas = Canvas(64, np.array([9, 9, 9]))
    canvas.paste(np.full((4, 4, 3), 100, np.uint8), 7, (0, 0, 64, 64))
    canvas.paste(np.full((4, 4, 3), 200, np.uint8), 5, (32, 0, 64, 48))
    mosaic = canvas.finish(32)
    assert list(mosaic.photos[:3]) == [7, 5, -1]
    assert np.allclose(mosaic.cover[:, 0], [1, 0, 1, 0.5])
    assert np.allclose(mosaic.cover[:, 1], [0, 1, 0, 0.5])
    assert mosaic.image[0, 0, 0] == 100
    assert mosaic.image[0, 40, 0] == 200


def test_composed_pictures_depend_on_their_seed_only_and_cover_at_most_everything():
    photos = Photos(
        [np.full((40 + i, 60, 3), 20 * i, np.uint8) for i in range(6)],
        np.arange(6) % 3,
        list("abc"),
    )
    for seed in range(30):
        one, again = (compose(photos, np.random.default_rng(seed), 96, 32) for _ in range(2))
        assert np.array_equal(one.image, again.image)
        assert np.array_equal(one.cover, again.cover)
        assert one.cover.shape == (9, 6)
        assert (one.cover.sum(axis=1) <= 1.001).all()
        assert one.cover.sum() > 0
        assert not one.cover[:, one.photos < 0].any()


def test_nothing_that_measures_the_encoder_is_trained_on(packs):
    rows, kept_out = (
        usable_rows(packs),
        set(kept_out_labels(read_rows(packs, "pretrain_openphotos"))),
    )
    assert len(kept_out) == 40
    assert len(rows) > 10_000
    assert all(row["split"] == "train" for row in rows)
    assert not any(kept_out & set(row["labels"]) for row in rows)
    measured = forbidden_photos(packs)
    assert measured
    names = {Path(row["file"]).name for row in rows}
    assert not any(Path(name).stem.removeprefix("clo_") in measured for name in names)
    known = {Path(row["file"]).name: row for row in rows}
    drawn = {row["file"]: row for row in read_rows(packs, "mosaic_open")}
    for path, _ in usable_mosaics(packs):
        row = drawn[f"images/{path.name}"]
        assert row["split"] == "train"
        assert all(part in known for part in row["parts"])
