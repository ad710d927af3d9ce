"""Tables in their three shapes, and how they are told apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.settings import Limits
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
