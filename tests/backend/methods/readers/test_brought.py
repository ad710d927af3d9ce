"""What other models made: scores and vectors."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from backend.settings import Limits
from backend.types import BroughtVectors
from tests.reading import chosen, read, reader


def lines(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_scores_of_a_sample_come_together(tmp_path: Path) -> None:
    path = lines(
        tmp_path / "resnet.jsonl",
        {"sample": "a.png", "label": "cat", "score": 0.9},
        {"sample": "b.png", "label": "cat", "score": -3},
        {"sample": "a.png", "label": "dog", "score": 0.1},
        {"sample": 12, "label": "dog", "score": 1},
    )
    assert chosen(path) == "predictions"
    drafts, problems = read("predictions", path)
    assert problems == {}
    assert {n: dict(d.predictions) for n, d in drafts.items()} == {
        "a.png": {"cat": 0.9, "dog": 0.1},
        "b.png": {"cat": -3.0},
        "12": {"dog": 1.0},
    }
    assert all(d.path is None and not d.verdicts for d in drafts.values())


def test_other_forms_of_scores(tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    path.write_text(
        json.dumps(
            [
                {
                    "sample": "a",
                    "suggestions": [
                        {"label": "x", "score": 0.5, "probability": None},
                        {"label": "y", "score": 0.25},
                    ],
                },
                {"sample": "b", "scores": {"x": 1, "y": 0}},
            ]
        )
    )
    assert chosen(path) == "predictions"
    drafts, _ = read("predictions", path)
    assert drafts["a"].predictions == {"x": 0.5, "y": 0.25}
    assert drafts["b"].predictions == {"x": 1.0, "y": 0.0}


def test_verdicts_are_not_scores(tmp_path: Path) -> None:
    path = lines(
        tmp_path / "c.jsonl", {"sample": "a", "label": "x", "verdict": "yes", "score": 0.5}
    )
    assert chosen(path) == "jsonl"


def test_broken_scores_are_named_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text(
        '{"sample": "a", "label": "x", "score": 0.5}\n'
        '{"sample": "a", "label": "nan", "score": NaN}\n'
        '{"sample": "a", "label": "text", "score": "0.5"}\n'
        '{"sample": "../../a", "label": "x", "score": 1}\n'
        '{"sample": "a", "label": "", "score": 1}\n'
        '{"label": "x", "score": 1}\n'
        '{"sample": "a", "label": "true", "score": true}\n'
    )
    drafts, problems = read("predictions", path)
    assert {n: dict(d.predictions) for n, d in drafts.items()} == {"a": {"x": 0.5}}
    told = problems["p.jsonl"]
    assert all(f"line {n}: " in told for n in range(2, 8))


def vectors(path: Path) -> tuple[list[BroughtVectors], list[str]]:
    found = list(reader("vectors").read(path))
    return (
        [one for one in found if isinstance(one, BroughtVectors)],
        [one.reason for one in found if not isinstance(one, BroughtVectors)],
    )


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.int8])
@pytest.mark.parametrize("order", ["C", "F"])
def test_vectors_keep_their_rows(tmp_path: Path, dtype: type, order: str) -> None:
    made = np.array([[1, 2, 3], [4, 5, 6]], dtype=dtype, order=order)
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "dino.npz", names=np.array(["a.png", "日本.png"]), vectors=made, extra=made)
        assert chosen(tmp_path / "dino.npz") == "vectors"
        (brought,), problems = vectors(tmp_path / "dino.npz")
        assert (brought.source, brought.names, problems) == ("dino", ("a.png", "日本.png"), [])
        assert brought.vectors.dtype == np.float32
        assert brought.vectors.tolist() == [[1, 2, 3], [4, 5, 6]]


def test_rows_that_cannot_be_searched_are_named(tmp_path: Path) -> None:
    made = np.array([[1, 0], [np.nan, 1], [0, 0], [1, 1], [2, 2], [1e39, 1]])
    names = np.array(["a", "nan", "zero", "../up", "a", "huge"])
    np.savez(tmp_path / "v.npz", names=names, vectors=made)
    (brought,), problems = vectors(tmp_path / "v.npz")
    assert brought.names == ("a",)
    assert brought.vectors.tolist() == [[1, 0]]
    assert [one.split(":")[0] for one in problems] == [f"row {n}" for n in (2, 3, 4, 5, 6)]


def test_objects_are_refused_without_unpickling(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    evil = np.array([Evil(), Evil()], dtype=object)
    np.savez(tmp_path / "o.npz", names=evil, vectors=np.ones((2, 2)))
    made, problems = vectors(tmp_path / "o.npz")
    assert made == []
    assert problems == ["names holds object; give a list of texts (N), not objects"]
    assert not (tmp_path / "ran").exists()


def test_claims_are_checked_before_reading(tmp_path: Path) -> None:
    header = io.BytesIO()
    claim = {"descr": "<f4", "fortran_order": False, "shape": (10**6, 10**6)}
    np.lib.format.write_array_header_1_0(header, claim)
    names = io.BytesIO()
    np.save(names, np.array(["a"]))
    with zipfile.ZipFile(tmp_path / "big.npz", "w") as out:
        out.writestr("names.npy", names.getvalue())
        out.writestr("vectors.npy", header.getvalue())
    assert vectors(tmp_path / "big.npz")[1] == [
        "vectors would take 4,000,000,000,000 bytes; the limit is 2,000,000,000"
    ]


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"names": np.array(["a"])}, "holds no array called vectors"),
        ({"names": np.array(["a"]), "vectors": np.ones(3)}, "has the shape (3,)"),
        ({"names": np.array(["a"]), "vectors": np.ones((2, 3))}, "holds 1 names for 2 vectors"),
        ({"names": np.array([1.5]), "vectors": np.ones((1, 3))}, "give a list of texts"),
        ({"names": np.array(["a"]), "vectors": np.array([["x"]])}, "give numbers"),
    ],
)
def test_wrong_arrays_are_named(tmp_path: Path, arrays: dict, words: str) -> None:
    np.savez(tmp_path / "v.npz", **arrays)
    made, (problem,) = vectors(tmp_path / "v.npz")
    assert made == []
    assert words in problem


def test_cut_files_are_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "v.npz", names=np.array(["a"]), vectors=np.ones((1, 3)))
    data = (tmp_path / "v.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(data[:-40])
    assert chosen(tmp_path / "cut.npz") == "vectors"
    assert vectors(tmp_path / "cut.npz")[1][0].startswith("is broken")
    limits = Limits(upload_bytes=4)
    (problem,) = reader("vectors", limits=limits).read(tmp_path / "v.npz")
    assert "the limit is 4" in problem.reason
