"""The modules of the screen as text: no markup from data, words that exist, legible colours."""

from __future__ import annotations

import json
import re

import pytest

from backend.store.label_keys import PAGE_KEYS
from ui.components.esm import STATIC, TEXTS

MODULES = sorted(STATIC.glob("*.js"))
SHEETS = sorted(STATIC.glob("*.css"))
WORDS = json.loads((TEXTS / "en.json").read_text("utf-8"))
# Ways by which data becomes markup or code.
FORBIDDEN = r"\.innerHTML|\.outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function"


@pytest.mark.parametrize("file", MODULES, ids=lambda file: file.name)
def test_no_module_makes_markup_of_data(file) -> None:
    assert re.findall(FORBIDDEN, file.read_text("utf-8")) == []


@pytest.mark.parametrize("file", [*MODULES, *SHEETS], ids=lambda file: file.name)
def test_nothing_is_asked_from_another_host(file) -> None:
    text = file.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
    assert re.findall(r"https?://", text) == []


@pytest.mark.parametrize("file", MODULES, ids=lambda file: file.name)
def test_every_word_that_a_module_asks_for_exists(file) -> None:
    code = file.read_text("utf-8")
    asked = set(re.findall(r"""\bt\(\s*'([^']+)'""", code))
    # A key may also be handed to a function that asks for the words.
    groups = {key.split(".")[0] for key in WORDS}
    named = set(re.findall(r"""'([a-z]+(?:\.[a-z]+)+)'""", code))
    asked |= {key for key in named if key.split(".")[0] in groups}
    assert asked - WORDS.keys() == set()


def test_no_label_can_have_a_key_that_a_page_uses() -> None:
    """One list for the pages and the server, and it holds what the pages listen for."""
    listed = re.search(r"PAGE_KEYS = '([^']+)'", (STATIC / "page_keys.js").read_text("utf-8"))
    assert listed is not None
    assert listed[1] == PAGE_KEYS
    label, bar = ((STATIC / name).read_text("utf-8") for name in ("label_keys.js", "shell.js"))
    used = re.findall(r"^    (?:'(.)'|(\w)): ", label, re.MULTILINE)
    used = {one or other for one, other in used} | set(re.findall(r"event\.key === '(.)'", bar))
    assert {"h", "0", "?", "u", "+"} <= {key.lower() for key in used} <= set(PAGE_KEYS)


def test_words_with_a_changing_end_exist() -> None:
    """Keys put together in the code: every value they can have."""
    ends = {
        "page": ("label", "explore", "learn", "guide", "data"),
        "guide.do": ("pin", "release", "refuse"),
        "audit.kind": ("label", "import", "duplicate", "ambiguous"),
        "audit.hint": ("label", "import", "duplicate", "ambiguous"),
        "audit.count": ("label", "import", "duplicate", "ambiguous"),
        "audit.fix": ("yes", "no", "unsure", "drop", "relabel", "remove", "none"),
        "audit.will": ("yes", "no", "unsure", "drop", "relabel", "several", "remove"),
        "audit.evidence": ("chance", "heads", "neighbours", "text", "prototype", "instead"),
        "learn.kind": ("fold", "lane", "import", "drop", "revert", "start"),
        "learn.compare": ("one", "other", "gained", "lost"),
        "saved": ("saved", "saving", "offline"),
        "unsent": ("later", "discard", "mine"),
        "jobs.state": ("queued", "running", "done", "failed", "cancelled", "interrupted"),
        "intake": ("sending", "looking", "creating", "starting", "taking"),
        "kind": ("image", "text"),
        "split": ("train", "val", "test"),
        "eval.split": ("held-back", "val", "test", "train"),
        "eval.none": ("labels", "verdicts", "slice", "held-back", "val", "test", "train"),
        "eval.unknown": ("masked", "no", "complete"),
        "eval.part": ("labels", "instead", "together", "calibration", "slices", "certainty"),
        "eval.way": ("threshold", "best-threshold", "top-3"),
        "eval.f1": ("CF1", "CF1_mean", "OF1", "CP", "CR", "OP", "OR"),
        "eval.score": ("mAP", "mAP_micro", "mAP_weighted", "CF1", "OF1", "ece"),
        "eval.col": (
            *("name", "yes", "no", "ap", "precision", "recall", "f1", "misses", "alarms"),
            *("threshold", "ece"),
        ),
        "eval.wish": ("f1", "precision", "recall"),
        "eval.chosen": ("none", "some"),
        "eval.calibration": ("unseen", "many", "uncalibrated", "shown", "cross", "none"),
        "eval.bin": ("from", "pairs", "stated", "observed", "between"),
        "eval.slice": ("name", "samples", "mAP", "CF1", "OF1", "ece"),
        "eval.slices": ("label", "source", "none", "only", "by"),
        "eval.certain": (
            *("claimed", "samples", "realised", "between", "when", "level", "answered"),
            *("wrong", "complete", "left", "claimed.what", "left.what", "level.what"),
        ),
        "eval.right": ("recall", "other", "what"),
        "eval.wrong": ("recall", "other", "what"),
        "filter.scope": ("any", "shown", "ranked"),
        "filter.judged": (
            *("decided", "yes", "no", "stated", "crossed", "said", "hit", "missed", "alarm"),
            *("wrong", "alone", "idle", "answered", "mistaken", "left", "complete", "pack"),
            *("threshold", "best-threshold", "top-3", "unknown.no", "unknown.complete"),
        ),
        "filter.agreement": ("twice", "agreed", "disputed", "tied", "adjudicated"),
        "filter.voice": ("given", "shared", "apart"),
        "explore.facet": ("doubt", "disagree", "people", "changed", "split", "source", "top"),
        "explore.facet.people": ("disputed", "tied", "adjudicated", "hint"),
        "filter.held-back": ("yes", "no"),
        "filter.complete": ("yes", "no"),
        "filter.misses": ("yes", "no"),
        "filter.alarms": ("yes", "no"),
        "filter.certain": ("answered", "wrong", "left", "complete"),
        "filter.claim": ("kept", "broken"),
        "eval.open.certain": ("answered", "wrong", "left", "complete"),
        "eval.open.claim": ("all", "kept", "broken"),
        "label.look": ("opacity", "temperature", "colours", "arcs", "lines"),
        "label.temperature": ("scored", "changed", "other", "none"),
        "label.colours": ("viridis", "cividis", "orange", "blue"),
        "label.caption": ("transport", "similarity", "lane", "unclaimed"),
        "preview": (
            *("image", "text", "annotations", "import", "create"),
            *("import.annotations", "create.annotations"),
        ),
        "format": ("auto", "csv_table", "jsonl", "coco", "yolo", "predictions", "vectors"),
        "preview.wrong": ("image", "text"),
        "projects": ("image", "text"),
        "option.unlisted": ("unknown", "no"),
        "option.conflict": ("keep", "replace", "both"),
    }
    for start, values in ends.items():
        for value in values:
            assert f"{start}.{value}" in WORDS, (start, value)


