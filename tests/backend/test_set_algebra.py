"""Formulas: reading, printing, what is refused, and which samples they find."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from backend import api, set_algebra, word_chances
from backend.errors import BadInputError
from backend.finding import matching_parts
from backend.set_algebra import MOST_CHARACTERS, MOST_DEPTH, is_formula, parse, printed
from backend.settings import Settings
from backend.types import Either, Every, Formula, Inside, Label, Named, Negation, Worded
from tests.backend.text_projects import LABELS, TEXTS, made_project, numbered

NAMES = ["cat", "dog", "red car", "x-ray_2", "salt & pepper", "rock and roll", 'so "called"', "Not"]
LABELLED = [Label(number, name) for number, name in enumerate(NAMES, 1)]
LABELLED[0] = Label(1, "cat", aliases=("tabby",))
CAT, DOG, CAR = map(Named, NAMES[:3])
SLICES = ["night", "two words", "salt & snow", "or", "@home", 'so "named"']
WORDS = ["blue sky", "and", "a @b", 'he said "no"', "~", "not a cat"]


# --- reading ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("cat", CAT),
        ("cat & ~dog", Every((CAT, Negation(DOG)))),
        ("cat AND Not dog", Every((CAT, Negation(DOG)))),
        ("cat|dog&red   car", Either((CAT, Every((DOG, CAR))))),
        ("~cat & dog", Every((Negation(CAT), DOG))),
        ("~(cat & dog)", Negation(Every((CAT, DOG)))),
        ("not not cat", Negation(Negation(CAT))),
        ("(cat or dog) and red car", Every((Either((CAT, DOG)), CAR))),
        ("cat & dog & red car", Every((CAT, DOG, CAR))),
        ("cat & (dog & red car)", Every((CAT, Every((DOG, CAR))))),
        ("((cat))", CAT),
        ("x-ray_2 | Tabby", Either((Named("x-ray_2"), CAT))),
        ('"salt & pepper" & ~"rock and roll"', Every((Named(NAMES[4]), Negation(Named(NAMES[5]))))),
        ('cat or "so ""called"""', Either((CAT, Named(NAMES[6])))),
        ('"not" | cat', Either((Named("Not"), CAT))),
        ("cat\n&\tdog", Every((CAT, DOG))),
        ("@night", Inside("night")),
        ("@NIGHT & ~cat", Every((Inside("night"), Negation(CAT)))),
        ("@two   words|dog", Either((Inside("two words"), DOG))),
        ('~@"salt & snow"', Negation(Inside("salt & snow"))),
        ('@"or" & @@home', Every((Inside("or"), Inside("@home")))),
        ("@Selection & cat", Every((Inside("selection"), CAT))),
        ('"blue  sky" & ~dog', Every((Worded("blue sky"), Negation(DOG)))),
        ('"red  car" | "Cat"', Either((CAR, CAT))),
        ('"night" & @night', Every((Worded("night"), Inside("night")))),
    ],
)
def test_a_formula_is_read(text: str, tree: Formula) -> None:
    assert parse(text, LABELLED, SLICES) == tree


def trees() -> st.SearchStrategy[Formula]:
    def more(inner: st.SearchStrategy[Formula]) -> st.SearchStrategy[Formula]:
        several = st.lists(inner, min_size=2, max_size=3).map(tuple)
        return inner.map(Negation) | several.map(Every) | several.map(Either)

    atoms = [*map(Named, NAMES), *map(Inside, [*SLICES, "selection"]), *map(Worded, WORDS)]
    return st.recursive(st.sampled_from(atoms), more, max_leaves=10)


@examples(max_examples=150, deadline=None)
@given(trees())
def test_what_is_printed_reads_back_as_the_same(tree: Formula) -> None:
    assert parse(printed(tree), LABELLED, SLICES) == tree


@examples(max_examples=150, deadline=None)
@given(st.text(st.sampled_from('ab &|~()"@\t\u3000\xe9'), min_size=1, max_size=8))
def test_any_name_is_printed_so_that_it_reads_back(name: str) -> None:
    kept = name.strip()
    if kept:
        labels = [Label(1, kept), Label(2, "other")]
        tree = Every((Named(kept), Negation(Named("other"))))
        assert parse(printed(tree), labels) == tree
        several = Either((Inside(kept), Worded(" ".join(kept.split())), Named("other")))
        assert parse(printed(several), labels[1:], [kept]) == several


