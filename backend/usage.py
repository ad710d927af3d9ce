"""Every command of the command line with its options: what `--help` tells, loading nothing.

A function per command, in the order in which help lists them (`COMMANDS`); what a command does is
in `backend/commands`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

Verb = Callable[..., argparse.ArgumentParser]
"""Makes the parser of a command: called with its name, what it does, and `project=False` where it
takes no PROJECT."""

LONGEST_NAME = 100
"""Characters of a person's name."""


def parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="one JSON document on stdout")
    top = argparse.ArgumentParser(
        prog="patchlane", description="An interactive workbench for multi-label images and texts."
    )
    verbs = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def verb(name: str, what: str, *, project: bool = True) -> argparse.ArgumentParser:
        made = verbs.add_parser(name, help=what, description=what, parents=[common])
        if project:
            made.add_argument("project", metavar="PROJECT", help="a folder, or a name in the home")
        return made

    for command in COMMANDS:
        command(verb)
    return top


def _demo(verb: Verb) -> None:
    what = "make the two demo projects if they are absent, then serve them"
    _where_it_listens(verb("demo", what, project=False))


def _serve(verb: Verb) -> None:
    made = verb("serve", "open the workbench in a browser", project=False)
    made.add_argument(
        "project",
        nargs="?",
        metavar="PROJECT",
        help="the project that is shown first; default: the last opened",
    )
    made.add_argument("--auth-file", metavar="F", help="who may sign in")
    made.add_argument("--read-only", action="store_true", help="refuse every change")
    made.add_argument(
        "--allow-host",
        action="append",
        metavar="NAME",
        help="answer to this name, too, for example behind a proxy; may be repeated",
    )
    _where_it_listens(made)


def _where_it_listens(made: argparse.ArgumentParser) -> None:
    made.add_argument(
        "--host", default="127.0.0.1", help="the address to listen on; default: only this machine"
    )
    made.add_argument("--port", type=int, default=7860, help="the port there; default: 7860")
    made.add_argument("--no-browser", action="store_true", help="only print the address")


def _new(verb: Verb) -> None:
    made = verb("new", "make a project")
    made.add_argument("--labels", metavar="FILE|a,b,c", help="names, or a file with one a line")
    made.add_argument("--from", dest="source", metavar="PATH", help="folder, zip or file to import")
    made.add_argument("--encoder", metavar="ID", help="what reads the samples; default: packaged")
    made.add_argument(
        "--recipe", default="default", metavar="NAME", help="which methods; default: default"
    )


def _import(verb: Verb) -> None:
    made = verb("import", "bring samples, labels, verdicts, predictions or vectors in")
    made.add_argument("path", metavar="PATH", help="a folder, an archive or a file")
    made.add_argument("--format", default="auto", help="a reader's name; default: auto, by content")
    how = made.add_mutually_exclusive_group()
    how.add_argument("--copy", action="store_false", dest="link", default=False, help="the default")
    how.add_argument("--link", action="store_true", help="leave media where they are")
    made.add_argument(
        "--on-conflict",
        choices=("keep", "replace", "both"),
        default="keep",
        help="where a verdict, split or field is there already: keep it (the default), replace it "
        "(of a verdict, what everybody said), or keep both verdicts, a person's above a file's",
    )
    made.add_argument(
        "--unlisted",
        choices=("unknown", "no"),
        default="unknown",
        help="labels that a file does not list for a sample; default: unknown",
    )
    made.add_argument("--create-labels", action="store_true", help="add labels that are not there")
    made.add_argument(
        "--follow-links", action="store_true", help="go where links in a folder point"
    )


def _encode(verb: Verb) -> None:
    made = verb("encode", "compute missing vectors, or change the encoder of a project")
    made.add_argument("--encoder", metavar="ID", help="encode everything again with this one")


def _labels(verb: Verb) -> None:
    made = verb("labels", "list or edit labels")
    actions = ("list", "add", "rename", "merge", "describe", "parent", "remove", "threshold")
    made.add_argument("action", nargs="?", default="list", choices=actions)
    made.add_argument("values", nargs="*", metavar="VALUE", help="what the action is done to")
    made.add_argument("--pack", default="main", help="of labels that are added; default: main")


def _remove(verb: Verb) -> None:
    made = verb("remove", "remove samples; undo brings them back until `compact`")
    made.add_argument("samples", nargs="+", metavar="SAMPLE", help="a name or an id")
    made.add_argument("--who", type=_person, default="me", help="in whose name; default: me")


