"""Laws of readers and exporters: what is written is read again, and nothing hostile gets in.

A project is made of the real nouns, written by an exporter of the catalogue and read by the first
reader that accepts the folder. What the format cannot hold is taken out of the expectation here,
by hand, and must be counted in `lost`.
"""

from __future__ import annotations

import errno
import io
import tempfile
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from backend import catalogue
from backend.errors import BadInputError, NotFoundError, RefusedError
from backend.methods.exporters import _staging
from backend.methods.exporters import csv_table as csv_exporter
from backend.methods.readers import csv_table as csv_reader
from backend.methods.readers._paths import clean_name
from backend.settings import Limits
from backend.types import (
    Correction,
    Draft,
    ExportRow,
    ExportSource,
    FileProblem,
    Kind,
    Label,
    Region,
    Sample,
    Split,
    Verdict,
)

# beartype looks at random items of tuples, also while hypothesis draws them.
pytestmark = pytest.mark.filterwarnings("ignore:Do not use the `random` module")

READERS = [line.key for line in catalogue.entries("readers")]
EXPORTERS = [line.key for line in catalogue.entries("exporters")]

HOSTILE = [
    "=1+1",
    "-x",
    "@a",
    "'=x",
    "''+y",
    "a,b",
    'say "hi"',
    "two\nlines",
    "a\r\nb",
    "c\rd",
    "\u202eabc\u202c",
    "<b>x</b>",
    "日本語",
    "עברית",
    "a|b",
    "a;b",
    "\ttab",
    "text",
    "Label",
    "label:x",
    " pad ",
    "[1]",
    "1",
    "😀",
    "null",
    "sample",
    "\ufeffmark",
    "x\u2028y",
    "'",
]


@dataclass
class Project:
    """What a project knows, small enough to write down."""

    kind: Kind
    labels: list[str]
    names: list[str]
    verdicts: dict[tuple[int, int], Verdict] = field(default_factory=dict)
    regions: dict[tuple[int, int], tuple[Region, ...]] = field(default_factory=dict)
    splits: list[Split] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    metadata: list[dict[str, object]] = field(default_factory=list)

    def source(self, folder: Path) -> ExportSource:
        """Put the media into `folder` and give the exporter's view."""
        samples = [self._sample(i, folder) for i in range(len(self.names))]

        def rows():
            for i, sample in enumerate(samples):
                yield ExportRow(
                    sample,
                    {
                        j: Correction(
                            1,
                            sample.id,
                            j,
                            self.verdicts.get((i, j)),
                            "me",
                            1.5,
                            "op",
                            regions=self.regions.get((i, j), ()),
                        )
                        for j in range(len(self.labels))
                        if (i, j) in self.verdicts or (i, j) in self.regions
                    },
                )

        labels = tuple(Label(j, name) for j, name in enumerate(self.labels))
        return ExportSource(
            "p", self.kind, labels, rows, lambda sample: folder / sample.content_hash, 3
        )

    def _sample(self, i: int, folder: Path) -> Sample:
        split = self.splits[i] if self.splits else Split.TRAIN
        metadata = self.metadata[i] if self.metadata else {}
        if self.kind is Kind.TEXT:
            digest = sha256(self.texts[i].encode()).hexdigest()
            return Sample(
                i + 1,
                self.names[i],
                self.kind,
                digest,
                split,
                text=self.texts[i],
                metadata=metadata,
            )
        data = picture(i)
        digest = sha256(data).hexdigest()
        (folder / digest).write_bytes(data)
        return Sample(
            i + 1,
            self.names[i],
            self.kind,
            digest,
            split,
            (self.names[i],),
            40,
            30,
            metadata=metadata,
        )

    def expected(self) -> dict[str, tuple]:
        """By sample name: content, split, verdicts, regions, metadata."""
        return {
            name: (
                self.texts[i] if self.kind is Kind.TEXT else sha256(picture(i)).hexdigest(),
                self.splits[i] if self.splits else Split.TRAIN,
                {self.labels[j]: v for (n, j), v in self.verdicts.items() if n == i},
                {
                    (self.labels[j], r.verdict, r.kind, tuple(np.round(r.points, 9)))
                    for (n, j), rs in self.regions.items()
                    if n == i
                    for r in rs
                },
                self.metadata[i] if self.metadata else {},
            )
            for i, name in enumerate(self.names)
        }


