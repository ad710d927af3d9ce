"""The law of undo: the state is the fold of the operations that are not undone.

A machine does random things to a real project and to a naive twin in memory that keeps every
fact in a list and folds the list anew each time.
"""

from __future__ import annotations

import functools
import itertools
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from backend.errors import BadInputError, NotFoundError
from backend.settings import Settings
from backend.store.corrections import NewCorrection
from backend.store.project import ProjectStore
from backend.store.voices import ADJUDICATION, Words
from backend.types import Draft, Kind, Verdict

NAMES = ["a", "b", "c", "d", "e"]
FILES = ["x.txt", "y.txt", "z.txt"]
TEXTS = ["one", "two", "three", "four"]
PEOPLE = ["ann", "ben"]
SLICES = ["s", "t"]


Word = tuple[Verdict | None, str, int]
"""A verdict, whose word it is, and when; of an adjudication the voice is `ADJUDICATION`."""


@dataclass
class Op:
    """What one action says; cells are (subject, id, field), verdicts (sample, label)."""

    id: str
    who: str
    kind: str
    cells: list[tuple[tuple[str, int, str], object]] = field(default_factory=list)
    verdicts: list[tuple[tuple[int, int], Word]] = field(default_factory=list)
    is_active: bool = True
    is_final: bool = False
    source: int = 0  # of a merge
    target: int = 0


