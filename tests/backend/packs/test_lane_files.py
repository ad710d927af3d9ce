"""Lanes in files: taken to another project, refused where they do not fit, lost."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from backend import api
from backend.errors import BadInputError
from backend.store.lane_files import digest_of, pack_lane, unpack_lane
from backend.types import Kind
from tests.backend.packs.conftest import MOODS, columns, texts

pytestmark = pytest.mark.slow


@pytest.fixture
def other(settings, tmp_path):
    """A project with the same texts and no labels."""
    made = api.create_project(
        tmp_path / "other", kind=Kind.TEXT, encoder="sentence:minilm", settings=settings
    )
    source = tmp_path / "some.jsonl"
    source.write_text("\n".join(json.dumps({"sample": n, "text": t}) for n, t, _ in texts()))
    made.add(source)
    yield made
    made.close()


def test_a_lane_goes_home_in_a_file_and_works_elsewhere(
    bench, taught, other, settings, tmp_path, lanes_count
):
    file = bench.packs.export("moods", tmp_path)
    report = other.packs.take(file)
    assert report.digest in {lane.digest for lane in other.learned.lanes}
    assert [label.name for label in other.labels()] == list(MOODS)
    at = columns(bench, "moods")
    np.testing.assert_allclose(
        other.board.logits[:, columns(other, "moods")], bench.board.logits[:, at], atol=1e-4
    )
    logits = other.board.logits.copy()
    other.close()
    shutil.rmtree(other.path / "cache" / "versions")
    again = api.open_project(other.path, settings=settings)
    np.testing.assert_array_equal(again.board.logits, logits)
    again.close()


def test_files_that_are_no_lane_of_this_encoder_change_nothing(bench, taught, settings, tmp_path):
    content = bench.packs.export("moods", tmp_path).read_bytes()
    version, labels = bench.version, bench.labels()
    edited = bytearray(content)
    edited[-3] ^= 1
    hostile = {
        "cut off": content[: len(content) // 2],
        "no lane": b"not a lane at all, but long enough to look at",
        "changed": bytes(edited),
        "huge header": (1 << 60).to_bytes(8, "little") + content[8:],
    }
    for name, bad in hostile.items():
        with pytest.raises(BadInputError, match=r"bad\.safetensors"):
            bench.packs.take(bad, name="bad.safetensors")
        assert bench.version == version, name
    words = api.create_project(
        tmp_path / "words", kind=Kind.TEXT, encoder="words", settings=settings
    )
    with pytest.raises(BadInputError, match="heads alone"):
        words.packs.take(content)
    assert words.live.room.refusal
    words.close()
    assert bench.labels() == labels


def edited(content, **changes):
    """A lane file whose lane is another, with digests that fit again."""
    found = unpack_lane(content)
    heads = changes.pop("heads", found.heads)
    lane = replace(found.lane, **changes)
    lane = replace(lane, digest=digest_of(lane.arrays))
    return pack_lane(replace(found, lane=lane, heads=heads))


def test_a_lane_that_does_not_fit_leaves_no_trace(bench, taught, other, tmp_path):
    content = bench.packs.export("moods", tmp_path).read_bytes()
    found = unpack_lane(content)
    narrow = {name: array[..., :-1] for name, array in found.lane.arrays.items()}
    unknown = {name: np.full_like(array, np.nan) for name, array in found.lane.arrays.items()}
    refused = {
        "another encoder": edited(content, lane_key="another"),
        "another shape": edited(content, maker="multi-lane 1x1x1"),
        "narrow": edited(content, arrays=narrow),
        "not finite": edited(content, arrays=unknown),
        "no weights": edited(content, heads={"strange": np.zeros((len(MOODS), 3))}),
        "flat heads": edited(
            content, heads={name: array[..., :1] for name, array in found.heads.items()}
        ),
    }
    files = sorted(path.name for path in (other.path / "lanes").glob("*"))
    for name, bad in refused.items():
        with pytest.raises(BadInputError, match=r"bad\.safetensors"):
            other.packs.take(bad, name="bad.safetensors")
        assert (other.version, other.labels()) == (0, []), name
        assert sorted(path.name for path in (other.path / "lanes").glob("*")) == files, name
    assert other.packs.take(content).pack == "moods"


def test_a_file_goes_into_the_pack_that_was_asked_for(bench, taught, other, tmp_path):
    file = bench.packs.export("moods", tmp_path)
    assert other.packs.take(file, pack="feelings").pack == "feelings"
    assert [(label.name, label.pack) for label in other.labels()] == [
        (name, "feelings") for name in MOODS
    ]
    assert [lane.pack for lane in other.learned.lanes] == ["feelings"]


def test_a_pack_named_like_a_path_is_written_into_the_folder(bench, tmp_path):
    bench.packs.rename("moods", "../../evil")
    bench.packs.teach("../../evil")
    folder = tmp_path / "in" / "here"
    folder.mkdir(parents=True)
    assert bench.packs.export("../../evil", folder).parent == folder
    assert [path.parent for path in tmp_path.rglob("*evil*")] == [folder]


def test_a_project_opens_without_an_imported_lane_that_is_lost(
    bench, taught, other, settings, tmp_path, caplog
):
    other.packs.take(bench.packs.export("moods", tmp_path))
    version = other.version
    other.close()
    shutil.rmtree(other.path / "lanes")
    shutil.rmtree(other.path / "cache" / "versions")
    again = api.open_project(other.path, settings=settings)
    assert again.version == version
    assert again.learned.lanes == ()
    assert "import it again" in caplog.text
    again.packs.take(tmp_path / "moods.safetensors")
    assert len(again.learned.lanes) == 1
    again.close()


def test_a_damaged_file_of_a_lane_is_written_again(bench, taught, settings):
    digest = bench.packs.last_report().digest
    logits = bench.board.logits.copy()
    path = bench.store.lanes.path(digest)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    bench.close()
    again = api.open_project(bench.path, settings=settings)
    np.testing.assert_allclose(again.board.logits, logits, atol=1e-5)
    assert path.read_bytes() == whole
    again.close()