def picture(i: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), (i, 2 * i, 90)).save(buffer, "PNG")
    return buffer.getvalue()


def chosen(path: Path):
    """The reader that a workbench would take."""
    return next(r for key in READERS if (r := catalogue.load(key)()).accepts(path))


def read(path: Path, reader=None) -> tuple[dict[str, tuple], list[FileProblem]]:
    found = list((reader or chosen(path)).read(path))
    drafts = [one for one in found if isinstance(one, Draft)]
    assert len({d.name for d in drafts}) == len(drafts), "one draft per sample"
    return {
        d.name: (
            d.text if d.path is None else sha256(d.path.read_bytes()).hexdigest(),
            d.split,
            dict(d.verdicts),
            {
                (r.label, r.verdict, r.region.kind, tuple(np.round(r.region.points, 9)))
                for r in d.regions
            },
            dict(d.metadata),
        )
        for d in drafts
    }, [one for one in found if isinstance(one, FileProblem)]


def is_name(text: str) -> bool:
    try:
        return clean_name(text) == text
    except (BadInputError, RefusedError):
        return False


words = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(
        st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1, max_size=12
    ),
).filter(lambda text: text.strip() != "")
fractions = st.floats(0, 0.5, width=32)


@st.composite
def regions(draw) -> Region:
    said = draw(st.sampled_from(Verdict))
    if draw(st.booleans()):
        x, y = draw(fractions), draw(fractions)
        return Region("box", (x, y, draw(st.floats(0.1, 0.5)), draw(st.floats(0.1, 0.5))), said)
    return Region("polygon", tuple(draw(st.lists(fractions, min_size=6, max_size=6))), said)


@st.composite
def projects(draw, kind: Kind) -> Project:
    labels = draw(st.lists(words, min_size=1, max_size=4, unique=True))
    names = draw(st.lists(words.filter(is_name), min_size=1, max_size=4, unique=True))
    pairs = [(i, j) for i in range(len(names)) for j in range(len(labels))]
    verdicts = draw(st.dictionaries(st.sampled_from(pairs), st.sampled_from(Verdict)))
    boxes: dict[tuple[int, int], tuple[Region, ...]] = {}
    if kind is Kind.IMAGE:  # also where nothing is said of the whole sample
        boxes = draw(
            st.dictionaries(
                st.sampled_from(pairs),
                st.lists(regions(), min_size=1, max_size=2).map(tuple),
            )
        )
    return Project(
        kind,
        labels,
        names,
        verdicts,
        boxes,
        [draw(st.sampled_from(Split)) for _ in names],
        [draw(words) for _ in names] if kind is Kind.TEXT else [],
        [
            draw(st.dictionaries(words, st.one_of(words, st.integers(-9, 9)), max_size=2))
            for _ in names
        ],
    )


NASTY = Project(
    Kind.TEXT,
    HOSTILE[:],
    [f"t{i}" for i in range(len(HOSTILE))],
    {(i, i): Verdict.YES for i in range(len(HOSTILE))},
    {},
    [Split.TRAIN] * len(HOSTILE),
    HOSTILE[:],
    [{} for _ in HOSTILE],
)
NASTY_IMAGES = Project(
    Kind.IMAGE,
    HOSTILE[:],
    ["a.png", "a.jpg", "a", "b/a.png", "A.PNG", "images/c.png", "labels/images/train/c.png"],
    {(i, i): Verdict.YES for i in range(7)},  # one stem, no suffix, folders of the form itself
    {(i, i): (Region("box", (0.05 * i, 0.0, 0.5, 1.0)),) for i in range(7)},
)
quick = settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def round_trip(project: Project, exporter) -> tuple[dict, list, dict]:
    with tempfile.TemporaryDirectory() as folder:
        media, dest = Path(folder, "m"), Path(folder, "out")
        media.mkdir()
        lost = exporter.write(project.source(media), dest)
        got, problems = read(dest)
        return got, problems, dict(lost)


