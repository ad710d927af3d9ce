"""Guides as pages to give to people: one HTML file, or Markdown with a folder of pictures.

The HTML is whole in itself: pictures are inside, there is no script, and it asks nothing of any
host; its own policy forbids both. Whatever people wrote is shown as they typed it and is never
markup, in Markdown either.
"""

from __future__ import annotations

import base64
import html
import io
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image, ImageDraw

from backend.errors import BadInputError, PatchlaneError, SaveError
from backend.guide_places import Place
from backend.guides import ENOUGH, MOST_CHANGES, Drift, Guide
from backend.images import cut_out
from backend.types import Kind, Region
from backend.workbench import Workbench

FORMATS = (".html", ".md")
CROP, CONTEXT = 240, 168
"""Pixels of the longer side: of what is shown, and of the whole picture beside it."""


@dataclass(frozen=True)
class Figure:
    """One thing shown: JPEGs of a crop and of the whole picture, or a quotation; and words."""

    pictures: tuple[bytes, ...] = ()
    quote: str = ""
    words: tuple[tuple[int, int], ...] = ()
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class Section:
    """A heading with what is below it; `written` is what a person typed, line breaks and all."""

    title: str
    lead: str = ""
    written: str = ""
    figures: tuple[Figure, ...] = ()
    items: tuple[str, ...] = ()


@dataclass(frozen=True)
class Chapter:
    """The guide of one label, ready to be set."""

    title: str
    lead: str
    sections: tuple[Section, ...] = field(default_factory=tuple)


def write_guide(
    bench: Workbench, dest: str | Path, label: int | str | None = None, *, who: str | None = None
) -> list[Path]:
    """Write the guide of one label, or of all, as .html or .md; gives the files.

    With `who` it is as this person may see it while people label blind.

    Raises:
        BadInputError: another ending, or a project without labels.
        SaveError: the file could not be written.
    """
    path = Path(dest)
    if path.suffix not in FORMATS:
        raise BadInputError(f"a guide is written as {' or '.join(FORMATS)}, not {path.name!r}")
    labels = bench.labels() if label is None else [bench.label(label)]
    if not labels:
        raise BadInputError(f"{bench.name} has no labels, so there is no guide to write")
    chapters = [chapter(bench, bench.guides.of(each.id, who=who)) for each in labels]
    when = time.strftime("%Y-%m-%d", time.localtime())
    about = f"Project {bench.name}, version {bench.version}, {when}."
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".html":
            path.write_text(as_html(chapters, about), encoding="utf-8")
            return [path]
        folder = path.with_name(f"{path.stem}_pictures")
        text, pictures = as_markdown(chapters, about, folder.name)
        for name, content in pictures.items():
            folder.mkdir(exist_ok=True)
            (folder / name).write_bytes(content)
        path.write_text(text, encoding="utf-8")
        return [path, *(folder / name for name in pictures)]
    except OSError as error:
        raise SaveError(f"{path} could not be written ({error.strerror})") from error


# What is said -------------------------------------------------------------------------------------


def chapter(bench: Workbench, guide: Guide) -> Chapter:
    """A guide in words and pictures."""
    label = guide.label
    known = [f"also called {', '.join(label.aliases)}"] if label.aliases else []
    known += [f"a kind of {guide.parent}"] if guide.parent else []
    counts = f"{guide.yes} YES, {guide.no} NO, {guide.unsure} unsure so far"
    sections = [
        Section(
            "What it means",
            lead="" if label.definition else "Nobody has written a definition yet.",
            written=label.definition,
        )
    ]
    if guide.notes:
        sections.append(Section("Notes", written=guide.notes))
    if guide.missing:
        sections.append(Section("Examples", lead=not_enough(guide)))
    else:
        sections += [_examples(bench, guide), _misses(bench, guide)]
        sections += _usual(bench, guide)
    if guide.drift is not None and guide.edition is not None:
        day = time.strftime("%Y-%m-%d", time.localtime(guide.edition.when))
        title = f"Changed since edition {guide.edition.number} of {day}"
        items = tuple(changes(guide.drift))
        lead = "" if items else "Nothing."
        sections.append(Section(title, lead=lead, items=items))
    return Chapter(label.name, "; ".join([*known, counts]) + ".", tuple(sections))