def test_what_binds_stronger_is_seen() -> None:
    assert printed(parse("cat or dog and not red car", LABELLED)) == "cat | (dog & ~red car)"
    assert printed(parse('"salt & pepper" | TABBY', LABELLED)) == '"salt & pepper" | cat'


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (" ", "the formula is empty; write names of labels"),
        ("(cat | dog", "the parenthesis '(' at character 1 is never closed"),
        ("cat | dog)", "nothing is opened that ')' at character 10 could close"),
        ("cat &", "the name of a label is missing after '&' at character 5"),
        ("cat & or dog", "the name of a label is missing after '&' at character 5"),
        ("| cat", "the name of a label is missing before '|' at character 1"),
        ("cat & ()", "the name of a label is missing after '(' at character 7"),
        ("cat not dog", "& (and) or | (or) is missing before 'not' at character 5"),
        ("(cat (dog))", "& (and) or | (or) is missing before '(' at character 6"),
        ('cat | "dog', "the quote '\"' at character 7 is never closed"),
        ("cat & dgo", "there is no label 'dgo' at character 7; the nearest is dog; in double quo"),
        ("cat & @nihgt", "there is no slice 'nihgt' at character 7; the nearest is @night"),
        ("@zebra | cat", "there is no slice 'zebra' at character 1; there are @\"@home\", @night"),
        ("cat @night", "& (and) or | (or) is missing before 'night' at character 5"),
        ('@"" | cat', "the name of a slice is missing after @ at character 1"),
        ("cat & @ noon", "there is no label '@ noon' at character 7"),
        ('cat & ""', "there is no label '' at character 7"),
        ('@"night', "the quote '\"' at character 1 is never closed"),
        (
            "salt & cat",
            "there is no label 'salt' at character 1; the nearest is \"salt & pepper\"",
        ),
        ("cat & zebra", "there is no label 'zebra' at character 7; there are cat, dog, red car"),
        ("<b>cat</b> | cat", "there is no label '<b>cat</b>' at character 1"),
        ("~" * (MOST_DEPTH + 1) + "cat", f"deeper than {MOST_DEPTH} parentheses and negations"),
        ("(" * 900 + "cat" + ")" * 900, f"deeper than {MOST_DEPTH} parentheses and negations"),
        ("cat" + " " * MOST_CHARACTERS, "the formula has 2,003 characters; 2,000 is the limit"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(BadInputError) as refused:
        parse(text, LABELLED, SLICES)
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


def test_limits_are_of_different_labels() -> None:
    labels = [Label(number, f"l{number}") for number in range(17)]
    most = " | ".join(label.name for label in labels[:16])
    assert isinstance(parse(f"{most} | l3", labels), Either)
    with pytest.raises(BadInputError, match="names 17 labels; 16 is the limit"):
        parse(f"{most} | l16", labels)
    assert parse("~" * MOST_DEPTH + "l1", labels)
    with pytest.raises(BadInputError, match="this project has no labels yet"):
        parse("cat", [])
    with pytest.raises(BadInputError, match="no slice was saved in this project yet"):
        parse("@cat", labels)
    with pytest.raises(BadInputError, match="names 17 labels; 16 is the limit"):
        parse(f'{most} | "l"', labels)


def test_case_helps_only_where_it_leaves_one_label() -> None:
    labels = [Label(1, "Paris"), Label(2, "paris"), Label(3, "Rome")]
    assert parse("paris & rome", labels) == Every((Named("paris"), Named("Rome")))
    with pytest.raises(BadInputError, match="no label 'PARIS' at character 1; the nearest are"):
        parse("PARIS", labels)


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("cat & ~dog", True),
        ("~cat", True),
        ("cat and not dog", True),
        ("cat & unicorn", True),  # a symbol says what was meant
        ("(cat and dog", True),
        ("a cat and a dog", False),
        ("not a cat", False),
        ("cat and the mouse", False),
        ("cat", False),
        ("rock and roll", False),
        ("salt & pepper", False),  # a label's name alone
        ('"salt & pepper"', False),
        ("(cat)", False),
        ("and", False),
        ("the cat (small)", False),
        ("", False),
        ("@night", True),
        ("@nihgt", True),  # a slice was meant, and the sentence says which there are
        ("@two words", True),
        ("@selection", True),
        ("@friend see you at noon", False),
        ("meet @ noon and cat", False),
        ("@night and cat", True),
        ("@nihgt and cat", False),
        ('"blue sky"', False),
        ('"blue sky" and not cat', True),
        ('"blue sky" and a mouse', False),
    ],
)
def test_words_stay_words(text: str, is_one: bool) -> None:
    assert is_formula(text, LABELLED, SLICES) is is_one