@pytest.mark.parametrize("has_label_maps", [False, True])
@pytest.mark.parametrize("kind", list(Kind))
def test_jsonl_brings_everything_back(kind: Kind, has_label_maps: bool) -> None:
    exporter = catalogue.load("exporters/jsonl")
    exporter = exporter(exporter.Settings(has_label_maps=has_label_maps))

    @quick
    @given(projects(kind))
    @example(NASTY)
    def law(project: Project) -> None:
        got, problems, lost = round_trip(project, exporter)
        assert (got, problems) == (project.expected(), [])
        without = len(project.names) if has_label_maps else 0  # none of them is encoded
        assert lost.pop("missing_label_maps", 0) == without
        assert not lost.keys() - {"unused_labels"}

    law()


@pytest.mark.parametrize("is_long", [False, True])
@pytest.mark.parametrize("is_formula_safe", [False, True])
@pytest.mark.parametrize("kind", list(Kind))
def test_csv_brings_verdicts_back(kind: Kind, is_formula_safe: bool, is_long: bool) -> None:
    exporter = catalogue.load("exporters/csv_table")
    exporter = exporter(exporter.Settings(is_long=is_long, is_formula_safe=is_formula_safe))

    @quick
    @given(projects(kind))
    @example(NASTY)
    def law(project: Project) -> None:
        got, problems, lost = round_trip(project, exporter)
        without = {k: (*v[:3], set(), {}) for k, v in project.expected().items()}
        assert (got, problems) == (without, [])
        assert lost.get("regions", 0) == sum(len(rs) for rs in project.regions.values())
        assert lost.get("metadata", 0) == sum(bool(m) for m in project.metadata)
        assert lost.get("who_and_when", 0) == len(project.verdicts)

    law()


@pytest.mark.parametrize("has_machine_boxes", [False, True])
@pytest.mark.parametrize("has_full_frames", [False, True])
def test_coco_brings_what_is_present_back(has_full_frames: bool, has_machine_boxes: bool) -> None:
    exporter = catalogue.load("exporters/coco")
    exporter = exporter(
        exporter.Settings(has_full_frames=has_full_frames, has_machine_boxes=has_machine_boxes)
    )

    @quick
    @given(projects(Kind.IMAGE))
    @example(
        Project(
            Kind.IMAGE,
            ["a"],
            ["1.png"],
            {(0, 0): Verdict.YES},
            {(0, 0): (Region("box", (0.0, 0.0, 1.0, 1.0)),)},
        )
    )
    def law(project: Project) -> None:
        got, problems, lost = round_trip(project, exporter)
        present = {
            name: (
                content,
                split,
                {k: v for k, v in verdicts.items() if v is Verdict.YES},
                {r for r in marks if r[1] is Verdict.YES is verdicts.get(r[0])},
                metadata,
            )
            for name, (content, split, verdicts, marks, metadata) in project.expected().items()
        }
        assert (got, problems) == (present, [])
        said = list(project.verdicts.values())
        assert lost.get("negatives", 0) == said.count(Verdict.NO)
        assert lost.get("unsure", 0) == said.count(Verdict.UNSURE)
        pairs = len(project.names) * len(project.labels)
        assert lost.get("unknowns", 0) == pairs - len(said)
        marks = [
            (project.verdicts.get(pair), region.verdict)
            for pair, found in project.regions.items()
            for region in found
        ]
        assert lost.get("absent_regions", 0) == sum(sign is Verdict.NO for _, sign in marks)
        assert lost.get("regions", 0) == sum(
            sign is not Verdict.NO and (said, sign) != (Verdict.YES, Verdict.YES)
            for said, sign in marks
        )

    law()


