"""Labels: names, aliases, merges, parents; every change can be undone."""

from __future__ import annotations

import pytest

from backend.errors import BadInputError, NotFoundError
from backend.store import tables
from backend.store.corrections import NewCorrection
from backend.store.label_keys import PAGE_KEYS
from backend.store.project import ProjectStore
from backend.types import Region, Verdict
from tests.backend.store.conftest import Make

YES, NO, UNSURE = Verdict.YES, Verdict.NO, Verdict.UNSURE

STRANGE = [
    "<script>alert(1)</script>",
    "Robert'); DROP TABLE labels;--",
    "שלום \u200fעולם",
    "tab\there \x1b[31m",
    "e\u0301 and \U0001f426",
    "a" * 200,
    "../../etc/passwd",
    "%s {0} ${x}",
]


def names(store: ProjectStore) -> list[str]:
    return [label.name for label in store.labels()]


@pytest.mark.parametrize("name", STRANGE)
def test_a_name_is_text_whatever_is_in_it(store: ProjectStore, name: str) -> None:
    import unicodedata

    label = store.add_labels([name], who="a")[0]
    assert label.name == unicodedata.normalize("NFC", name)
    assert store.find_label(name) == label


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "empty"),
        (" \t ", "empty"),
        ("a" * 201, "201 characters; 200 is the limit"),
        ("two\nlines", "line end"),
        ("nul\0", "NUL"),
        ("lone \ud800 surrogate", "not valid Unicode"),
    ],
)
def test_a_name_that_is_none_is_refused_with_the_reason(
    store: ProjectStore, name: str, words: str
) -> None:
    with pytest.raises(BadInputError, match=words) as caught:
        store.add_labels(["fine", name], who="a")
    assert "\n" not in str(caught.value)
    assert names(store) == ["cat", "dog"]  # all or nothing


def test_the_limit_is_a_setting(make: Make) -> None:
    store = make()
    from dataclasses import replace

    from backend.settings import Limits, Settings

    short = ProjectStore.open(
        store.path, settings=replace(Settings(), limits=Limits(label_characters=5))
    )
    with pytest.raises(BadInputError, match="5 is the limit"):
        short.add_labels(["sparrow"], who="a")
    short.close()


def test_a_name_that_is_taken_is_refused(store: ProjectStore) -> None:
    store.describe_label("dog", aliases=["hound"], who="a")
    for taken in ("cat", " cat ", "hound"):
        with pytest.raises(BadInputError, match=f"'{taken.strip()}' already"):
            store.add_labels([taken], who="a")
    with pytest.raises(BadInputError, match="'cat' already"):
        store.rename_label("dog", "cat", who="a")
    with pytest.raises(BadInputError, match="'bird' already"):
        store.add_labels(["bird", "bird"], who="a")
    assert names(store) == ["cat", "dog"]


def test_labels_are_found_by_id_name_alias_and_accent_spelling(store: ProjectStore) -> None:
    store.describe_label("dog", aliases=["hound", "caf\u00e9"], who="a")
    for wanted in (2, "dog", " dog", "hound", "cafe\u0301", "2"):
        assert store.find_label(wanted).id == 2
    with pytest.raises(NotFoundError, match="'wolf'; there are 'cat', 'dog'"):
        store.find_label("wolf")


def test_a_description_is_kept_and_undone_field_by_field(store: ProjectStore) -> None:
    store.describe_label("cat", definition="purrs", colour="#ff0000", key="K", who="a")
    store.describe_label("cat", definition="purrs a lot", who="a")
    store.set_parent("cat", "dog", who="a")
    label = store.find_label("cat")
    assert (label.definition, label.colour, label.key, label.parent) == (
        "purrs a lot", "#ff0000", "k", 2,
    )  # fmt: skip
    store.log.undo("a")
    store.log.undo("a")
    label = store.find_label("cat")
    assert (label.definition, label.colour, label.parent) == ("purrs", "#ff0000", None)


@pytest.mark.parametrize("key", [*PAGE_KEYS, "C", "ab", "\u200b", "\x07"])
def test_a_key_that_the_pages_use_or_nobody_can_type_is_refused(
    store: ProjectStore, key: str
) -> None:
    with pytest.raises(BadInputError, match="the key "):
        store.describe_label("cat", key=key, who="a")
    assert store.find_label("cat").key == ""


def test_two_labels_have_no_key_in_common_and_a_key_can_be_given_up(store: ProjectStore) -> None:
    store.describe_label("cat", key=" X ", who="a")
    store.describe_label("cat", key="x", who="a")
    with pytest.raises(BadInputError, match="the key 'x' belongs to 'cat'"):
        store.describe_label("dog", key="X", who="a")
    store.describe_label("cat", key="", who="a")
    store.describe_label("dog", key="x", who="a")
    assert [label.key for label in store.labels()] == ["", "x"]