def not_enough(guide: Guide) -> str:
    """Why there are no examples yet."""
    return (
        f"Not enough evidence: {guide.yes + guide.no} of {ENOUGH} verdicts (YES or NO). Examples "
        "chosen from fewer would show chance."
    )


def _examples(bench: Workbench, guide: Guide) -> Section:
    title = "Say YES to things like these"
    if not guide.exemplars:
        return Section(title, lead="No training sample is YES, so there is nothing to show.")
    told = ""
    if guide.held_out is not None:
        told = (
            "Searching by these, beside the name where that finds more, finds the label among "
            f"{guide.held_out_of} held-back samples with an average precision of "
            f"{guide.held_out:.2f}."
        )
    figures = []
    for number, one in enumerate(guide.exemplars, 1):
        lines = [f"{number}. {one.place.name}"]
        lines.append(f"nearest example of {one.covers} of {guide.yes_of} other YES")
        if one.is_pinned:
            lines.append("pinned by a person")
        if one.also:
            lines.append(f"also: {', '.join(one.also)}")
        figures.append(_figure(bench, one.place, lines))
    return Section(title, lead=told, figures=tuple(figures))


def _misses(bench: Workbench, guide: Guide) -> Section:
    title = "Say NO to these, although they are close"
    if not guide.misses:
        return Section(title, lead="Nobody has said NO yet, so there are no near misses.")
    figures = []
    for one in guide.misses:
        day = time.strftime("%Y-%m-%d", time.localtime(one.when))
        like = f"close to example {one.like + 1}" if one.like >= 0 else "close to the name"
        lines = [one.place.name, f"{like}, but it is NO ({one.who or 'an import'}, {day})"]
        if one.instead:
            lines.append(f"it is: {', '.join(one.instead)}")
        if one.absent:
            lines.append("marked by hand: it is not there")
        figures.append(_figure(bench, one.place, lines))
    return Section(title, figures=tuple(figures))


def _usual(bench: Workbench, guide: Guide) -> list[Section]:
    title = "What usually carries it"
    if guide.words:
        items = tuple(
            f"{one.word}: in {one.in_yes:.0%} of the texts with the label, {one.in_no:.0%} of the "
            "others"
            for one in guide.words
        )
        return [Section(title, items=items)]
    if not guide.parts:
        return []
    figures = [
        _figure(bench, one.place, [f"in {one.share:.0%} of the samples"], has_context=False)
        for one in guide.parts
    ]
    return [Section(title, figures=tuple(figures))]


def changes(drift: Drift) -> list[str]:
    """What changed since an edition, a sentence each."""
    told = ["The definition or the notes were rewritten."] if drift.is_redefined else []
    if drift.gone:
        told.append(f"No example any more: {', '.join(drift.gone)}.")
    if drift.new:
        told.append(f"New as an example: {', '.join(drift.new)}.")
    told += [
        f"The probability of {one.name} went from {one.before:.0%} to {one.now:.0%}."
        for one in drift.moved
    ]
    told += [
        f"{one.name} was {_said(one.before)} and is {_said(one.now)} now ({one.who})."
        for one in drift.turned
    ]
    told += [
        f"{one.name} got {_said(one.now)} ({one.who}), and it is {one.why}."
        for one in drift.against
    ]
    return told + _disputes(drift)


def _disputes(drift: Drift) -> list[str]:
    """What people differ on: each that is new, and how many there were before."""
    fresh = [one for one in drift.disputed if one.is_new]
    told = [
        f"People differ on {one.name}: "
        f"{', '.join(f'{who} {_said(verdict)}' for who, verdict in one.words)}."
        for one in fresh[:MOST_CHANGES]
    ]
    if len(fresh) > MOST_CHANGES:
        told.append(f"And on {len(fresh) - MOST_CHANGES:,} more samples.")
    if older := len(drift.disputed) - len(fresh):
        told.append(f"They still differ on {older:,} sample{'s' if older > 1 else ''} from before.")
    return told


def _said(verdict: str | None) -> str:
    return "unknown" if verdict is None else str(verdict).upper()


