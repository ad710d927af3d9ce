"""What an action was, told from the log: counts and names of the action itself."""

from __future__ import annotations

from backend.store.corrections import NewCorrection
from backend.store.project import ProjectStore
from backend.types import Draft, Verdict

YES, NO = Verdict.YES, Verdict.NO


def told(store: ProjectStore, op: str) -> tuple[str, int, int, int, tuple[str, ...]]:
    deed = store.deed(op)
    assert deed is not None
    assert deed.op == op
    return deed.kind, deed.samples, deed.labels, deed.verdicts, deed.names


def test_verdicts_are_counted_by_sample_and_label(store: ProjectStore) -> None:
    rows = [NewCorrection(2, 1, YES), NewCorrection(2, 2, NO), NewCorrection(4, 1, None)]
    receipt = store.log.append(rows, who="ann")
    assert told(store, receipt.op) == ("correct", 2, 2, 3, ("t/2.txt", "t/4.txt"))
    newest = store.newest_deed("ann")
    assert newest is not None
    assert newest.op == receipt.op
    assert store.newest_deed("nobody") is None
    assert store.deed("never-heard-of") is None


def test_an_import_counts_what_came_and_not_what_was_there(store: ProjectStore) -> None:
    drafts = [
        Draft(name="t/1.txt", text="text number 1", metadata={"by": "x"}, verdicts={"cat": YES}),
        Draft(name="new.txt", text="something new", verdicts={"cat": NO, "bird": YES}),
    ]
    report = store.take(drafts, who="ann", source="import:more.jsonl", create_labels=True)
    assert report.imported == 1
    assert told(store, report.op) == ("import", 1, 1, 3, ("more.jsonl",))


def test_an_undo_tells_of_the_action_that_it_switches(store: ProjectStore) -> None:
    gone = store.remove_samples([3], who="ann")
    assert told(store, gone.op) == ("remove samples", 1, 0, 0, ("t/3.txt",))
    undone = store.log.undo("ann")
    assert undone is not None
    redone = store.log.undo("ann", op=undone.op)
    assert redone is not None
    for op in (undone.op, redone.op):
        deed = store.deed(op)
        assert deed is not None
        assert (deed.op, deed.kind, deed.names) == (gone.op, "remove samples", ("t/3.txt",))


def test_label_actions_name_their_labels(store: ProjectStore) -> None:
    store.add_labels(["a", "b", "c", "d"], who="ann", op="four-labels")
    assert told(store, "four-labels") == ("add labels", 0, 4, 0, ("a", "b", "c"))
    store.log.append([NewCorrection(1, 1, YES), NewCorrection(2, 1, NO)], who="ben")
    merged = store.merge_labels("cat", "dog", who="ann")
    assert told(store, merged.op)[0] == "merge labels"
    assert set(told(store, merged.op)[4]) == {"cat", "dog"}
    gone = store.remove_label("a", who="ann")
    assert told(store, gone.op) == ("remove label", 0, 1, 0, ("a",))