def test_undo_that_would_give_two_labels_one_key_is_refused(store: ProjectStore) -> None:
    def keys() -> list[str]:
        return [label.key for label in store.labels()]

    store.describe_label("cat", key="q", who="ann")
    store.describe_label("cat", key="w", who="ann")
    store.describe_label("dog", key="q", who="ben")
    with pytest.raises(BadInputError, match="the key 'q' of 'cat' belongs to 'dog' by now"):
        store.log.undo("ann")
    assert keys() == ["w", "q"]
    store.remove_label("cat", who="ann", op="gone")
    store.describe_label("dog", key="w", who="ben")
    with pytest.raises(BadInputError, match="the key 'w' of 'cat' belongs to 'dog'"):
        store.log.undo("ann", op="gone")
    store.describe_label("dog", key="", who="ben")
    store.log.undo("ann", op="gone")
    assert keys() == ["w", ""]
    # labels of an older project may share a key: what does not change keys goes on
    with store._database.write() as connection:
        connection.execute(tables.labels.update().values(key="z"))
    store.log.undo("ann", op=store.rename_label("cat", "tiger", who="ann").op)
    assert keys() == ["z", "z"]


def test_a_label_is_never_below_itself(store: ProjectStore) -> None:
    store.add_labels(["animal"], who="a")
    store.set_parent("cat", "animal", who="a")
    with pytest.raises(BadInputError, match="below itself"):
        store.set_parent("animal", "cat", who="a")
    with pytest.raises(BadInputError, match="below itself"):
        store.set_parent("dog", "dog", who="a")
    # an undo that would close a circle is refused too
    removed = store.set_parent("cat", None, who="a")
    store.set_parent("animal", "cat", who="b")
    with pytest.raises(BadInputError, match="below itself"):
        store.log.undo("a", op=removed.op)
    assert store.find_label("animal").parent == 1


def test_a_parent_that_is_removed_is_no_parent(store: ProjectStore) -> None:
    store.set_parent("cat", "dog", who="a")
    store.remove_label("dog", who="a")
    assert store.find_label("cat").parent is None
    store.log.undo("a")
    assert store.find_label("cat").parent == 2


def test_removing_a_label_takes_its_verdicts_and_undo_brings_them_back(store: ProjectStore) -> None:
    store.log.append([NewCorrection(1, 1, YES), NewCorrection(2, 2, NO)], who="ann")
    receipt = store.remove_label("cat", who="ben")
    assert receipt.pairs == ((1, 1),)
    assert set(store.log.current()) == {(2, 2)}
    assert names(store) == ["dog"]
    store.log.undo("ben")
    back = store.log.current()[1, 1]
    assert (back.verdict, back.who) == (YES, "ann")
    assert names(store) == ["cat", "dog"]


def test_undo_that_would_give_two_labels_one_name_is_refused(store: ProjectStore) -> None:
    renamed = store.rename_label("cat", "tiger", who="a")
    store.add_labels(["cat"], who="b")
    with pytest.raises(BadInputError, match="'cat' already"):
        store.log.undo("a", op=renamed.op)
    assert names(store) == ["tiger", "dog", "cat"]


def test_merging_makes_two_labels_one_and_the_newer_verdict_counts(store: ProjectStore) -> None:
    box = Region("box", (0, 0, 0.5, 0.5))
    store.describe_label("cat", aliases=["kitty"], who="a")
    store.log.append([NewCorrection(1, 1, YES, (box,)), NewCorrection(2, 1, YES)], who="ann")
    store.log.append([NewCorrection(2, 2, NO), NewCorrection(3, 2, NO)], who="ann")
    store.log.append([NewCorrection(3, 1, UNSURE)], who="ann")
    store.merge_labels("cat", "dog", who="eve")
    assert names(store) == ["dog"]
    for wanted in ("cat", "kitty", "dog"):
        assert store.find_label(wanted).id == 2
    current = store.log.current()
    assert {pair: (row.verdict, row.who) for pair, row in current.items()} == {
        (1, 2): (YES, "ann"),
        (2, 2): (NO, "ann"),  # given after the YES on cat
        (3, 2): (UNSURE, "ann"),
    }
    assert current[1, 2].regions == (box,)
    store.log.undo("eve")
    assert names(store) == ["cat", "dog"]
    assert {pair: row.verdict for pair, row in store.log.current().items()} == {
        (1, 1): YES, (2, 1): YES, (3, 1): UNSURE, (2, 2): NO, (3, 2): NO,
    }  # fmt: skip
    with pytest.raises(BadInputError, match="into itself"):
        store.merge_labels("cat", "cat", who="a")


def test_a_repeated_label_action_happens_once(store: ProjectStore) -> None:
    first = store.add_labels(["bird"], who="a", op="add-1")
    assert store.add_labels(["bird"], who="a", op="add-1") == first
    receipt = store.rename_label("bird", "wren", who="a", op="ren-1")
    assert store.rename_label("wren", "robin", who="a", op="ren-1") == receipt
    assert names(store) == ["cat", "dog", "wren"]


def test_a_persons_first_undo_does_not_take_the_projects_labels(store: ProjectStore) -> None:
    assert store.log.undo("me") is None
    assert names(store) == ["cat", "dog"]


def test_revision_grows_when_samples_or_labels_change_and_only_then(store: ProjectStore) -> None:
    seen = [store.revision]
    store.log.append([NewCorrection(1, 1, YES)], who="a")
    assert store.revision == seen[-1]
    for change in (
        lambda: store.add_labels(["bird"], who="a"),
        lambda: store.rename_label("bird", "wren", who="a"),
        lambda: store.log.undo("a"),
        lambda: store.remove_samples([1], who="a"),
        lambda: store.compact(),
    ):
        change()
        seen.append(store.revision)
    assert seen == sorted(set(seen))