def _figure(
    bench: Workbench, place: Place, lines: Sequence[str], *, has_context: bool = True
) -> Figure:
    """A place as it is printed; where its picture cannot be read the words say so."""
    if bench.kind != Kind.IMAGE:
        return Figure(quote=place.quote, words=place.words, lines=tuple(lines))
    box = box_of(place.region)
    try:
        path = bench.media(place.sample)[0]
        pictures = [_jpeg(cut_out(path, box, CROP))]
        if has_context and box is not None:
            pictures.append(_jpeg(_boxed(cut_out(path, None, CONTEXT), box)))
    except PatchlaneError as error:
        return Figure(lines=(*lines, f"its picture cannot be shown: {error}"))
    return Figure(pictures=tuple(pictures), lines=tuple(lines))


def box_of(region: Region | None) -> tuple[float, float, float, float] | None:
    """The box around a region of a picture; None for all of it."""
    if region is None or region.kind == "span":
        return None
    if region.kind == "box":
        x, y, width, height = region.points
        return x, y, width, height
    across, down = region.points[::2], region.points[1::2]
    return min(across), min(down), max(across) - min(across), max(down) - min(down)


def _boxed(picture: Image.Image, box: tuple[float, float, float, float]) -> Image.Image:
    """The picture with a white line in a black one around a box: seen on any ground."""
    x, y, width, height = box
    wide, tall = picture.size
    edges = (x * wide, y * tall, (x + width) * wide - 1, (y + height) * tall - 1)
    pen = ImageDraw.Draw(picture)
    pen.rectangle(edges, outline="black", width=4)
    pen.rectangle(
        [edges[0] + 1, edges[1] + 1, edges[2] - 1, edges[3] - 1], outline="white", width=2
    )
    return picture