def _undo(verb: Verb) -> None:
    made = verb("undo", "take the newest action back, whatever it was, or a named one")
    made.add_argument("op", nargs="?", metavar="OP", help="naming an undo brings its action back")
    made.add_argument("--who", type=_person, default="me", help="whose newest action; default: me")


def _compact(verb: Verb) -> None:
    verb("compact", "delete for good what was removed; no undo after this")


def _projects(verb: Verb) -> None:
    made = verb("projects", "list projects; remove, restore, or delete one for good", project=False)
    actions = ("list", "remove", "restore", "delete")
    made.add_argument("action", nargs="?", default="list", choices=actions)
    made.add_argument("name", nargs="?", metavar="NAME", help="of the project")


def _export(verb: Verb) -> None:
    made = verb("export", "write the project in another format")
    made.add_argument("dest", metavar="DEST", help="a folder that is not there yet")
    formats = ("jsonl", "csv", "coco", "yolo", "jsonl-by-person", "csv-by-person")
    formats += ("label-maps", "coco-boxes")
    made.add_argument(
        "--format",
        default="jsonl",
        choices=formats,
        help="by-person: each one's own verdicts instead of what counts; label-maps: jsonl and "
        "where the labels are, as NPZ; coco-boxes: coco and boxes that the model found for "
        "accepted labels, in a file of their own",
    )
    made.add_argument(
        "--media",
        choices=("copy", "link", "none"),
        default="copy",
        help="of pictures: copy the files (the default), make hard links of them, which take no "
        "room but are the project's own files, or leave them out and name them as they came in",
    )
    made.add_argument("--split", choices=("train", "val", "test"), help="only its samples")


def _suggest(verb: Verb) -> None:
    made = verb("suggest", "what the model believes")
    which = made.add_mutually_exclusive_group()
    which.add_argument("--ids", nargs="+", metavar="SAMPLE", help="only of these samples")
    which.add_argument("--all", action="store_true", help="every sample; the default")
    made.add_argument("--out", metavar="F.jsonl", help="write the rows there, one a line")


def _explain(verb: Verb) -> None:
    made = verb("explain", "which patch or word carries which label")
    made.add_argument("samples", nargs="*", metavar="SAMPLE", help="a name or an id")
    made.add_argument("--label", metavar="L", help="only this one; default: all labels")
    made.add_argument(
        "--aligner",
        metavar="NAME",
        help="maps of another than the recipe's: transport, cosine, maxsim, attention, sinkhorn or "
        "layered_transport, the mean over the encoder's blocks, which is better on separate things "
        "side by side and worse on scenes; `patchlane methods --shelf aligners` says how they "
        "differ",
    )
    made.add_argument(
        "--check",
        action="store_true",
        help="is it true? take parts away and score again; without SAMPLE, look where regions are",
    )
    made.add_argument(
        "--out", metavar="F.png|F.npz|DIR", help="a picture, arrays, or a folder of them"
    )


def _search(verb: Verb) -> None:
    made = verb("search", "find samples by text, picture, region, sample or formula")
    made.add_argument("--text", metavar="T", help="words that say what to find")
    made.add_argument("--image", metavar="F", help="a picture file")
    made.add_argument("--sample", metavar="SAMPLE", help="what is like this one")
    made.add_argument("--region", metavar="x,y,w,h", help="only this part of it, in 0..1")
    made.add_argument("--like", nargs="+", metavar="SAMPLE", help="what is like all of these")
    made.add_argument(
        "--unlike", nargs="+", metavar="SAMPLE", help="beside --like: and not like any of these"
    )
    made.add_argument(
        "--query",
        metavar="Q",
        help='a formula over labels: "cat & ~dog", "(a | b) & c", or with the words and, or, not; '
        "the score is the chance that it is true",
    )
    made.add_argument("--vectors", metavar="NAME", help="search a sample by imported vectors")
    made.add_argument("-k", type=_count, default=10, help="the most to list; default: 10")


