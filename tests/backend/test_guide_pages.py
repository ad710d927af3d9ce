"""Guides as files: whole in themselves, and nothing that people wrote is markup in them."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from backend import api
from backend.errors import BadInputError
from backend.guide_pages import Chapter, Figure, Section, as_html, as_markdown, box_of
from backend.types import Region

EVIL = (
    "<script>alert(1)</script> [x](javascript:alert(1)) ![y](http://h/) "
    '**b** `c` "q" &amp; www.h.example'
)


def jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(buffer, "JPEG")
    return buffer.getvalue()


def chapters() -> list[Chapter]:
    figures = (
        Figure(pictures=(jpeg(),), lines=(EVIL, "second line")),
        Figure(quote=f"the bus {EVIL}", words=((4, 7),), lines=(EVIL,)),
    )
    written = f"{EVIL}\n# not a heading\n1. nor a list"
    section = Section(EVIL, EVIL, written, figures, (EVIL,))
    return [Chapter(EVIL, EVIL, (section,)), Chapter("plain", "", ())]


class Seen(HTMLParser):
    """Tags with their attributes, and the words between them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)


def test_html_has_no_script_no_request_and_shows_what_was_typed() -> None:
    text = as_html(chapters(), EVIL)
    seen = Seen(text)
    names = {tag for tag, _ in seen.tags}
    assert not names & {"script", "iframe", "object", "embed", "link", "form", "base"}
    for tag, attrs in seen.tags:
        assert not [name for name in attrs if name.startswith("on")], tag
        assert (attrs.get("src") or "data:").startswith("data:image/jpeg;base64,") or tag != "img"
        assert (attrs.get("href") or "#").startswith("#")
    policy = next(a["content"] for t, a in seen.tags if a.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert EVIL in seen.words


def test_html_holds_its_pictures() -> None:
    (found,) = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', as_html(chapters(), ""))
    assert Image.open(io.BytesIO(base64.b64decode(found))).size == (8, 8)


def test_html_marks_the_words_that_carry_the_label() -> None:
    assert "the <mark>bus</mark> &lt;script&gt;" in as_html(chapters(), "")


def test_markdown_shows_what_was_typed_and_nothing_of_it_is_markup() -> None:
    """Twin: a CommonMark reader makes of it the same words and no tag of anybody's."""
    markdown_it = pytest.importorskip("markdown_it")
    text, pictures = as_markdown(chapters(), EVIL, "guide_pictures")
    reader = markdown_it.MarkdownIt("gfm-like", {"linkify": False, "html": True})
    seen = Seen(reader.render(text))
    names = {tag for tag, _ in seen.tags}
    assert names <= {"h1", "h2", "h3", "p", "blockquote", "br", "img", "ul", "li", "strong"}
    sources = [attrs["src"] for tag, attrs in seen.tags if tag == "img"]
    assert sources == ["guide_pictures/1-1.jpg"]
    assert list(pictures) == ["1-1.jpg"]
    assert sum(EVIL in word for word in seen.words) >= 4
    assert "bus" in seen.words  # strong, by itself
    assert [tag for tag, _ in seen.tags].count("h1") == 1
    assert "# not a heading" in "".join(seen.words)
    assert "http://" not in text
    assert "www." not in text


@pytest.mark.parametrize(
    ("region", "box"),
    [
        (None, None),
        (Region("span", (0, 4)), None),
        (Region("box", (0.1, 0.2, 0.3, 0.4)), (0.1, 0.2, 0.3, 0.4)),
        (Region("polygon", (0.2, 0.3, 0.6, 0.1, 0.4, 0.7)), (0.2, 0.1, 0.4, 0.6)),
    ],
)
def test_a_region_is_cut_out_by_the_box_around_it(region, box) -> None:
    found = box_of(region)
    assert found == box if box is None else found == pytest.approx(box)


def test_a_crop_shows_the_box_and_a_little_around_it() -> None:
    pixels = np.zeros((100, 200, 3), np.uint8)
    pixels[20:60, 100:180] = 255
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    crop = api.cut_out(buffer.getvalue(), (0.5, 0.2, 0.4, 0.4), 96)
    assert crop.size == (96, 48)  # 80 x 40 pixels and a tenth on each side
    seen = np.asarray(crop)[..., 0]
    assert seen[6:42, 12:84].min() > 200
    assert seen[:2].max() < 60
    whole = api.cut_out(buffer.getvalue(), None, 100)
    assert whole.size == (100, 50)
    corner = api.cut_out(buffer.getvalue(), (0.999, 0.999, 0.001, 0.001), 50)
    assert min(corner.size) >= 1


def test_pictures_are_written_beside_markdown_and_into_html(
    settings: api.Settings, tmp_path: Path
) -> None:
    bench = api.create_project("p", labels=["red", "<b>blue</b>"], settings=settings)
    for number in range(24):
        pixels = np.random.default_rng(number).integers(0, 90, (40, 40, 3), dtype=np.uint8)
        pixels[..., 0 if number < 12 else 2] += 150
        (tmp_path / "in").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / "in" / f"{number:02}.png")
    bench.add(tmp_path / "in")
    bench.correct(
        [
            {"sample": one.id, "label": "red", "verdict": "yes" if one.name < "12" else "no"}
            for one in bench.samples()
        ]
    )
    bench.guides.write("red", definition="Mostly *red*.", who="ann")
    files = api.write_guide(bench, tmp_path / "out" / "guide.md", "red")
    assert files[0].read_text("utf-8").count("](<guide_pictures/1-") == len(files) - 1 > 2
    assert all(Image.open(file).format == "JPEG" for file in files[1:])
    (page,) = api.write_guide(bench, tmp_path / "out" / "all.html")
    seen = Seen(page.read_text("utf-8"))
    assert sum(tag == "img" for tag, _ in seen.tags) == len(files) - 1
    assert "Mostly *red*." in seen.words
    assert any("Not enough evidence: 0 of 20 verdicts" in word for word in seen.words)
    assert "<b>blue</b>" in seen.words
    # A picture that is not there any more is told, and the rest goes on.
    shown = bench.guides.of("red").exemplars[0].place.sample
    bench.store.media.path(bench.sample(shown)).unlink()
    again = api.write_guide(bench, tmp_path / "out" / "red.html", "red")[0].read_text("utf-8")
    assert "its picture cannot be shown" in again
    with pytest.raises(BadInputError, match=r"written as \.html or \.md"):
        api.write_guide(bench, tmp_path / "guide.pdf")
    bench.close()
