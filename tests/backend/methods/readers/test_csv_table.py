"""Tables in their three shapes, and how they are told apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.settings import Limits
from backend.types import Draft
from tests.reading import chosen, picture, read


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def test_wide_keeps_blank_and_zero_apart(tmp_path: Path) -> None:
    picture(tmp_path / "7.png")
    path = write(
        tmp_path / "t.csv", "file,night,rain,fog,author\n7.png,1,0,,ann\n8.png,0.0,,unsure,\n"
    )
    drafts, problems = read("csv_table", path)
    assert problems == {}
    assert drafts["7.png"].verdicts == {"night": "yes", "rain": "no"}
    assert drafts["8.png"].verdicts == {"night": "no", "fog": "unsure"}
    assert drafts["7.png"].metadata == {"author": "ann"}
    assert drafts["7.png"].path == tmp_path / "7.png"
    assert drafts["8.png"].path is None
    assert not drafts["7.png"].only_present
    assert chosen(path) == "csv_table"


@pytest.mark.parametrize(
    "cells",
    [
        "night|wet road",
        "night;wet road",
        '"night, wet road"',
        '"[""night"", ""wet road""]"',
        "\"['night', 'wet road']\"",
    ],
)
def test_delimited_lists_say_what_is_present(tmp_path: Path, cells: str) -> None:
    path = write(tmp_path / "t.csv", f"text,labels\na text,{cells}\nanother,\n")
    drafts, problems = read("csv_table", path)
    assert problems == {}
    first, second = drafts.values()
    assert first.verdicts == {"night": "yes", "wet road": "yes"}
    assert first.only_present
    assert second.verdicts == {}
    assert second.only_present
    assert (first.name, first.text) == ("t.csv:2", "a text")


def test_a_comma_in_a_label_survives_where_bars_split(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", 'text,labels\nx,"salt, pepper|cup"\ny,"salt, pepper"\n')
    first, second = read("csv_table", path)[0].values()
    assert set(first.verdicts) == {"salt, pepper", "cup"}
    assert set(second.verdicts) == {"salt, pepper"}


def test_long_rows_of_one_sample_become_one_draft(tmp_path: Path) -> None:
    path = write(
        tmp_path / "t.csv",
        "file_path_abs,class_name,confidence,annotation_source\n"
        "a.png,night,1,verification\nb.png,rain,,ground_truth\na.png,rain,0,verification\n"
        "a.png,fog,0.58,model-12\na.png,snow,1,machine\n",
    )
    drafts, problems = read("csv_table", path)
    assert problems == {}
    assert drafts["a.png"].verdicts == {"night": "yes", "rain": "no"}
    assert drafts["a.png"].predictions == {"fog": 0.58, "snow": 1.0}
    assert not drafts["a.png"].only_present, "it says what is absent, too"
    assert drafts["b.png"].verdicts == {"rain": "yes"}
    assert drafts["b.png"].only_present


OPEN_IMAGES = "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsGroupOf\n"


def places(draft: Draft) -> list[tuple[str, str, tuple[float, ...]]]:
    return [
        (r.label, str(r.verdict), tuple(round(p, 6) for p in r.region.points))
        for r in draft.regions
    ]


def test_boxes_of_a_long_table_are_where_it_says(tmp_path: Path) -> None:
    """X-X-Y-Y in fractions, as Open Images writes them."""
    path = write(
        tmp_path / "boxes.csv",
        OPEN_IMAGES + "a,xclick,/m/cup,1,0.25,0.75,0.5,1,0,0\n"
        "a,xclick,/m/cup,1,0,0.125,0,0.5,1,0\n"
        "a,xclick,/m/cat,0,0.5,1,0,1,0,1\n"
        "b,machine,/m/cup,0.4,0,1,0,1,0,0\n"
        "b,xclick,/m/cat,1,0.5,0.25,0,1,0,0\n",
    )
    drafts, problems = read("csv_table", path)
    assert drafts["a"].verdicts == {"/m/cup": "yes"}, "a row about a place says nothing of the rest"
    assert places(drafts["a"]) == [
        ("/m/cup", "yes", (0.25, 0.5, 0.5, 0.5)),
        ("/m/cup", "yes", (0, 0, 0.125, 0.5)),
        ("/m/cat", "no", (0.5, 0, 0.5, 1)),
    ]
    assert drafts["a"].metadata == {"IsOccluded": "0", "IsGroupOf": "0"}
    assert (drafts["b"].predictions, drafts["b"].regions) == ({"/m/cup": 0.4}, ())
    assert drafts["b"].verdicts == {"/m/cat": "yes"}, "what is said stays where the box is none"
    told = problems["boxes.csv"].split(" | ")
    assert told[0].startswith("line 6: the box [0.5, 0.0, -0.25, 1.0] is not x, y, width, height")
    kept = "in the column '{}'; what the first row says is kept"
    assert told[1:] == [
        f"the rows of one sample say different things {kept.format('IsOccluded')}",
        f"the rows of one sample say different things {kept.format('IsGroupOf')}",
        "1 prediction has a place, which is not taken; the score is",
    ]


@pytest.mark.parametrize("header", ["filename,width,height,class,", "filename,class,"])
def test_boxes_in_pixels_are_of_the_size_that_is_said_or_seen(tmp_path: Path, header: str) -> None:
    picture(tmp_path / "a.png", size=(40, 20))
    size = "40,20," if "width" in header else ""
    path = write(
        tmp_path / "train.csv", f"{header}xmin,ymin,xmax,ymax\na.png,{size}cup,10,5,30,15\n"
    )
    drafts, problems = read("csv_table", path)
    assert problems == {}
    assert places(drafts["a.png"]) == [("cup", "yes", (0.25, 0.25, 0.5, 0.5))]
    assert drafts["a.png"].verdicts == {"cup": "yes"}
    assert drafts["a.png"].metadata == {}


@pytest.mark.parametrize("odd", ["nan", "inf", "-inf", "wide"])
def test_one_odd_cell_leaves_all_other_boxes_in_fractions(tmp_path: Path, odd: str) -> None:
    rows = f"a,/m/cup,0.25,0.75,0.5,1\na,/m/cat,0,{odd},0,1\nb,/m/cat,0,1.0000001,0,0.5\n"
    path = write(tmp_path / "boxes.csv", "ImageID,LabelName,XMin,XMax,YMin,YMax\n" + rows)
    drafts, problems = read("csv_table", path)
    assert places(drafts["a"]) == [("/m/cup", "yes", (0.25, 0.5, 0.5, 0.5))]
    assert places(drafts["b"]) == [("/m/cat", "yes", (0, 0, 1, 0.5))]
    told = f"line 3: the box ['0', '{odd}', '0', '1'] has no sides"
    assert problems == {"boxes.csv": told}


def test_later_rows_of_a_sample_fill_what_the_first_leaves_empty(tmp_path: Path) -> None:
    path = write(
        tmp_path / "t.csv",
        "sample,label,split,when,camera,place\n"
        "a,x,,,,Oslo\na,y,val,12.5,Leica,\na,z,test,,Leica,Rome\nb,x,train,,,Oslo\n",
    )
    drafts, problems = read("csv_table", path)
    assert drafts["a"].metadata == {"camera": "Leica", "place": "Oslo"}
    assert (drafts["a"].split, drafts["a"].when) == ("val", 12.5)
    assert problems["t.csv"].split(" | ") == [
        "the rows of one sample say different things in the column 'split'; what the first row "
        "says is kept",
        "the rows of one sample say different things in the column 'place'; what the first row "
        "says is kept",
    ]


def test_two_columns_of_labels_are_told_of(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "sample,label,tags\na,x,y|z\n")
    drafts, problems = read("csv_table", path)
    assert drafts["a"].verdicts == {"x": "yes"}
    assert problems["t.csv"] == "line 1: beside the column 'label', the column 'tags' is not read"


def test_a_table_in_the_folder_of_its_pictures_is_read_with_them(tmp_path: Path) -> None:
    for split in ("train", "test"):
        picture(tmp_path / split / "7.png")
        write(
            tmp_path / split / "metadata.csv", f"file_name,labels\n7.png,{split}ed|x\ngone.png,\n"
        )
    assert chosen(tmp_path) == "csv_table"
    drafts, problems = read("csv_table", tmp_path)
    assert problems == {}
    assert {name: sorted(draft.verdicts) for name, draft in drafts.items()} == {
        "train/7.png": ["trained", "x"],
        "train/gone.png": [],
        "test/7.png": ["tested", "x"],
        "test/gone.png": [],
    }
    assert drafts["test/7.png"].path == tmp_path / "test" / "7.png"
    assert drafts["test/7.png"].split == "test"


def test_long_rows_with_verdicts(tmp_path: Path) -> None:
    path = write(
        tmp_path / "t.csv",
        "sample,label,verdict,who\na,x,yes,ann\na,y,unsure,ann\nb,,,\na,z,perhaps,ann\n",
    )
    drafts, problems = read("csv_table", path)
    assert drafts["a"].verdicts == {"x": "yes", "y": "unsure"}
    assert drafts["a"].who == "ann"
    assert drafts["b"].verdicts == {}
    assert problems["t.csv"] == "line 5: the verdict 'perhaps' is not yes, no or unsure"


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_delimiters_and_encodings_are_found(tmp_path: Path, mark: str, encoding: str) -> None:
    text = f'text{mark}"a, label; of | mine"{mark}b\n"zwei\r\nZeilen ""x"" ä"{mark}1{mark}0\n'
    path = write(tmp_path / "t.csv", text, encoding)
    drafts, problems = read("csv_table", path)
    assert problems == {}
    (draft,) = drafts.values()
    assert draft.text == 'zwei\r\nZeilen "x" ä'
    assert draft.verdicts == {"a, label; of | mine": "yes", "b": "no"}


def test_tsv_by_name(tmp_path: Path) -> None:
    path = write(tmp_path / "t.tsv", "text\tlabels\none, two; three\tx|y\n")
    (draft,) = read("csv_table", path)[0].values()
    assert draft.text == "one, two; three"
    assert set(draft.verdicts) == {"x", "y"}


def test_minus_one_is_not_guessed(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "sample,cat\na,1\nb,-1\nc,0\n")
    drafts, problems = read("csv_table", path)
    assert [dict(drafts[n].verdicts) for n in "abc"] == [{"cat": "yes"}, {}, {"cat": "no"}]
    assert "line 1: the column 'cat' holds -1" in problems["t.csv"]


def test_a_typing_error_does_not_turn_a_label_into_metadata(tmp_path: Path) -> None:
    rows = "".join(f"s{n},1,{n}\n" for n in range(20))
    path = write(tmp_path / "t.csv", f"sample,cat,fold\n{rows}last,yse,20\n")
    drafts, problems = read("csv_table", path)
    assert drafts["s3"].verdicts == {"cat": "yes"}
    assert drafts["s3"].metadata == {"fold": "3"}
    assert problems["t.csv"] == "line 22: 'yse' in the column 'cat' is not 1, 0, unsure or blank"


def test_a_column_that_is_nearly_a_label_is_told_of(tmp_path: Path) -> None:
    rows = "".join(f"s{n},{'often' if n % 5 == 0 else n % 2},{n % 4}\n" for n in range(20))
    drafts, problems = read("csv_table", write(tmp_path / "t.csv", f"sample,cat,fold\n{rows}"))
    assert drafts["s3"].metadata == {"cat": "1", "fold": "3"}
    assert drafts["s3"].verdicts == {}
    assert problems["t.csv"] == (
        "line 1: the column 'cat' is kept as metadata: 16 of its 20 cells are verdicts; call it "
        "'label:cat' if it is a label"
    )


def test_formula_apostrophes_are_taken_away(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "text,labels\n'=1+1,'-x\n'quoted',a\n''@b,c\n")
    drafts = list(read("csv_table", path)[0].values())
    assert [d.text for d in drafts] == ["=1+1", "'quoted'", "'@b"]
    assert set(drafts[0].verdicts) == {"-x"}


def test_broken_rows_are_named_and_the_rest_is_kept(tmp_path: Path) -> None:
    picture(tmp_path / "good.png")
    text = (
        "file,cat\n../../etc/passwd,1\n/etc/passwd,1\nfile:///x.png,1\n..\\x.png,1\n"
        'too,many,cells\nzero\0.png,1\n"bad"quote,1\n,1\ngood.png,1\n\nshort.png\n'
    )
    drafts, problems = read("csv_table", write(tmp_path / "t.csv", text))
    assert set(drafts) == {"good.png", "short.png"}
    told = problems["t.csv"].split(" | ")
    assert [one.split(":")[0] for one in told] == [f"line {n}" for n in range(1, 10)]
    for at, words in enumerate(
        [
            "kept as metadata",
            "leaves its folder",
            "is absolute",
            "is an address",
            "leaves its folder",
            "has 3 cells and the header 2",
            "zero characters",
            "is not CSV",
            "names no sample",
        ]
    ):
        assert words in told[at]


def test_an_open_quote_a_wrong_encoding_and_long_lines_stop_with_their_line(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", 'text,cat\nfine,1\n"open,1\nmore,0\n')
    drafts, problems = read("csv_table", path)
    assert [d.text for d in drafts.values()] == ["fine"]
    assert problems["t.csv"].startswith("line 3: is not CSV: unexpected end")
    path.write_bytes(b"text,cat\nfine,1\n" + b"caf\xe9,1\n")
    assert "is not UTF-8" in read("csv_table", path)[1]["t.csv"]
    write(path, "text,cat\n" + "x" * 200_000 + ",1\n")
    reason = read("csv_table", path, limits=Limits(text_characters=10))[1]["t.csv"]
    assert reason == "line 2: is longer than 100,010 characters, the limit"
    write(path, "text,cat\n" + "x" * 500_000 + ",1\n")
    assert len(read("csv_table", path)[0]) == 1, "longer than csv's own limit is fine"


def test_a_table_without_samples_is_not_ours(tmp_path: Path) -> None:
    path = write(tmp_path / "prices.csv", "month,price\n1,2\n")
    assert chosen(path) == "none"
    picture(tmp_path / "a.png")
    assert chosen(tmp_path) == "folder"
    drafts, problems = read("csv_table", path)
    assert drafts == {}
    assert "no column tells the sample" in problems["prices.csv"]