# --- finding ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[api.Workbench]:
    """Verdicts on some, UNSURE on one, a sample that is not encoded, calibrated chances of one."""
    folder: Path = tmp_path_factory.mktemp("algebra")
    made = made_project(
        numbered(TEXTS), folder, Settings(home=folder, threads=1), labels=LABELS, encoder="words"
    )
    said = [("t0", "animal", "yes"), ("t1", "animal", "no"), ("t4", "food", "yes")]
    said += [("t0", "food", "no"), ("t2", "animal", "unsure"), ("t7", "transport", "yes")]
    made.correct([dict(zip(("sample", "label", "verdict"), row, strict=True)) for row in said])
    yield made
    made.close()


def test_the_score_is_the_chance_with_verdicts_as_facts(bench: api.Workbench) -> None:
    p = bench.chances().astype(float)
    for sample, label, fact in (
        (0, 0, 1), (1, 0, 0), (4, 1, 1), (0, 1, 0), (7, 2, 1)
    ):  # fmt: skip
        p[sample, label] = fact
    animal, food, transport = p.T
    for query, twin in (
        ("animal & ~food", animal * (1 - food)),
        ("animal | food and transport", 1 - (1 - animal) * (1 - food * transport)),
        ("(animal | food) & (animal | transport)", animal + (1 - animal) * food * transport),
        ("animal", animal),
    ):
        hits = bench.search(query=query, k=len(TEXTS))
        names = [int(hit.name[1:]) for hit in hits]
        assert names == sorted(np.flatnonzero(twin > 0), key=lambda i: (-twin[i], i)), query
        np.testing.assert_allclose([hit.score for hit in hits], twin[names], atol=1e-7)
        assert hits[:3] == bench.search(query=query, k=3)
    assert bench.search(query="animal & ~animal") == []
    whole = bench.search(query="animal | ~animal", k=5)
    assert [(hit.name, hit.score) for hit in whole] == [(f"t{i}", 1.0) for i in range(5)]


def test_calibrated_chances_count_and_the_unencoded_is_found_by_verdicts(
    bench: api.Workbench,
) -> None:
    board = bench.board
    probabilities, pooled = board.probabilities.copy(), board.pooled.copy()
    logits = board.logits.copy()
    probabilities[:, 1] = np.linspace(0, 1, len(TEXTS))
    for row in (0, 9):  # decided on two labels; on none
        pooled[row] = logits[row] = probabilities[row] = np.nan
    board = replace(board, probabilities=probabilities, pooled=pooled, logits=logits)
    found = set_algebra.chances(board, parse("food", board.labels))
    assert found[[0, 4]].tolist() == [0, 1]
    np.testing.assert_allclose(found[10:], probabilities[10:, 1], atol=1e-7)
    assert np.isnan(found[9])
    hits = set_algebra.most_probable(board, parse("animal & ~food", board.labels), 99)
    assert hits[0].name == "t0"
    assert hits[0].score == 1
    assert "t9" not in {hit.name for hit in hits}


def test_only_one_thing_is_searched_for(bench: api.Workbench) -> None:
    for more in ({"text": "cat"}, {"sample": "t1"}, {"like": ["t1"]}):
        with pytest.raises(BadInputError, match=f"not by {next(iter(more))} and query"):
            bench.search(query="animal & food", **more)
    with pytest.raises(BadInputError, match="a part of an image"):
        bench.search(query="animal & food", region=(0, 0, 1, 1))
    with pytest.raises(BadInputError, match="search it by a sample"):
        bench.search(query="animal & food", vectors="others")
    with pytest.raises(BadInputError, match="no label 'fod' at character 10; the nearest is food"):
        bench.search(query="animal & fod")
    assert bench.formula("food and not Animal") == "food & ~animal"
    assert bench.formula("bread and butter") == ""
    with pytest.raises(BadInputError, match="never closed"):
        bench.formula("(food | animal")


def test_slices_the_selection_and_words_are_part_of_a_formula(bench: api.Workbench) -> None:
    bench.save_slice("Wet", ["t4", "t10", "t7"])
    chosen = [bench.sample(name).id for name in ("t1", "t10", "t12")]
    p = bench.chances().astype(float)
    for sample, fact in ((0, 1), (1, 0)):
        p[sample, 0] = fact
    animal = p[:, 0]
    wet, selected = (
        np.isin(range(len(TEXTS)), rows).astype(float) for rows in ([4, 7, 10], [1, 10, 12])
    )
    words = bench._word_chances.of(bench.board, bench.pipeline, ["heavy rain"])[:, 0]
    for query, twin in (
        ("@wet", wet),
        ("@wet & ~animal", wet * (1 - animal)),
        ("@selection | @wet & animal", 1 - (1 - selected) * (1 - wet * animal)),
        ('"heavy rain" & ~animal', words * (1 - animal)),
        ('"heavy rain" & @selection', words * selected),
        ('("heavy rain" | @wet) & ~"heavy rain"', wet * (1 - words)),
    ):
        hits = bench.search(query=query, selection=chosen, k=len(TEXTS))
        names = [int(hit.name[1:]) for hit in hits]
        assert names == sorted(np.flatnonzero(twin > 0), key=lambda i: (-twin[i], i)), query
        np.testing.assert_allclose([hit.score for hit in hits], twin[names], atol=1e-6)
    assert bench.formula('@WET and "heavy   rain"') == '@Wet & "heavy rain"'
    assert bench.free_words('@Wet & "heavy rain" | "food"') == ["heavy rain"]
    with pytest.raises(BadInputError, match="nothing is selected that @selection could mean"):
        bench.search(query="@selection & animal")
    bench.undo()
    with pytest.raises(BadInputError, match="no slice 'wet' at character 1; no slice was saved"):
        bench.search(query="@wet & animal")