def _jpeg(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.convert("RGB").save(buffer, "JPEG", quality=82)
    return buffer.getvalue()


# HTML ---------------------------------------------------------------------------------------------

_HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; \
style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Labelling guide</title>
<style>
:root { color-scheme: light dark; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; font: 16px/1.5 system-ui, sans-serif; }
h2 { margin-top: 3rem; border-bottom: 1px solid; overflow-wrap: anywhere; }
.written { white-space: pre-wrap; overflow-wrap: anywhere; border-left: 4px solid #8888; \
padding-left: 1rem; }
.figures { display: flex; flex-wrap: wrap; gap: 1rem; }
figure { margin: 0; max-width: 28rem; }
figure img { max-width: 100%; vertical-align: top; margin-right: .25rem; }
figcaption { font-size: .875rem; overflow-wrap: anywhere; }
blockquote { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; font-size: 1.125rem; }
mark { background: #f28e0066; color: inherit; font-weight: 600; }
nav ul { columns: 12rem; }
</style></head><body>
"""


def as_html(chapters: Sequence[Chapter], about: str) -> str:
    """One page with everything in it."""
    put: list[str] = [_HEAD, "<h1>Labelling guide</h1>", f"<p>{_text(about)}</p>"]
    if len(chapters) > 1:
        links = [
            f'<li><a href="#label-{number}">{_text(each.title)}</a></li>'
            for number, each in enumerate(chapters)
        ]
        put += ["<nav><ul>", *links, "</ul></nav>"]
    for number, each in enumerate(chapters):
        put.append(f'<h2 id="label-{number}">{_text(each.title)}</h2><p>{_text(each.lead)}</p>')
        for section in each.sections:
            put.append(_html_section(section))
    return "\n".join([*put, "</body></html>", ""])


def _html_section(section: Section) -> str:
    put = [f"<h3>{_text(section.title)}</h3>"]
    if section.lead:
        put.append(f"<p>{_text(section.lead)}</p>")
    if section.written:
        put.append(f'<div class="written">{_text(section.written)}</div>')
    if section.figures:
        put += ['<div class="figures">', *map(_html_figure, section.figures), "</div>"]
    if section.items:
        put += ["<ul>", *(f"<li>{_text(item)}</li>" for item in section.items), "</ul>"]
    return "\n".join(put)


def _html_figure(figure: Figure) -> str:
    alt = _text(figure.lines[0] if figure.lines else "")
    pictures = [
        f'<img alt="{alt}" src="data:image/jpeg;base64,{base64.b64encode(one).decode()}">'
        for one in figure.pictures
    ]
    quote = ""
    if figure.quote:
        marked = _marked(figure, _text, lambda word: f"<mark>{word}</mark>")
        quote = f"<blockquote>{marked}</blockquote>"
    caption = "<br>".join(_text(line) for line in figure.lines)
    return f"<figure>{''.join(pictures)}{quote}<figcaption>{caption}</figcaption></figure>"


def _text(text: str) -> str:
    """Text as HTML shows it, in quotation marks, too."""
    return html.escape(_without_controls(text), quote=True)


# Markdown -----------------------------------------------------------------------------------------


def as_markdown(
    chapters: Sequence[Chapter], about: str, folder: str
) -> tuple[str, dict[str, bytes]]:
    """The text, and the pictures by the names that it calls them by below `folder`."""
    pictures: dict[str, bytes] = {}
    put = ["# Labelling guide", "", _plain(about)]
    for number, each in enumerate(chapters, 1):
        put += ["", f"## {_plain(each.title)}", "", _plain(each.lead)]
        for section in each.sections:
            put += ["", f"### {_plain(section.title)}"]
            if section.lead:
                put += ["", _plain(section.lead)]
            if section.written:
                put += ["", *(f"> {_plain(line)}  " for line in section.written.splitlines())]
            for figure in section.figures:
                put += ["", *_markdown_figure(figure, pictures, number, folder)]
            if section.items:
                put += ["", *(f"- {_plain(item)}" for item in section.items)]
    return "\n".join([*put, ""]), pictures


def _markdown_figure(
    figure: Figure, pictures: dict[str, bytes], number: int, folder: str
) -> list[str]:
    put = []
    alt = _plain(figure.lines[0] if figure.lines else "")
    for content in figure.pictures:
        name = f"{number}-{len(pictures) + 1}.jpg"
        pictures[name] = content
        put.append(f"![{alt}](<{_address(folder)}/{name}>)")
    if figure.quote:
        put.append("> " + _marked(figure, _plain, lambda word: f"**{word}**" if word else ""))
    # An empty line ends a quotation; without it the caption would be a part of it.
    return [*put, "", *(f"{_plain(line)}  " for line in figure.lines)]


def _plain(text: str) -> str:
    """Text that Markdown shows as it is: every sign that could mean something there is escaped.

    Some mean something at the beginning of a line only, and some addresses become links by
    themselves.
    """
    escaped = _SIGNS.sub(r"\\\1", " ".join(_without_controls(text).split()))
    escaped = _FIRST.sub(r"\1\\\2", escaped)
    escaped = _LINKS.sub(r"\1\\\2", escaped)
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _address(text: str) -> str:
    """A folder's name in the angle brackets of a Markdown address."""
    return re.sub(r"[<>\\\n%]", lambda found: f"%{ord(found.group()):02X}", text)


# Both ---------------------------------------------------------------------------------------------

_SIGNS = re.compile(r"([\\`*_\[\]#|~$@])")
_FIRST = re.compile(r"^(\d*)([-+=.)])")
_LINKS = re.compile(r"(www|https?|ftp|mailto|xmpp)([.:])", re.IGNORECASE)
_DIRECTIONS = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def _without_controls(text: str) -> str:
    """Text without signs that turn what follows round or that no page can show."""
    return _CONTROLS.sub("\ufffd", _DIRECTIONS.sub("", text))


def _marked(figure: Figure, shown: Callable[[str], str], mark: Callable[[str], str]) -> str:
    """A quotation with its strongest words marked."""
    out, at = [], 0
    for start, end in figure.words:
        before, word = figure.quote[at:start], figure.quote[start:end]
        out += [_spaced(before, shown), mark(shown(word))]
        at = end
    return "".join([*out, _spaced(figure.quote[at:], shown)])


def _spaced(text: str, shown: Callable[[str], str]) -> str:
    """Shown text that keeps a blank at its ends, where another piece joins it."""
    told = shown(text)
    before = " " if text[:1].isspace() and not told[:1].isspace() else ""
    after = " " if text.strip() and text[-1:].isspace() and not told[-1:].isspace() else ""
    return f"{before}{told}{after}"
