import numpy as np

from backend.bench.languages import LANGUAGES, mixed, read_labels, read_lessons, taught


def test_names_are_read_by_their_letters():
    names = ["elefant", "elephant", "helikopter", "helicopter", "katze", "gatto"]
    things = np.eye(3, dtype=np.float32)[[0, 0, 1, 1, 2, 2]]
    read = taught(names, things, 0.1)
    found = read(["elefante", "helicóptero", "gato"])
    assert list(found.argmax(axis=1)) == [0, 1, 2]
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


def test_a_name_that_was_learned_is_read_as_it_was_said_when_hardly_held_back():
    rng = np.random.default_rng(0)
    names = ["hund", "chat", "pajaro", "fiets"]
    things = rng.normal(size=(4, 8)).astype(np.float32)
    things /= np.linalg.norm(things, axis=1, keepdims=True)
    assert np.abs(taught(names, things, 1e-4)(names) - things).max() < 1e-2


def test_a_share_of_nothing_leaves_the_reader_alone():
    read, alone = np.eye(2, dtype=np.float32)
    np.testing.assert_array_equal(mixed(read[None], alone[None], 0.0), read[None])
    np.testing.assert_allclose(mixed(read[None], alone[None], 1.0), [[0.5**0.5, 0.5**0.5]])


def test_no_label_of_ours_is_learned_from(packs):
    lessons = read_lessons(packs)
    assert len(lessons) > 1500
    labels = {name for pack in ("coco_mini", "mosaic_open") for name in read_labels(packs, pack)}
    assert len(labels) > 80
    assert not labels & {each.english for each in lessons}
    assert all(set(each.names) <= set(LANGUAGES) for each in lessons)