class Twin:
    """The naive twin."""

    def __init__(self) -> None:
        self.ops: list[Op] = []
        self.switches: dict[str, tuple[Op, bool]] = {}
        self.num_samples = self.num_labels = 0
        self.hashes: dict[str, int] = {}
        self.order: list[tuple[int, str]] = []  # names in the order they first came
        self.clock = itertools.count(1)

    def cells(self) -> dict[tuple[str, int, str], object]:
        found: dict[tuple[str, int, str], object] = {}
        for op in self.ops:
            if op.is_active:
                found.update(op.cells)
        return found

    def live(self, subject: str) -> set[int]:
        return {
            key[1]
            for key, value in self.cells().items()
            if key[0] == subject and key[2] == "is_live" and value
        }

    def label_names(self) -> dict[int, tuple[str, tuple[str, ...]]]:
        cells, live = self.cells(), self.live("label")
        return {
            label: (
                str(cells.get(("label", label, "name"), "")),
                tuple(cells.get(("label", label, "aliases"), ())),  # type: ignore[arg-type]
            )
            for label in sorted(live)
        }

    def taken(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for label, (name, aliases) in self.label_names().items():
            for called in {name, *aliases}:
                if called in found:
                    raise BadInputError("twice")
                found[called] = label
        return found

    def sample_names(self) -> dict[int, list[str]]:
        cells, live = self.cells(), self.live("sample")
        found: dict[int, list[str]] = {sample: [] for sample in sorted(live)}
        for sample, name in self.order:
            if sample in live and cells.get(("sample", sample, "name:" + name)):
                found[sample].append(name)
        return found

    def owners(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for sample, names in self.sample_names().items():
            for name in names:
                if name in found:
                    raise BadInputError("twice")
                found[name] = sample
        return found

    def home(self, label: int) -> int:
        """The label that a label is one with by now."""
        into = {op.source: op.target for op in self.ops if op.source and op.is_active}
        while label in into:
            label = into[label]
        return label

    def inside(self, name: str) -> set[int]:
        """Samples in a slice, removed ones too."""
        field = "slice:" + name
        return {key[1] for key, value in self.cells().items() if key[2] == field and value}

    def words(self) -> dict[tuple[int, int], dict[str, tuple[Verdict, int]]]:
        """The last word of each voice on each pair; merged labels are one label."""
        found: dict[tuple[int, int], dict[str, tuple[Verdict, int]]] = {}
        for op in self.ops:
            for (sample, label), (verdict, voice, when) in op.verdicts if op.is_active else ():
                pair = (sample, self.home(label))
                found.setdefault(pair, {}).pop(voice, None)
                if verdict is not None:
                    found[pair][voice] = (verdict, when)
        samples, labels = self.live("sample"), self.live("label")
        return {
            pair: voices
            for pair, voices in found.items()
            if voices and pair[0] in samples and pair[1] in labels
        }

    def counts(self) -> dict[tuple[int, int], Verdict]:
        """Adjudicated, else the only one with the most votes of people, else of files."""
        found: dict[tuple[int, int], Verdict] = {}
        for pair, voices in self.words().items():
            said = {voice: verdict for voice, (verdict, _) in voices.items()}
            people = [v for voice, v in said.items() if not voice.startswith("import:")]
            votes = people or list(said.values())
            best = [v for v in Verdict if votes.count(v) == max(map(votes.count, Verdict))]
            if ADJUDICATION in said:
                found[pair] = said[ADJUDICATION]
            elif len(best) == 1:
                found[pair] = best[0]
        return found

    def switch(self, op: Op) -> None:
        """Undo or redo; refused (and left alone) if two things would have one name.

        Nor can a label be merged again into one that is gone.
        """
        op.is_active = not op.is_active
        try:
            self.taken()
            self.owners()
            if op.source and op.is_active and op.target not in self.live("label"):
                raise BadInputError("gone")
        except BadInputError:
            op.is_active = not op.is_active
            raise

    def compact(self) -> None:
        samples, labels = self.live("sample"), self.live("label")
        alive = {"sample": samples, "label": labels}
        known = {key[1] for op in self.ops for key, _ in op.cells if key[0] == "label"}
        labels |= {label for label in known if self.home(label) in labels}
        dead_labels = known - labels
        for op in self.ops:
            op.cells = [(key, value) for key, value in op.cells if key[1] in alive[key[0]]]
            op.verdicts = [
                (pair, held)
                for pair, held in op.verdicts
                if pair[0] in samples and pair[1] in labels
            ]
            op.is_final |= not (op.cells or op.verdicts) or op.source in dead_labels
        self.hashes = {text: s for text, s in self.hashes.items() if s in samples}
        self.order = [(sample, name) for sample, name in self.order if sample in samples]


@functools.cache
def template() -> Path:
    """An empty project; copying it is quicker than making one."""
    path = Path(tempfile.mkdtemp()) / "template"
    ProjectStore.create(path, name="p", kind=Kind.TEXT, encoder="e", settings=Settings()).close()
    return path


def free_name(name: str, owners: dict[str, int]) -> str:
    stem, _, suffix = name.rpartition(".")
    tries = (f"{stem} ({number}).{suffix}" for number in itertools.count(2))
    return next(tried for tried in tries if tried not in owners)


def told(words: Words) -> dict[tuple[int, int], dict[str, Verdict | None]]:
    return {
        pair: {voice or ADJUDICATION: row.verdict for voice, row in words.of(pair).items()}
        for pair in {*words.verdicts, *words.said}
    }


class LogMachine(RuleBasedStateMachine):
    """Does the same to both, and compares."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        path = Path(self.folder.name) / "p"
        shutil.copytree(template(), path)
        self.store = ProjectStore.open(path, settings=Settings())
        self.twin = Twin()
        self.folded = Words()
        self.seen = 0

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            self.folder.cleanup()

    def _add(self, op: Op) -> None:
        self.twin.ops.append(op)

    @rule(name=st.sampled_from(NAMES), who=st.sampled_from(PEOPLE))
    def add_label(self, name: str, who: str) -> None:
        op = f"op{len(self.twin.ops)}"
        if name in self.twin.taken():
            with pytest.raises(BadInputError, match="already"):
                self.store.add_labels([name], who=who, op=op)
            return
        label = self.store.add_labels([name], who=who, op=op)[0].id
        cells = [(("label", label, "is_live"), True), (("label", label, "name"), name)]
        self._add(Op(op, who, "add", cells))

    @rule(data=st.data(), name=st.sampled_from(NAMES), who=st.sampled_from(PEOPLE))
    def rename_label(self, data: st.DataObject, name: str, who: str) -> None:
        labels = self.twin.label_names()
        if not labels:
            return
        label = data.draw(st.sampled_from(sorted(labels)))
        op = f"op{len(self.twin.ops)}"
        if self.twin.taken().get(name, label) != label:
            with pytest.raises(BadInputError):
                self.store.rename_label(label, name, who=who, op=op)
            return
        self.store.rename_label(label, name, who=who, op=op)
        said = Op(op, who, "rename", [(("label", label, "name"), name)])
        aliases = labels[label][1]
        if name in aliases:
            kept = tuple(alias for alias in aliases if alias != name)
            said.cells.append((("label", label, "aliases"), kept))
        self._add(said)

    @rule(data=st.data(), who=st.sampled_from(PEOPLE))
    def merge(self, data: st.DataObject, who: str) -> None:
        labels = self.twin.label_names()
        if len(labels) < 2:
            return
        source, target = data.draw(st.permutations(sorted(labels)))[:2]
        op = f"op{len(self.twin.ops)}"
        self.store.merge_labels(source, target, who=who, op=op)
        names = dict.fromkeys((*labels[target][1], labels[source][0], *labels[source][1]))
        said = Op(op, who, "merge", source=source, target=target)
        said.cells = [
            (("label", source, "is_live"), False),
            (("label", target, "aliases"), tuple(names)),
        ]
        self._add(said)

    @rule(data=st.data(), who=st.sampled_from(PEOPLE), what=st.sampled_from(["sample", "label"]))
    def remove(self, data: st.DataObject, who: str, what: str) -> None:
        live = sorted(self.twin.live(what))
        if not live:
            return
        gone = data.draw(st.sampled_from(live))
        op = f"op{len(self.twin.ops)}"
        if what == "sample":
            self.store.remove_samples([gone], who=who, op=op)
        else:
            self.store.remove_label(gone, who=who, op=op)
        self._add(Op(op, who, "remove", [((what, gone, "is_live"), False)]))

    @rule(
        drafts=st.lists(
            st.tuples(
                st.sampled_from(FILES),
                st.sampled_from(TEXTS),
                st.dictionaries(st.sampled_from(NAMES[:3]), st.sampled_from(Verdict), max_size=2),
            ),
            min_size=1,
            max_size=3,
        ),
        who=st.sampled_from(PEOPLE),
    )
    def take(self, drafts: list[tuple[str, str, dict[str, Verdict]]], who: str) -> None:
        twin, op = self.twin, f"op{len(self.twin.ops)}"
        self.store.take(
            [Draft(name=name, text=text, verdicts=verdicts) for name, text, verdicts in drafts],
            who=who,
            source="import:x",
            op=op,
        )
        said = Op(op, who, "import")
        self._add(said)  # facts below are seen by the fold as they come
        back = self._bring_back(said, [text for _, text, _ in drafts])
        changes = len(back)
        nameless = {sample for sample in back if not twin.sample_names()[sample]}
        for _name, text, _ in drafts:
            if text not in twin.hashes:
                twin.num_samples = max(s.id for s in self.store.samples())
                twin.hashes[text] = self.store_id(text)
                nameless.add(twin.hashes[text])
                changes += 1
            said.cells.append((("sample", twin.hashes[text], "is_live"), True))
        for name, text, _ in drafts:
            sample, owners = twin.hashes[text], twin.owners()
            free = name
            if owners.get(name, sample) != sample:
                free = free_name(name, owners)
                if sample not in nameless:
                    free = twin.sample_names()[sample][0]
            changes += owners.get(free) != sample
            nameless.discard(sample)
            if (sample, free) not in twin.order:
                twin.order.append((sample, free))
            said.cells.append((("sample", sample, "name:" + free), True))
        when, labels = next(twin.clock), twin.taken()
        for _name, text, verdicts in drafts:
            for label, verdict in verdicts.items():
                pair = (twin.hashes[text], labels.get(label, 0))
                if pair[1] and pair not in twin.words():
                    said.verdicts.append((pair, (verdict, "import:x", when)))
        said.is_final = not (changes or said.verdicts)

    def _bring_back(self, said: Op, texts: list[str]) -> list[int]:
        """Samples that are not live and come again; names that others have by now they lose."""
        twin = self.twin
        back = sorted({twin.hashes[x] for x in texts if x in twin.hashes} - twin.live("sample"))
        for sample in back:
            names = [n for s, n in twin.order if s == sample]
            mine = [n for n in names if twin.cells().get(("sample", sample, "name:" + n))]
            owners = twin.owners()
            said.cells.append((("sample", sample, "is_live"), True))
            for name in mine:
                if owners.get(name, sample) != sample:
                    said.cells.append((("sample", sample, "name:" + name), False))
        return back

    def store_id(self, text: str) -> int:
        return next(sample.id for sample in self.store.samples() if sample.text == text)

    @rule(
        data=st.data(),
        who=st.sampled_from(PEOPLE),
        verdict=st.sampled_from([*Verdict, None]),
        num=st.integers(1, 3),
    )
    def correct(self, data: st.DataObject, who: str, verdict: Verdict | None, num: int) -> None:
        samples, labels = sorted(self.twin.live("sample")), sorted(self.twin.live("label"))
        if not samples or not labels:
            return
        pairs = data.draw(
            st.lists(
                st.tuples(st.sampled_from(samples), st.sampled_from(labels)),
                min_size=1,
                max_size=num,
                unique=True,
            )
        )
        op = f"op{len(self.twin.ops)}"
        rows = [NewCorrection(sample, label, verdict) for sample, label in pairs]
        receipt = self.store.log.append(rows, who=who, op=op)
        assert self.store.log.append(rows, who=who, op=op) == receipt
        when = next(self.twin.clock)
        said = Op(op, who, "correct", verdicts=[(pair, (verdict, who, when)) for pair in pairs])
        if verdict is None:  # what a file said of it is taken back with it
            words = self.twin.words()
            files = [pair for pair in pairs if "import:x" in words.get(pair, {})]
            said.verdicts += [(pair, (None, "import:x", when)) for pair in files]
        self._add(said)

    @rule(data=st.data(), who=st.sampled_from(PEOPLE), verdict=st.sampled_from([*Verdict, None]))
    def adjudicate(self, data: st.DataObject, who: str, verdict: Verdict | None) -> None:
        words = self.twin.words()
        if not words:
            return
        pair = data.draw(st.sampled_from(sorted(words)))
        op = f"op{len(self.twin.ops)}"
        row = NewCorrection(*pair, verdict)
        self.store.log.append([row], who=who, op=op, source=ADJUDICATION)
        when = next(self.twin.clock)
        self._add(Op(op, who, "correct", verdicts=[(pair, (verdict, ADJUDICATION, when))]))

    @rule(data=st.data(), who=st.sampled_from(PEOPLE))
    def correct_what_is_gone(self, data: st.DataObject, who: str) -> None:
        gone = set(self.twin.hashes.values()) - self.twin.live("sample")
        labels = sorted(self.twin.live("label"))
        if gone and labels:
            with pytest.raises(NotFoundError, match="nothing was saved"):
                self.store.log.append([NewCorrection(min(gone), labels[0], Verdict.YES)], who=who)

    @rule(
        data=st.data(),
        who=st.sampled_from(PEOPLE),
        name=st.sampled_from(SLICES),
        how=st.sampled_from(["add", "add", "take", "remove"]),
    )
    def put_in_a_slice(self, data: st.DataObject, who: str, name: str, how: str) -> None:
        live, inside = sorted(self.twin.live("sample")), self.twin.inside(name)
        if not live:
            return
        some = set(data.draw(st.lists(st.sampled_from(live), min_size=1, max_size=3)))
        op, slices = f"op{len(self.twin.ops)}", self.store.saved_slices
        if how == "add":
            slices.add(name, some, who=who, op=op)
        elif how == "take":
            if not inside & some:
                with pytest.raises((BadInputError, NotFoundError)):
                    slices.take(name, some, who=who, op=op)
                return
            slices.take(name, some, who=who, op=op)
            some &= inside
        else:
            if not inside:
                with pytest.raises(NotFoundError):
                    slices.remove(name, who=who, op=op)
                return
            slices.remove(name, who=who, op=op)
            some = inside
        value = True if how == "add" else None
        cells = [(("sample", sample, f"slice:{name}"), value) for sample in sorted(some)]
        self._add(Op(op, who, how, cells))

    @rule(who=st.sampled_from(PEOPLE))
    def undo_newest(self, who: str) -> None:
        mine = [op for op in self.twin.ops if op.who == who and op.is_active and not op.is_final]
        if not mine:
            assert self.store.log.undo(who) is None
            return
        self._switch(mine[-1], who, named=None)

    @rule(data=st.data(), who=st.sampled_from(PEOPLE))
    def undo_named(self, data: st.DataObject, who: str) -> None:
        if not self.twin.ops:
            return
        op = self.twin.ops[data.draw(st.integers(0, len(self.twin.ops) - 1))]
        if op.is_active:
            self._switch(op, who, named=op.id)
        else:
            before = self.store.log.offset
            receipt = self.store.log.undo(who, op=op.id)
            assert receipt is not None
            assert self.store.log.offset == before

    @rule(data=st.data(), who=st.sampled_from(PEOPLE))
    def redo(self, data: st.DataObject, who: str) -> None:
        if not self.twin.switches:
            return
        at = data.draw(st.integers(0, len(self.twin.switches) - 1))
        named = list(self.twin.switches)[at]
        op, made_active = self.twin.switches[named]
        if op.is_active == made_active:
            self._switch(op, who, named=named)
        else:
            before = self.store.log.offset
            assert self.store.log.undo(who, op=named) is not None
            assert self.store.log.offset == before

    def _switch(self, op: Op, who: str, *, named: str | None) -> None:
        if op.is_final:
            with pytest.raises(BadInputError, match="nothing left"):
                self.store.log.undo(who, op=named)
            return
        try:
            self.twin.switch(op)
        except BadInputError:
            before = self.store.log.offset
            with pytest.raises(BadInputError, match=r"named|merged into is gone"):
                self.store.log.undo(who, op=named)
            assert self.store.log.offset == before
            return
        receipt = self.store.log.undo(who, op=named)
        assert receipt is not None
        self.twin.switches[receipt.op] = (op, op.is_active)

    @rule()
    def compact(self) -> None:
        self.twin.compact()
        self.store.compact()
        # those who followed the log have seen the removals before; nothing else changes for them

    @invariant()
    def equal(self) -> None:
        if not hasattr(self, "store"):
            return
        wanted = {
            pair: {voice: verdict for voice, (verdict, _) in voices.items()}
            for pair, voices in self.twin.words().items()
        }
        words = self.store.log.words()
        assert told(words) == wanted
        assert {pair: row.verdict for pair, row in words.verdicts.items()} == self.twin.counts()
        for row in self.store.log.since(self.seen):  # a follower that only folds new rows
            assert row.offset > self.seen
            self.seen = row.offset
            self.folded.take(row)
        assert told(self.folded) == wanted
        assert self.folded.verdicts == words.verdicts
        assert self.seen <= self.store.log.offset
        labels = {label.id: (label.name, label.aliases) for label in self.store.labels()}
        assert labels == self.twin.label_names()
        names = {sample.id: list(sample.names) for sample in self.store.samples()}
        assert names == self.twin.sample_names()
        live = self.twin.live("sample")
        twin = {name: self.twin.inside(name) & live for name in SLICES}
        assert self.store.saved_slices.all() == {name: ids for name, ids in twin.items() if ids}


LogMachine.TestCase.settings = settings(
    max_examples=15,
    stateful_step_count=22,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
TestLog = LogMachine.TestCase