def _slices(verb: Verb) -> None:
    made = verb("slices", "named sets of samples: list, save into, take from, remove")
    actions = ("list", "save", "take", "remove")
    made.add_argument("action", nargs="?", default="list", choices=actions)
    made.add_argument("name", nargs="?", metavar="NAME", help="of the slice; save makes a new one")
    made.add_argument("samples", nargs="*", metavar="SAMPLE", help="a name or an id")
    made.add_argument(
        "--filter",
        action="append",
        default=[],
        metavar="F",
        help="all samples like this, as of evaluate; may be repeated",
    )
    made.add_argument("--query", metavar="Q", help="the best results of a formula, as of search")
    made.add_argument("-k", type=_count, default=100, help="the most of them; default: 100")
    made.add_argument("--who", type=_person, default="me", help="in whose name; default: me")


def _correct(verb: Verb) -> None:
    made = verb("correct", "store verdicts from a JSONL file")
    made.add_argument(
        "--from",
        dest="source",
        required=True,
        metavar="F.jsonl",
        help='a line each: {"sample", "label", "verdict"} or {"sample", "complete": true}',
    )
    made.add_argument("--who", type=_person, default="me", help="in whose name; default: me")
    made.add_argument(
        "--adjudicate", action="store_true", help="decide for everybody where people differ"
    )


def _agreement(verb: Verb) -> None:
    made = verb("agreement", "how far people agree (Krippendorff's alpha), and where they do not")
    made.add_argument("--label", metavar="L", help="this label only")
    made.add_argument("-k", type=_count, default=20, help="disputes to list, ties first")
    made.add_argument("--with-files", action="store_true", help="imported files are people, too")
    made.add_argument("--blind", choices=("on", "off"), help="hide others' verdicts from now on")


def _learn(verb: Verb) -> None:
    made = verb("learn", "fold in all corrections and refine")
    made.add_argument(
        "--until",
        type=_until,
        metavar="converged|SECONDS",
        help="begin no further round after so many seconds; default: converged",
    )


def _count(text: str) -> int:
    """A whole number above 0."""
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"say a whole number above 0, not {text!r}")
    return int(text)


def _person(text: str) -> str:
    """A name that somebody can be told by."""
    if not text.strip() or len(text) > LONGEST_NAME or not text.isprintable():
        raise argparse.ArgumentTypeError(
            f"say who in 1 to {LONGEST_NAME} printable characters, not {text[:40]!r}"
        )
    return text.strip()


def _until(text: str) -> float | None:
    """Seconds, or None for "converged"."""
    if text == "converged":
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"say converged or a number of seconds, not {text!r}")
    return seconds


def _drawer(verb: Verb) -> None:
    made = verb("drawer", "the calibration drawer: random samples to decide completely")
    made.add_argument("action", nargs="?", default="show", choices=("show", "open", "close"))
    made.add_argument("--share", type=float, metavar="S", help="of the training samples, as 0.1")
    made.add_argument("--samples", type=int, metavar="N", help="or about so many")
    made.add_argument(
        "--level",
        type=float,
        metavar="L",
        help="or a tenth, and more where this level needs more; default: 0.9",
    )
    made.add_argument("-k", type=_count, default=10, help="how many to ask for")
    made.add_argument("--who", type=_person, default="me", help="in whose name; default: me")


def _certain(verb: Verb) -> None:
    made = verb("certain", "what is certain at a level; --accept stores it, one undo")
    made.add_argument(
        "--level", type=float, default=0.9, metavar="0.9", help="how sure, in 0..1; default: 0.9"
    )
    made.add_argument(
        "--guarantee",
        default="joint",
        choices=("joint", "label", "recall"),
        help="joint: all certain labels of a sample are right together; label: each by itself; "
        "recall: the share of its labels that is missed; default: joint",
    )
    made.add_argument("--accept", action="store_true", help="label all that is certain; one undo")
    made.add_argument("--who", type=_person, default="me", help="in whose name; default: me")


def _next(verb: Verb) -> None:
    made = verb("next", "what to look at next, each with a reason")
    made.add_argument("-k", type=_count, default=20, help="the most to list; default: 20")
    made.add_argument(
        "--picker",
        metavar="NAME",
        help="how to choose: stages, doubt, random, ... (`methods --shelf pickers`); default: "
        "by the recipe",
    )


def _guide(verb: Verb) -> None:
    made = verb("guide", "labelling instructions with examples, of one label or of all")
    made.add_argument("label", nargs="?", metavar="LABEL", help="only of this one; default: all")
    made.add_argument("--out", metavar="F.html|F.md", help="as a page; .md with a folder beside it")
    made.add_argument(
        "--keep",
        action="store_true",
        help="keep it as the next edition, which later changes are told against",
    )
    made.add_argument("--who", type=_person, default="me", help="who keeps it; default: me")