@pytest.mark.parametrize("form", ["detection", "segmentation", "auto"])
def test_yolo_brings_what_is_present_back(form: str) -> None:
    exporter = catalogue.load("exporters/yolo")
    exporter = exporter(exporter.Settings(form=form))

    def close(marks: set) -> set:
        # written to 12 digits: compared a little beside the middle between two of fewer
        return {(*m[:3], tuple(np.round(np.array(m[3]) + 3e-9, 7))) for m in marks}

    def around(mark: tuple) -> tuple:
        xs, ys = mark[3][0::2], mark[3][1::2]
        box = (min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys))
        return mark if mark[2] == "box" else (*mark[:2], "box", box)

    @quick
    @given(projects(Kind.IMAGE))
    @example(NASTY_IMAGES)
    def law(project: Project) -> None:
        got, problems, lost = round_trip(project, exporter)
        want = {}
        kinds = set()
        for name, (content, split, verdicts, marks, _) in project.expected().items():
            yes = {k: v for k, v in verdicts.items() if v is Verdict.YES}
            marks = {r for r in marks if r[1] is Verdict.YES is verdicts.get(r[0])}
            kinds |= {r[2] for r in marks}
            want[name] = (content, split, yes, marks, {})
        is_boxes = form == "detection" or (form == "auto" and "polygon" not in kinds)
        for name, (*rest, marks, metadata) in want.items():
            if is_boxes:  # a flat polygon has no box around it
                marks = {b for r in marks if min((b := around(r))[3][2:]) > 0}
            want[name] = (*rest, close(marks), metadata)
        flat = [p for p in problems if "is not x, y, width, height" not in p.reason]
        assert flat == []
        assert {k: (*v[:3], close(v[3]), v[4]) for k, v in got.items()} == want
        said = list(project.verdicts.values())
        assert lost.get("negatives", 0) == said.count(Verdict.NO)
        assert lost.get("metadata", 0) == sum(bool(m) for m in project.metadata)
        assert lost.get("image_level", 0) == sum(
            v is Verdict.YES and not any(r.is_here for r in project.regions.get(pair, ()))
            for pair, v in project.verdicts.items()
        )
        assert lost.get("absent_regions", 0) == sum(
            r.is_absent for found in project.regions.values() for r in found
        )
        assert ("polygons" in lost) == (form == "detection" and "polygon" in kinds)

    law()


def test_spans_of_texts_come_back(tmp_path: Path) -> None:
    project = Project(
        Kind.TEXT,
        ["when"],
        ["a"],
        {(0, 0): Verdict.NO},
        {(0, 0): (Region("span", (3.0, 8.0), Verdict.NO), Region("span", (0.0, 2.0)))},
        texts=["on 🌧 Tuesday"],
    )
    got, problems, lost = round_trip(project, catalogue.load("exporters/jsonl")())
    assert (got, problems, lost) == (project.expected(), [], {})


def test_reserved_columns_are_those_that_the_reader_knows() -> None:
    assert set(csv_reader._ROLE_OF) == csv_exporter.RESERVED


def test_zero_characters_are_counted_where_a_table_cannot_hold_them(tmp_path: Path) -> None:
    project = Project(Kind.TEXT, ["a"], ["s"], {(0, 0): Verdict.YES}, texts=["x\0y"])
    got, _, lost = round_trip(project, catalogue.load("exporters/csv_table")())
    assert got["s"][0] == "x\ufffdy"
    assert lost["zero_characters"] == 1
    got, _, _ = round_trip(project, catalogue.load("exporters/jsonl")())
    assert got["s"][0] == "x\0y"


