"""Saved slices: cells of their samples in the log, with undo, between processes, after compact."""

from __future__ import annotations

from multiprocessing import get_context
from pathlib import Path

import pytest

from backend.errors import BadInputError, NotFoundError
from backend.settings import Settings
from backend.store.project import ProjectStore


def held(store: ProjectStore) -> dict[str, set[int]]:
    return {name: set(samples) for name, samples in store.saved_slices.all().items()}


def test_samples_go_in_and_out_and_undo_takes_back_one_action(store: ProjectStore) -> None:
    slices = store.saved_slices
    slices.add("night", [1, 2, 2], who="ann", op="one")
    assert slices.add("night", [1, 2], who="ann", op="one").op == "one"
    slices.add(" NIGHT ", [3], who="ben", op="two")  # the one that is there is meant
    slices.add("rain", [3, 4], who="ben")
    assert held(store) == {"night": {1, 2, 3}, "rain": {3, 4}}
    slices.take("rain", [4, 5], who="ann", op="three")
    assert held(store) == {"night": {1, 2, 3}, "rain": {3}}
    store.log.undo("ann", op="one")  # an early action goes, what came later stays
    assert held(store) == {"night": {3}, "rain": {3}}
    store.log.undo("ann", op="three")
    store.log.undo("ann", op="one", request="again")
    assert held(store) == {"night": {3}, "rain": {3, 4}}, "what is undone stays undone"
    undone = store.log.undo("ben", op="two")
    assert undone is not None
    assert held(store) == {"rain": {3, 4}}, "without a sample there is no slice"
    store.log.undo("ben", op=undone.op)
    assert held(store) == {"night": {3}, "rain": {3, 4}}


def test_a_removed_slice_comes_back_and_its_samples_never_left(store: ProjectStore) -> None:
    slices = store.saved_slices
    slices.add("night", [1, 2, 5], who="ann")
    store.remove_samples([2], who="ann", op="gone")
    receipt = slices.remove("Night", who="ben")
    assert (held(store), store.count()) == ({}, 4)
    store.log.undo("ann", op="gone")
    assert held(store) == {}, "nor does a sample that comes back bring the slice back"
    store.log.undo("ben", op=receipt.op)
    assert held(store) == {"night": {1, 2, 5}}
    deed = store.deed(receipt.op)
    assert deed is not None
    assert (deed.kind, deed.names, deed.samples) == ("remove slice", ("night",), 3)


def test_a_sample_that_was_removed_is_in_its_slices_again(store: ProjectStore) -> None:
    store.saved_slices.add("night", [1, 2], who="ann")
    removed = store.remove_samples([1], who="ann")
    assert held(store) == {"night": {2}}
    store.log.undo("ann", op=removed.op)
    assert held(store) == {"night": {1, 2}}


def test_the_id_of_another_action_is_refused(store: ProjectStore) -> None:
    store.remove_samples([1], who="ann", op="one")
    store.saved_slices.add("night", [2], who="ann", op="two")
    for op, who in (("one", "ann"), ("two", "ben")):
        with pytest.raises(BadInputError, match=f"'{op}' was used before"):
            store.saved_slices.add("rain", [3], who=who, op=op)
    with pytest.raises(BadInputError, match="'two' was used before, for 'save slice' by ann"):
        store.saved_slices.take("night", [2], who="ann", op="two")
    assert held(store) == {"night": {2}}


def test_what_cannot_be_is_said_and_changes_nothing(store: ProjectStore) -> None:
    slices = store.saved_slices
    slices.add("night", [1], who="ann")
    for refused, error, words in (
        (lambda: slices.add("day", [1, 99], who="ann"), NotFoundError, "no sample 99"),
        (lambda: slices.add("day", [], who="ann"), BadInputError, "which samples go into"),
        (lambda: slices.add("Selection", [1], who="ann"), BadInputError, "@selection is what is"),
        (lambda: slices.add("a\nb", [1], who="ann"), BadInputError, "line end"),
        (lambda: slices.take("night", [2], who="ann"), BadInputError, "none of these samples"),
        (lambda: slices.take("nihgt", [1], who="ann"), NotFoundError, "there are 'night'"),
        (lambda: slices.remove("day", who="ann"), NotFoundError, "no slice 'day'"),
    ):
        with pytest.raises(error, match=words):
            refused()
    assert held(store) == {"night": {1}}
    slices.remove("night", who="ann")
    with pytest.raises(NotFoundError, match="no saved slices yet"):
        slices.remove("night", who="ann")


def test_compact_forgets_removed_samples_in_slices_and_keeps_the_rest(store: ProjectStore) -> None:
    store.saved_slices.add("night", [1, 2], who="ann", op="both")
    store.saved_slices.add("gone", [1], who="ann", op="only")
    store.remove_samples([1], who="ann")
    store.compact()
    assert held(store) == {"night": {2}}
    with pytest.raises(BadInputError, match="nothing left"):
        store.log.undo("ann", op="only")
    store.log.undo("ann", op="both")
    assert held(store) == {}


def test_names_that_differ_only_in_case_are_one_slice_but_were_kept_as_written(
    store: ProjectStore,
) -> None:
    store.saved_slices.add("Été", [1], who="ann")
    store.saved_slices.add("E\u0301t\u00e9", [2], who="ann")  # the same, decomposed
    store.saved_slices.add("ÉTÉ", [3], who="ann")
    assert held(store) == {"Été": {1, 2, 3}}


def _add_many(path: str, who: str, name: str, count: int) -> None:
    store = ProjectStore.open(Path(path), settings=Settings())
    for at in range(count):
        store.saved_slices.add(name, [1 + at % 5], who=who)
        store.saved_slices.add("shared", [1 if who == "ann" else 2], who=who)
    store.close()


def test_two_processes_never_overwrite_each_other(store: ProjectStore) -> None:
    spawn = get_context("spawn")
    people = [
        spawn.Process(target=_add_many, args=(str(store.path), who, f"of {who}", 8))
        for who in ("ann", "ben")
    ]
    for one in people:
        one.start()
    for one in people:
        one.join(120)
    assert [one.exitcode for one in people] == [0, 0]
    assert held(store) == {
        "of ann": {1, 2, 3, 4, 5},
        "of ben": {1, 2, 3, 4, 5},
        "shared": {1, 2},
    }