def _audit(verb: Verb) -> None:
    made = verb("audit", "suspected label errors, duplicates, ambiguous samples, doubtful imports")
    made.add_argument("-k", type=_count, default=20, help="the most findings of each kind to list")
    kinds = ("label", "duplicate", "ambiguous", "import")
    made.add_argument("--kind", choices=kinds, help="only these findings")
    made.add_argument(
        "--pruning", action="store_true", help="measure what leaving ambiguous verdicts out does"
    )
    made.add_argument("--accept", nargs="+", metavar="KEY", help="do what these findings propose")
    made.add_argument("--dismiss", nargs="+", metavar="KEY", help="put these findings aside")
    made.add_argument("--who", type=_person, default="me", help="in whose name; default: me")


def _evaluate(verb: Verb) -> None:
    made = verb("evaluate", "mAP, CF1, OF1, AP per label and calibration error")
    made.add_argument(
        "--split",
        default="held-back",
        metavar="held-back|val|test|FILE",
        help="whose verdicts are the truth, or a file of verdicts; default: held-back",
    )
    made.add_argument(
        "--filter",
        action="append",
        default=[],
        metavar="F",
        help="only samples like this, for example label:cat:yes or doubt:any:0.8:1.01; may be "
        "repeated",
    )
    made.add_argument(
        "--unknown",
        choices=("masked", "no", "complete"),
        default="masked",
        help="pairs without a verdict: left out, NO, or left out with their samples",
    )
    made.add_argument("--by", metavar="label|source|meta:KEY", help="compare slices, too")
    made.add_argument("--out", metavar="DIR", help="write every table as CSV, too")


def _versions(verb: Verb) -> None:
    made = verb("versions", "the learned versions: list, diff A B, revert N, export N FILE")
    actions = ("list", "diff", "revert", "export")
    made.add_argument("action", nargs="?", default="list", choices=actions)
    made.add_argument("values", nargs="*", metavar="N|FILE", help="what the action is done to")


def _packs(verb: Verb) -> None:
    made = verb("packs", "label packs and their lanes")
    actions = ("list", "teach", "move", "rename", "mute", "unmute", "drop", "remove", "export")
    made.add_argument(
        "action",
        nargs="?",
        default="list",
        choices=(*actions, "import", "pause", "resume", "curve"),
    )
    made.add_argument(
        "values", nargs="*", metavar="PACK|LABELS|FILE", help="what the action is done to"
    )


def _methods(verb: Verb) -> None:
    made = verb("methods", "which methods exist, with sources and status", project=False)
    made.add_argument("--shelf", metavar="S", help="only this shelf")


def _doctor(verb: Verb) -> None:
    verb("doctor", "versions, devices, encoders, disk, database, what is wrong", project=False)


def _bench(verb: Verb) -> None:
    made = verb("bench", "measure this machine against baselines", project=False)
    made.add_argument(
        "name",
        nargs="?",
        default="foundation",
        metavar="NAME",
        help="of the measurement; a wrong one lists them; default: foundation",
    )
    made.add_argument("--part", metavar="P", help="only this part of it, such as ingest")
    made.add_argument(
        "--encoder", metavar="ID", help="for evidence --part parts; default: embedded"
    )


def _reproduce(verb: Verb) -> None:
    made = verb("reproduce", "a paper's or a model's smallest honest experiment", project=False)
    made.add_argument("name", nargs="?", metavar="NAME", help="of the recipe")
    made.add_argument("--all", action="store_true", help="every recipe, one after the other")
    made.add_argument(
        "--seeds", type=_count, default=3, help="how many runs, each of another seed; default: 3"
    )
    made.add_argument("--train", action="store_true", help="train the shipped weights again")


COMMANDS: tuple[Callable[[Verb], None], ...] = (
    _demo,
    _serve,
    _new,
    _import,
    _encode,
    _labels,
    _remove,
    _undo,
    _compact,
    _projects,
    _export,
    _suggest,
    _explain,
    _search,
    _slices,
    _correct,
    _agreement,
    _learn,
    _drawer,
    _certain,
    _next,
    _guide,
    _audit,
    _evaluate,
    _versions,
    _packs,
    _methods,
    _doctor,
    _bench,
    _reproduce,
)