@pytest.mark.parametrize("key", EXPORTERS)
def test_an_export_replaces_only_an_export(key: str, tmp_path: Path) -> None:
    project = Project(Kind.IMAGE, ["a"], ["1.png", "d/2.png"], {(0, 0): Verdict.YES})
    source = project.source(tmp_path)
    exporter, dest = catalogue.load(key)(), tmp_path / "out"
    exporter.write(source, dest)
    before = sorted(p.relative_to(dest) for p in dest.rglob("*"))
    exporter.write(source, dest)
    assert sorted(p.relative_to(dest) for p in dest.rglob("*")) == before
    (dest / "mine.txt").write_text("precious")
    with pytest.raises(RefusedError, match=r"holds mine\.txt, which the earlier export did not"):
        exporter.write(source, dest)
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "a.doc").write_text("precious")
    with pytest.raises(RefusedError, match="is not empty and holds no earlier export"):
        exporter.write(source, foreign)
    assert (dest / "mine.txt").read_text() == (foreign / "a.doc").read_text() == "precious"
    assert not list(tmp_path.glob(".*")), "no half-written folder stays"


@pytest.mark.parametrize("key", EXPORTERS)
def test_a_failing_export_leaves_the_old_one(key: str, tmp_path: Path) -> None:
    project = Project(Kind.IMAGE, ["a"], ["1.png"], {(0, 0): Verdict.YES})
    good = project.source(tmp_path)
    exporter, dest = catalogue.load(key)(), tmp_path / "out"
    exporter.write(good, dest)
    before = {p.name: p.read_bytes() for p in dest.rglob("*") if p.is_file()}

    def failing():
        yield from good.rows()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        exporter.write(ExportSource("p", Kind.IMAGE, good.labels, failing, good.media, 4), dest)
    assert {p.name: p.read_bytes() for p in dest.rglob("*") if p.is_file()} == before
    assert not list(tmp_path.glob(".*.part"))


@pytest.mark.parametrize("key", EXPORTERS)
def test_media_stay_below_the_destination_whatever_they_are_called(
    key: str, tmp_path: Path
) -> None:
    names = [
        "../../up.png",
        "/etc/x.png",
        "a/b",
        "a",
        "A",
        "con.png",
        "x" * 300,
        "tab\t.png",
        "dot.",
        "..\\..\\w.png",
    ]
    project = Project(Kind.IMAGE, ["a"], names)
    (tmp_path / "in").mkdir()
    dest = tmp_path / "deep" / "out"
    catalogue.load(key)().write(project.source(tmp_path / "in"), dest)
    files = {p for p in tmp_path.rglob("*") if p.is_file()} - set((tmp_path / "in").iterdir())
    assert all(p.is_relative_to(dest) for p in files)
    copies = [p.read_bytes() for p in files if p.read_bytes().startswith(b"\x89PNG")]
    assert sorted(copies) == sorted(picture(i) for i in range(len(names)))


@pytest.mark.parametrize("key", EXPORTERS)
def test_copies_do_not_share_the_projects_bytes_unless_asked(key: str, tmp_path: Path) -> None:
    project = Project(Kind.IMAGE, ["a"], ["1.png"])
    (tmp_path / "in").mkdir()
    source = project.source(tmp_path / "in")
    exporter = catalogue.load(key)
    exporter().write(source, tmp_path / "copied")
    exporter(exporter.Settings(is_linking=True)).write(source, tmp_path / "linked")
    original = next((tmp_path / "in").iterdir())
    assert original.stat().st_nlink == 2
    copied, linked = (next((tmp_path / f).rglob("*.png")) for f in ("copied", "linked"))
    assert linked.samefile(original)
    assert not copied.samefile(original)


