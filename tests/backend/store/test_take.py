"""Imports: names, duplicates, conflicts, bad files, other models; one undo takes all back."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from backend.errors import BadInputError, NotFoundError
from backend.jobs import Cancelled
from backend.settings import Limits, Settings
from backend.store.corrections import NewCorrection
from backend.store.project import ProjectStore
from backend.types import (
    BroughtVectors,
    Draft,
    FileProblem,
    ImportReport,
    Kind,
    Region,
    RegionVerdict,
    Split,
    Verdict,
)
from tests.backend.store.conftest import Make, write_image

YES, NO, UNSURE = Verdict.YES, Verdict.NO, Verdict.UNSURE


def take(store: ProjectStore, *drafts: Draft | BroughtVectors | FileProblem, **how) -> ImportReport:
    how = {"who": "importer", "source": "import:labels.csv", **how}
    return store.take(drafts, **how)


def verdicts(store: ProjectStore) -> dict[tuple[str, str], Verdict]:
    samples = {sample.id: sample.name for sample in store.samples()}
    labels = {label.id: label.name for label in store.labels()}
    return {
        (samples[s], labels[k]): row.verdict
        for (s, k), row in store.log.current().items()
        if row.verdict is not None
    }


def test_a_folder_of_images_with_bad_ones_among_them(make: Make, tmp_path: Path) -> None:
    store = make(kind=Kind.IMAGE)
    good = write_image(tmp_path / "in" / "good.png", seed=1, size=(30, 20))
    twin = tmp_path / "in" / "sub" / "twin.png"
    twin.parent.mkdir()
    twin.write_bytes(good.read_bytes())
    broken = tmp_path / "in" / "broken.png"
    broken.write_bytes(good.read_bytes()[:200])
    empty = tmp_path / "in" / "empty.jpg"
    empty.write_bytes(b"")
    script = tmp_path / "in" / "page.png"
    script.write_text("<svg onload=alert(1)>")
    files = [good, twin, broken, empty, script, tmp_path / "in" / "gone.png"]
    report = take(
        store,
        *(Draft(name=str(f.relative_to(tmp_path / "in")), path=f) for f in files),
        FileProblem("link.png", "is a link"),
    )
    assert (report.imported, report.duplicates, report.skipped) == (1, 1, 5)
    reasons = {problem.file: problem.reason for problem in report.errors}
    assert set(reasons) == {"broken.png", "empty.jpg", "page.png", "gone.png", "link.png"}
    assert "empty" in reasons["empty.jpg"]
    sample = store.find("good.png")
    assert sample.names == ("good.png", "sub/twin.png")
    assert (sample.width, sample.height, sample.kind) == (30, 20, Kind.IMAGE)
    assert store.media.path(sample).read_bytes() == good.read_bytes()
    assert store.find("twin.png") == store.find("sub/twin.png") == sample


def test_what_the_encoder_needs_is_decoded_once_and_handed_over(make: Make, tmp_path: Path) -> None:
    store = make(kind=Kind.IMAGE)
    file = write_image(tmp_path / "a.png", size=(64, 32))
    seen: list[tuple[str, object]] = []
    take(
        store,
        Draft(name="a.png", path=file),
        at_least=32,
        on_content=lambda digest, content: seen.append((digest, content)),
    )
    ((digest, content),) = seen
    assert digest == store.samples()[0].content_hash
    assert isinstance(content, Image.Image)
    assert max(content.size) >= 32


def test_too_many_pixels_are_refused_by_name(make: Make, tmp_path: Path) -> None:
    make(kind=Kind.IMAGE).close()
    limited = Settings(limits=Limits(pixels=300, text_characters=10))
    store = ProjectStore.open(tmp_path / "project", settings=limited)
    report = take(store, Draft(name="big.png", path=write_image(tmp_path / "big.png")))
    assert report.imported == 0
    assert report.errors[0].file == "big.png"
    assert "limit" in report.errors[0].reason
    assert not list((store.path / "media").rglob("*.png"))
    store.close()


@pytest.mark.parametrize(
    "name",
    ["../up.txt", "/etc/passwd", "a/../../b", "C:\\windows\\x", "..\\up", "\\\\host\\x", ".."],
)
def test_names_that_lead_out_are_refused_by_name(store: ProjectStore, name: str) -> None:
    report = take(store, Draft(name=name, text="words"), Draft(name="fine", text="more"))
    assert (report.imported, report.skipped) == (1, 1)
    assert "leads out" in report.errors[0].reason


@pytest.mark.parametrize(
    ("text", "words"), [("", "empty"), ("  \n", "empty"), ("a\0b", "NUL"), ("\ud800", "Unicode")]
)
def test_texts_that_are_none_are_refused(store: ProjectStore, text: str, words: str) -> None:
    report = take(store, Draft(name="bad", text=text), Draft(name="good", text="<b>שלום</b>"))
    assert report.imported == 1
    assert words in report.errors[0].reason
    assert store.find("good").text == "<b>שלום</b>"


def test_a_text_over_the_limit_is_refused_with_the_limit(store: ProjectStore) -> None:
    small = ProjectStore.open(store.path, settings=Settings(limits=Limits(text_characters=10)))
    report = take(small, Draft(name="long", text="x" * 11), Draft(name="short", text="x" * 10))
    assert report.imported == 1
    assert "11 characters; 10 is the limit" in report.errors[0].reason
    small.close()


def test_a_project_holds_images_or_texts(store: ProjectStore, tmp_path: Path) -> None:
    report = take(store, Draft(name="a.png", path=write_image(tmp_path / "a.png")))
    assert "holds texts" in report.errors[0].reason


def test_a_file_name_that_is_not_utf8_is_still_taken(store: ProjectStore) -> None:
    name = os.fsdecode(b"caf\xe9.txt")
    take(store, Draft(name=name, text="latin"))
    assert store.find("caf\ufffd.txt").text == "latin"


def test_names_mean_one_sample_each(store: ProjectStore) -> None:
    take(store, Draft(name="a/x.txt", text="one"), Draft(name="b/x.txt", text="two"))
    report = take(store, Draft(name="a/x.txt", text="three"))
    assert store.find("a/x (2).txt").text == "three"
    assert report.errors == (
        FileProblem("a/x.txt", "another sample has this name; taken in as a/x (2).txt"),
    )
    assert report.errors[0].is_taken
    with pytest.raises(BadInputError, match=r"'x.txt' could be 'a/x.txt', 'b/x.txt'"):
        store.find("x.txt")
    with pytest.raises(NotFoundError, match=r"'y.txt'"):
        store.find("y.txt")
    one = store.find("a/x.txt")
    assert store.find(one.id) == store.find(str(one.id)) == one
    for huge in (10**30, -(10**30), str(10**30)):
        with pytest.raises(NotFoundError, match="no sample"):
            store.find(huge)


def test_annotations_find_their_sample_by_name_or_are_reported(store: ProjectStore) -> None:
    take(store, Draft(name="a/x.txt", text="one"), Draft(name="b/x.txt", text="two"))
    report = take(
        store,
        Draft(name="t/1.txt", verdicts={"cat": YES, "owl": NO}),
        Draft(name="2.txt", verdicts={"cat": NO, "owl": YES}),
        Draft(name="x.txt", verdicts={"cat": YES}),
        Draft(name="nowhere.txt", verdicts={"cat": YES}),
    )
    assert verdicts(store) == {("t/1.txt", "cat"): YES, ("t/2.txt", "cat"): NO}
    assert (report.imported, report.annotations, report.skipped) == (0, 2, 2)
    reasons = {problem.file: problem.reason for problem in report.errors}
    assert "could be 'a/x.txt', 'b/x.txt'" in reasons["x.txt"]
    assert "no sample" in reasons["nowhere.txt"]
    assert "2 annotations not stored" in reasons["owl"]
    assert "--create-labels" in reasons["owl"]
    again = take(
        store, Draft(name="t/1.txt", verdicts={"owl": NO}), create_labels=True, op="second"
    )
    assert (again.labels, again.annotations, again.errors) == (1, 1, ())
    row = store.log.current()[1, store.find_label("owl").id]
    assert (row.source, row.who, row.op) == ("import:labels.csv", "import:labels.csv", "second")


def test_a_drafts_own_person_and_time_are_kept(store: ProjectStore) -> None:
    take(store, Draft(name="t/1.txt", verdicts={"cat": YES}, who="ann", when=12.5))
    row = store.log.current()[1, 1]
    assert (row.who, row.when) == ("ann", 12.5)
    assert store.log.undo("importer") is not None  # the import is the importer's


@pytest.mark.parametrize(
    ("on_conflict", "counts", "told"),
    [
        ("keep", {1: YES, 2: NO, 3: YES}, [YES]),
        ("replace", {1: NO, 2: NO, 3: YES}, [YES, None, NO]),
        ("both", {1: YES, 2: NO, 3: YES}, [YES, NO]),  # a person counts above a file
    ],
)
def test_conflicts(
    store: ProjectStore, on_conflict: str, counts: dict[int, Verdict], told: list[Verdict | None]
) -> None:
    store.log.append([NewCorrection(1, 1, YES), NewCorrection(2, 1, NO)], who="ann")
    take(
        store,
        *(Draft(name=f"t/{n}.txt", verdicts={"cat": v}) for n, v in ((1, NO), (2, NO), (3, YES))),
        on_conflict=on_conflict,
    )
    assert {pair[0]: row.verdict for pair, row in store.log.current().items()} == counts
    assert [row.verdict for row in store.log.history(1, 1)] == told
    agreeing = [row.who for row in store.log.history(2, 1)]
    assert agreeing == (["ann", "import:labels.csv"] if on_conflict == "both" else ["ann"])
    store.log.undo("importer")
    after = {pair[0]: (row.verdict, row.who) for pair, row in store.log.current().items()}
    assert after == {1: (YES, "ann"), 2: (NO, "ann")}


def test_unlisted_labels_are_unknown_unless_said_to_be_no(store: ProjectStore) -> None:
    listed = [
        Draft(name="t/1.txt", verdicts={"cat": YES}, only_present=True),
        Draft(name="t/2.txt", verdicts={"bird": YES}, only_present=True),
        Draft(name="t/3.txt", verdicts={"cat": NO}),  # says nothing of what it does not list
        Draft(name="t/1.txt", verdicts={"bird": YES}, only_present=True),  # a later line adds
    ]
    take(store, *listed, create_labels=True)
    assert len(verdicts(store)) == 4
    store.log.undo("importer")
    store.log.append([NewCorrection(2, 2, YES)], who="ann")
    report = take(store, *listed, create_labels=True, unlisted="no")
    assert verdicts(store) == {
        ("t/1.txt", "cat"): YES,
        ("t/1.txt", "bird"): YES,
        ("t/1.txt", "dog"): NO,
        ("t/2.txt", "bird"): YES,
        ("t/2.txt", "cat"): NO,
        ("t/2.txt", "dog"): YES,  # ann's word stays
        ("t/3.txt", "cat"): NO,
    }
    assert report.annotations == 6


def test_a_region_that_is_none_is_reported_and_the_rest_is_stored(store: ProjectStore) -> None:
    report = take(
        store,
        Draft(
            name="t/1.txt",
            verdicts={"dog": YES},
            regions=(
                RegionVerdict("dog", NO, Region("span", (0, 4))),
                RegionVerdict("dog", YES, Region("span", (9, 2))),
            ),
        ),
    )
    row = store.log.current()[1, 2]
    assert (row.verdict, row.regions) == (YES, (Region("span", (0, 4), NO),))
    (error,) = report.errors
    assert "whole characters" in error.reason
    assert "was not stored" in error.reason


def test_split_and_metadata(store: ProjectStore) -> None:
    take(store, Draft(name="t/1.txt", split=Split.VAL, metadata={"source": "web", "page": 3}))
    take(store, Draft(name="t/1.txt", split=Split.TEST, metadata={"source": "book", "by": "x"}))
    sample = store.find(1)
    assert sample.split is Split.VAL
    assert sample.metadata == {"source": "web", "page": 3, "by": "x"}
    take(
        store, Draft(name="t/1.txt", split=Split.TEST, metadata={"page": 4}), on_conflict="replace"
    )
    assert store.find(1).split is Split.TEST
    assert store.find(1).metadata == {"source": "web", "page": 4, "by": "x"}
    for _ in range(3):
        store.log.undo("importer")
    assert (store.find(1).split, store.find(1).metadata) == (Split.TRAIN, {})


def test_one_undo_takes_a_whole_import_back_and_redo_brings_it_again(store: ProjectStore) -> None:
    drafts = [Draft(name=f"n{n}", text=f"new {n}", verdicts={"owl": YES}) for n in range(250)]
    before = (store.samples(), store.labels())
    report = take(store, *drafts, create_labels=True, op="big")
    assert (report.imported, report.annotations, report.op) == (250, 250, "big")
    after = (store.samples(), store.labels(), store.log.current().keys())
    undone = store.log.undo("importer")
    assert undone is not None
    assert len(undone.pairs) == 250
    assert (store.samples(), store.labels()) == before
    assert store.log.current() == {}
    assert store.log.undo("importer", op=undone.op) is not None
    assert (store.samples(), store.labels(), store.log.current().keys()) == after


def test_what_two_imports_share_stays_when_one_is_undone(store: ProjectStore) -> None:
    take(store, Draft(name="a", text="shared"), Draft(name="b", text="only first"), op="first")
    take(store, Draft(name="c", text="shared"), op="second")
    store.log.undo("importer", op="first")
    assert store.find("c").text == "shared"
    with pytest.raises(NotFoundError):
        store.find("a")
    with pytest.raises(NotFoundError):
        store.find("b")


def test_an_import_that_changed_nothing_is_not_what_undo_takes(store: ProjectStore) -> None:
    receipt = store.log.append([NewCorrection(1, 1, YES)], who="importer")
    report = take(store, Draft(name="t/1.txt", text="text number 1"))
    assert (report.imported, report.duplicates) == (0, 1)
    undone = store.log.undo("importer")
    assert undone is not None
    assert undone.pairs == receipt.pairs


def test_the_same_import_again_gives_the_same_report(store: ProjectStore) -> None:
    drafts = (Draft(name="new", text="new"), Draft(name="bad", text=""))
    report = take(store, *drafts, op="i1")
    assert take(store, *drafts, op="i1") == report
    assert store.count() == 6


def test_an_import_that_was_cut_off_goes_on_under_the_same_op(store: ProjectStore) -> None:
    drafts = [Draft(name=f"n{n}", text=f"new {n}") for n in range(230)]

    def stop(done: int, _total: int, _note: str) -> None:
        if done >= 100:
            raise Cancelled

    with pytest.raises(Cancelled):
        take(store, *drafts, op="cut", progress=stop)
    assert store.count() == 105
    report = take(store, *drafts, op="cut")
    assert (report.imported, report.duplicates) == (130, 100)
    store.log.undo("importer")
    assert store.count() == 5


def test_an_import_that_was_cut_off_is_known_as_far_as_it_came(store: ProjectStore) -> None:
    drafts = [Draft(name=f"n{n}", text=f"new {n}", verdicts={"cat": YES}) for n in range(230)]
    drafts[7] = Draft(name="n7", text="")

    def stop(done: int, _total: int, _note: str) -> None:
        if done >= 200:
            raise Cancelled

    with pytest.raises(Cancelled):
        take(store, *drafts, op="cut", progress=stop)
    (told,) = store.past_imports("importer")[:1]
    assert told == store.past_import("cut")
    assert (told.report.imported, told.report.skipped, told.report.annotations) == (199, 1, 199)
    assert [problem.file for problem in told.report.errors] == ["n7"]
    assert not told.is_finished
    assert store.past_import("never begun") is None
    take(store, *drafts, op="cut")
    (told,) = store.past_imports("importer")[:1]
    assert (told.op, told.is_finished) == ("cut", True)


def test_an_import_cut_off_at_its_very_end_can_still_be_undone(store: ProjectStore) -> None:
    drafts = [Draft(name=f"n{n}", text=f"new {n}") for n in range(30)]

    def stop(_done: int, _total: int, _note: str) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        take(store, *drafts, op="cut", progress=stop)
    assert take(store, *drafts, op="cut").imported == 0, "all of it was in"
    assert store.log.undo("importer") is not None
    assert store.count() == 5


def test_what_is_kept_of_very_many_problems_counts_them_all(store: ProjectStore) -> None:
    bad = [FileProblem(f"bad{n}", "is none") for n in range(1002)]
    renamed = [Draft(name="t/1.txt", text=f"another {n}") for n in range(3)]
    report = take(store, *bad, *renamed, op="many")
    told = store.past_import("many")
    assert told is not None
    assert told.report.errors == report.errors[:1000]
    assert (told.num_errors, told.num_taken, told.report.skipped) == (1005, 3, 1002)


def test_undo_during_an_import_stops_it(store: ProjectStore) -> None:
    drafts = [Draft(name=f"n{n}", text=f"new {n}") for n in range(300)]

    def undo(done: int, _total: int, _note: str) -> None:
        if done == 100:
            store.log.undo("importer", op="run")

    with pytest.raises(BadInputError, match="undone while it was running"):
        take(store, *drafts, op="run", progress=undo)
    assert store.count() == 5


def test_a_removed_sample_comes_back_when_it_is_brought_again(store: ProjectStore) -> None:
    store.log.append([NewCorrection(1, 1, YES)], who="ann")
    store.remove_samples([1], who="ben")
    report = take(store, Draft(name="again.txt", text="text number 1"))
    assert (report.imported, report.duplicates) == (1, 0)
    assert store.find("again.txt").id == 1
    assert store.log.current()[1, 1].who == "ann"
    store.log.undo("importer")
    assert store.count() == 4
    assert store.log.current() == {}


def test_undo_of_a_removal_whose_name_is_taken_by_now_is_refused(store: ProjectStore) -> None:
    removed = store.remove_samples([1], who="ann")
    take(store, Draft(name="t/1.txt", text="another one"))
    with pytest.raises(BadInputError, match=r"named 't/1.txt' by now"):
        store.log.undo("ann", op=removed.op)


def test_predictions_of_other_models(store: ProjectStore) -> None:
    take(store, Draft(name="1.txt", predictions={"cat": 0.25, "owl": 0.5}), source="import:net.csv")
    take(
        store,
        Draft(name="1.txt", predictions={"cat": 0.75, "dog": float("nan")}),
        predictions_source="other",
    )
    assert store.predictions("net") == {(1, 1, "net"): 0.25}
    assert store.predictions() == {(1, 1, "net"): 0.25, (1, 1, "other"): 0.75}
    take(store, Draft(name="1.txt", predictions={"cat": 0.5}), source="import:net.csv")
    assert store.predictions("net") == {(1, 1, "net"): 0.5}
    store.log.undo("importer")
    assert store.predictions("net") == {(1, 1, "net"): 0.25}
    assert store.log.current() == {}  # a score is no verdict


def test_vectors_of_other_models(store: ProjectStore) -> None:
    vectors = np.arange(12, dtype=np.float32).reshape(4, 3)
    vectors[3, 0] = np.inf
    report = take(store, BroughtVectors("net", ("1.txt", "t/3.txt", "nobody", "2.txt"), vectors))
    assert report.annotations == 2
    assert {problem.file for problem in report.errors} == {"'nobody'", "2.txt"}
    ids, rows = store.brought_vectors.get("net")
    assert ids.tolist() == [1, 3]
    assert np.array_equal(rows, vectors[:2])
    take(store, BroughtVectors("net", ("1.txt",), np.ones((1, 2), dtype=np.float32)))
    assert store.brought_vectors.get("net")[1].shape == (1, 2)  # another width replaces
    store.log.undo("importer")
    assert np.array_equal(store.brought_vectors.get("net")[1], vectors[:2])
    store.log.undo("importer")
    assert store.brought_vectors.sources() == []
    with pytest.raises(NotFoundError, match="'net'"):
        store.brought_vectors.get("net")