def test_what_is_shown_is_what_is_wanted_and_probably_there(bench: api.Workbench) -> None:
    board = bench.board
    animal, food, _transport = map(Named, LABELS)
    rows = [board.row_of[bench.sample(name).id] for name in ("t0", "t1", "t4")]

    def shown(text: str) -> list[list[Named | Worded]]:
        return set_algebra.present(board, parse(text, board.labels, ["wet"]), rows)

    # t0 is an animal and no food, t1 is no animal, t4 is food
    assert shown("animal & ~transport")[:2] == [[animal], [animal]]
    assert shown("~(~animal | food)")[0] == [animal]
    assert shown("animal | food")[0] == [animal]
    assert food in shown("animal | food")[2]
    assert shown("@wet & ~animal") == [[], [], []]
    # one of several that are all surely not there, as where another part of the formula holds
    table = np.zeros((len(board.samples), 2))
    table[rows[1], 1] = 0.25
    table[rows[2]] = 0.75

    def chances(words: Sequence[str]) -> np.ndarray:
        assert list(words) == ["night", "rain"]
        return table

    formula = parse('("night" & "rain") | ~food', board.labels)
    found = set_algebra.present(board, formula, rows, word_chances=chances)
    night, rain = map(Worded, ("night", "rain"))
    assert found == [[night], [rain], [night, rain]]
    for hit in bench.search(query="animal & ~food", k=5):
        text = bench.sample(hit.sample).text or ""
        parts, layout = bench.store.vectors.parts(
            bench.sample(hit.sample).content_hash, bench.pipeline.encoder.fingerprint
        )
        twin = matching_parts(parts, board.label_vectors[0])
        assert hit.parts == twin != (), text
        assert layout.spans is not None


def test_words_that_are_searched_for_leave_nothing_in_the_cache(
    bench: api.Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever may only look at a project can search it for as many as they like."""
    encoder, read = bench.pipeline.encoder, []
    bench.search(query="animal & food")
    encode = encoder.encode_labels

    def noted(names: Sequence[str]) -> np.ndarray:
        read.extend(names)
        return encode(names)

    monkeypatch.setattr(encoder, "encode_labels", noted)
    words = [f"number {number}" for number in range(word_chances.KEPT + 4)]
    cache = bench.path / "cache"
    with sqlite3.connect(cache / "vectors.sqlite3") as connection:
        before = connection.execute("SELECT hash FROM pooled ORDER BY hash").fetchall()
    files = sorted(path for path in cache.rglob("*") if path.is_file())
    found = {text: bench.search(query=f'"{text}" & ~food', k=3) for text in words}
    assert read == words, "each is read once, for its chance and its places"
    with sqlite3.connect(cache / "vectors.sqlite3") as connection:
        assert connection.execute("SELECT hash FROM pooled ORDER BY hash").fetchall() == before
    assert sorted(path for path in cache.rglob("*") if path.is_file()) == files
    # the last few are kept, and those before them are read again
    assert bench.search(query=f'"{words[-1]}" & ~food', k=3) == found[words[-1]]
    assert read == words
    assert bench.search(query=f'"{words[0]}" & ~food', k=3) == found[words[0]]
    assert read == [*words, words[0]]


def test_the_chance_of_words_is_that_of_a_label_just_made(bench: api.Workbench) -> None:
    words = ["heavy rain", "something to drink"]
    bench.learn()
    found = bench._word_chances.of(bench.board, bench.pipeline, [*words, words[0]])
    bench.add_labels(words)
    np.testing.assert_allclose(found[:, :2], bench.chances()[:, -2:], atol=1e-6)
    assert (found[:, 2] == found[:, 0]).all()
    assert bench.search(query='"heavy rain" & food')  # by now it is a label
    bench.undo()
    assert len(bench.labels()) == len(LABELS)