def tokens(block: str) -> dict[str, str]:
    text = (STATIC / "base.css").read_text("utf-8")
    body = re.search(re.escape(block) + r"\s*\{([^}]*)\}", text)
    assert body is not None
    return dict(re.findall(r"--pl-([\w-]+):\s*(#[0-9a-f]{6});", body.group(1)))


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_computed_as_wcag_says() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("block", [":root, body", "body.dark"])
def test_the_button_that_removes_is_legible(block: str) -> None:
    """It is primary and dangerous at once, and the later rule says which colour its words have."""
    sheet, found = (STATIC / "base.css").read_text("utf-8"), tokens(block)
    colours = {}
    for selector in (r"\.primary", r"\.danger", r"\.primary\.danger"):
        for rule in re.findall(rf"^\.pl-button{selector} \{{([^}}]*)\}}", sheet, re.MULTILINE):
            colours |= dict(re.findall(r"(?:^|\s)(color|background): var\(--pl-([\w-]+)\)", rule))
    assert contrast(found[colours["color"]], found[colours["background"]]) >= 4.5


@pytest.mark.parametrize("block", [":root, body", "body.dark"])
def test_text_is_legible_in_light_and_dark(block: str) -> None:
    found = tokens(block)
    for ground in ("ground", "surface", "raised"):
        for text in ("text", "dim", "accent", "yes", "no", "unsure"):
            assert contrast(found[text], found[ground]) >= 4.5, (text, ground)
        assert contrast(found["strong-line"], found[ground]) >= 3, ("strong-line", ground)
    assert contrast(found["on-accent"], found["accent"]) >= 4.5
    for verdict in ("yes", "no", "unsure"):
        assert contrast(found[verdict], found[f"{verdict}-soft"]) >= 4.5, verdict
    assert contrast(found["text"], found["accent-soft"]) >= 4.5
    assert contrast(found["dim"], found["accent-soft"]) >= 4.5


def test_the_heat_maps_are_the_published_tables() -> None:
    """Twin: plotly carries every 28th entry of the tables of viridis and cividis."""
    from plotly.colors import sequential

    code = (STATIC / "ramps.js").read_text("utf-8")
    for name, published in (("viridis", sequential.Viridis), ("cividis", sequential.Cividis)):
        row = re.search(rf"{name}: \[([^\]]*)\]", code)
        assert row is not None
        assert re.findall("#[0-9a-f]{6}", row.group(1)) == list(published)


@pytest.mark.parametrize("name", ["viridis", "cividis"])
def test_the_heat_maps_rise_in_lightness(name) -> None:
    """Little to much can be told without any colour vision."""
    code = (STATIC / "ramps.js").read_text("utf-8")
    stops = re.findall("#[0-9a-f]{6}", re.search(rf"{name}: \[([^\]]*)\]", code).group(1))
    shades = [luminance(stop) for stop in stops]
    assert shades == sorted(shades)
