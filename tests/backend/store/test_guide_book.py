"""What people say of guides: kept, undone, moved by a merge, and forgotten with its sample."""

from __future__ import annotations

import pytest

from backend.errors import BadInputError, NotFoundError
from backend.store.guide_book import MOST_NOTES, Said
from backend.store.project import ProjectStore
from backend.types import Region

CAT, DOG = 1, 2
BOX = Region("box", (0.1, 0.2, 0.3, 0.4))
PINNED, REFUSED = Said(is_pinned=True), Said(is_pinned=False)


def test_nothing_is_said_before_somebody_says_it(store: ProjectStore) -> None:
    said = store.guide_book.of(CAT)
    assert (said.notes, dict(said.exemplars), said.edition) == ("", {}, None)


def test_the_newest_word_on_each_sample_counts_and_each_is_one_step_of_undo(
    store: ProjectStore,
) -> None:
    book = store.guide_book
    book.say(CAT, 1, Said(is_pinned=True, region=BOX), who="a")
    book.say(CAT, 2, REFUSED, who="a")
    book.say(CAT, 1, REFUSED, who="b")
    assert dict(book.of(CAT).exemplars) == {1: REFUSED, 2: REFUSED}
    assert dict(book.of(DOG).exemplars) == {}
    undone = store.log.undo("b")
    assert dict(book.of(CAT).exemplars) == {1: Said(is_pinned=True, region=BOX), 2: REFUSED}
    assert undone is not None
    store.log.undo("b", op=undone.op)  # redo
    assert book.of(CAT).exemplars[1] == REFUSED
    book.say(CAT, 1, None, who="a")
    assert dict(book.of(CAT).exemplars) == {2: REFUSED}


def test_an_undo_takes_back_one_word_and_none_said_after_it(store: ProjectStore) -> None:
    book = store.guide_book
    first = book.write_notes(CAT, "one", who="a")
    book.write_notes(CAT, "two", who="a")
    store.log.undo("a", op=first.op)
    assert book.of(CAT).notes == "two"


def test_the_same_action_again_changes_nothing(store: ProjectStore) -> None:
    book = store.guide_book
    one = book.write_notes(CAT, "first", who="a", op="action-1")
    assert book.write_notes(CAT, "second", who="a", op="action-1") == one
    assert book.of(CAT).notes == "first"


def test_what_is_said_survives_the_project_being_closed(store: ProjectStore, settings) -> None:
    store.guide_book.write_notes(CAT, "<b>bold</b>\n\u202e ${x}", who="a")
    store.guide_book.say(CAT, 3, PINNED, who="a")
    store.close()
    again = ProjectStore.open(store.path, settings=settings)
    assert again.guide_book.of(CAT).notes == "<b>bold</b>\n\u202e ${x}"
    assert dict(again.guide_book.of(CAT).exemplars) == {3: PINNED}
    again.close()


def test_editions_are_numbered_and_undo_goes_back_to_the_one_before(store: ProjectStore) -> None:
    book = store.guide_book
    book.write_notes(CAT, "notes", who="a")

    def keep(definition: str) -> None:
        book.keep(CAT, version=3, definition=definition, exemplars=[(2, 0.75)], when=9.0, who="a")

    keep("one")
    keep("two")
    kept = book.of(CAT).edition
    assert kept is not None
    assert (kept.number, kept.definition, kept.notes) == (2, "two", "notes")
    assert (kept.version, kept.when, kept.who, kept.exemplars) == (3, 9.0, "a", ((2, 0.75),))
    store.log.undo("a")
    assert store.guide_book.of(CAT).edition.number == 1  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("notes", "words"),
    [
        ("a" * (MOST_NOTES + 1), f"{MOST_NOTES:,} is the limit"),
        ("a\0b", "NUL"),
        ("a \ud800 b", "not valid Unicode"),
    ],
)
def test_notes_that_cannot_be_kept_are_refused(store: ProjectStore, notes, words) -> None:
    with pytest.raises(BadInputError, match=words):
        store.guide_book.write_notes(CAT, notes, who="a")
    assert store.guide_book.of(CAT).notes == ""
    assert store.newest_deed("a") is None


def test_what_does_not_exist_is_named_and_nothing_is_stored(store: ProjectStore) -> None:
    with pytest.raises(NotFoundError, match="sample 99"):
        store.guide_book.say(CAT, 99, PINNED, who="a")
    with pytest.raises(NotFoundError, match="label 9"):
        store.guide_book.say(9, 1, PINNED, who="a")
    bad = Said(is_pinned=True, region=Region("box", (0.5, 0.5, 0.9, 0.1)))
    with pytest.raises(BadInputError, match="a box lies in"):
        store.guide_book.say(CAT, 1, bad, who="a")
    assert dict(store.guide_book.of(CAT).exemplars) == {}


def test_a_merge_moves_what_was_said_and_its_undo_brings_it_back(store: ProjectStore) -> None:
    book = store.guide_book
    book.write_notes(CAT, "of cats", who="a")
    book.write_notes(DOG, "of dogs", who="a")
    book.say(CAT, 1, PINNED, who="a")
    book.say(CAT, 2, PINNED, who="a")
    book.say(DOG, 2, REFUSED, who="a")
    store.merge_labels(CAT, DOG, who="a")
    assert book.of(DOG).notes == "of dogs\n\nof cats"
    assert dict(book.of(DOG).exemplars) == {1: PINNED, 2: REFUSED}
    store.log.undo("a")
    assert book.of(DOG).notes == "of dogs"
    assert dict(book.of(DOG).exemplars) == {2: REFUSED}
    assert dict(book.of(CAT).exemplars) == {1: PINNED, 2: PINNED}


def test_renaming_a_label_leaves_its_guide(store: ProjectStore) -> None:
    store.guide_book.write_notes(CAT, "notes", who="a")
    store.rename_label(CAT, "kitten", who="a")
    assert store.guide_book.of(CAT).notes == "notes"


def test_compacting_forgets_exemplars_of_samples_that_are_gone(store: ProjectStore) -> None:
    book = store.guide_book
    book.say(CAT, 1, PINNED, who="a")
    book.say(CAT, 2, PINNED, who="a")
    store.remove_samples([1], who="a")
    assert set(book.of(CAT).exemplars) == {1, 2}  # its undo brings all of it back
    store.compact()
    assert dict(book.of(CAT).exemplars) == {2: PINNED}


def test_an_action_is_told_with_the_name_of_its_label(store: ProjectStore) -> None:
    store.guide_book.say(CAT, 1, PINNED, who="a")
    deed = store.newest_deed("a")
    assert deed is not None
    assert (deed.kind, deed.names) == ("pin exemplar", ("cat",))