@pytest.mark.parametrize("key", EXPORTERS)
@pytest.mark.parametrize("has_links", [True, False], ids=["one disk", "two disks"])
def test_a_folder_that_is_read_once_needs_no_copies(
    key: str, has_links: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project(Kind.IMAGE, ["a"], ["1.png", "2.png"])
    (tmp_path / "in").mkdir()
    source = project.source(tmp_path / "in")
    exporter = catalogue.load(key)
    exporter().write(source, tmp_path / "copied")
    monkeypatch.setattr(_staging.shutil, "copyfile", lambda *_: pytest.fail("it was copied"))
    if not has_links:
        monkeypatch.setattr(_staging.os, "link", _other_disk)
    lost = exporter(exporter.Settings(is_borrowing=True)).write(source, tmp_path / "borrowed")
    assert "missing_media" not in lost
    copied, borrowed = (_contents(tmp_path / f) for f in ("copied", "borrowed"))
    assert borrowed == copied
    assert {p.is_symlink() for p in (tmp_path / "borrowed").rglob("*.png")} == {not has_links}


def _other_disk(*_: object) -> None:
    raise OSError(errno.EXDEV, "Invalid cross-device link")


def _contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*.*")}


@pytest.mark.parametrize("key", EXPORTERS)
def test_an_export_without_media_still_names_them(key: str, tmp_path: Path) -> None:
    """Read beside the pictures it was made of, it says of them what the project says."""
    names = ["trip/1.png", "trip/2.png"]
    project = Project(Kind.IMAGE, ["a"], names)
    (tmp_path / "in").mkdir()
    source = project.source(tmp_path / "in")
    exporter = catalogue.load(key)
    out = tmp_path / "out"
    lost = exporter(exporter.Settings(has_media=False)).write(source, out)
    assert lost["media_files"] == len(names)
    assert list(out.rglob("*.png")) == []
    folder = out / "images" / "train" if key == "exporters/yolo" else out
    for at, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(picture(at))
    reader = next(one for one in map(catalogue.load, READERS) if one().accepts(out))
    drafts = [one for one in reader().read(out) if isinstance(one, Draft)]
    assert [(draft.name, draft.path) for draft in drafts] == [(n, folder / n) for n in names]


@pytest.mark.parametrize("key", READERS)
def test_settings_of_readers_survive_a_round_trip(key: str) -> None:
    reader = catalogue.load(key)
    said = asdict(reader.Settings(limits=Limits(pixels=7)))
    assert reader.Settings(**{**said, "limits": Limits(**said["limits"])}).limits.pixels == 7


@pytest.mark.parametrize("key", READERS)
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 50,
        b"\xff\xfe\xff",
        b"[" * 100_000,
        b'{"a":',
        b'"' * 3000,
        b"PK\x03\x04" + b"\xff" * 200,
        b"\x1f\x8b\x08junk",
        b"sample,label\n\xff\xfe",
        b'{"images": [',
        b"\x93NUMPY\x01\x00",
    ],
)
def test_readers_name_what_is_broken_and_never_raise(key: str, data: bytes, tmp_path: Path) -> None:
    for name in ("x.zip", "x.jsonl", "x.json", "x.csv", "x.npz", "x.txt", "x.png", "x.jsonl.gz"):
        path = tmp_path / name
        path.write_bytes(data)
        reader = catalogue.load(key)()
        assert reader.accepts(path) in (True, False)
        for one in reader.read(path):
            assert not isinstance(one, FileProblem) or (one.file and one.reason)


@pytest.mark.parametrize("key", EXPORTERS)
def test_media_that_are_gone_are_counted(key: str, tmp_path: Path) -> None:
    project = Project(Kind.IMAGE, ["a"], ["1.png", "2.png"], {(0, 0): Verdict.YES})
    source = project.source(tmp_path)

    def media(sample: Sample) -> Path:
        if sample.name == "1.png":
            raise NotFoundError("1.png is gone")
        return source.media(sample)

    gone = ExportSource("p", Kind.IMAGE, source.labels, source.rows, media, 1)
    assert catalogue.load(key)().write(gone, tmp_path / "out")["missing_media"] == 1
    got, _ = read(tmp_path / "out")
    assert got["1.png"][2] == {"a": Verdict.YES}, "its verdicts are exported all the same"
    assert len(list((tmp_path / "out").rglob("*.png"))) == 1
