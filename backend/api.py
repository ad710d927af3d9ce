"""The front door: everything that a screen or a script may import; no logic.

    from backend.api import create_project
    project = create_project("birds", labels=["wren", "robin"])
    project.add("photos/"); project.suggest(); project.learn()

Nothing heavy is loaded by importing this module: encoders and methods come when they are asked for.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from backend import score_tables, trash
from backend.abstaining import Abstention, Widths, abstention, widths
from backend.auditing import KINDS as AUDIT_KINDS
from backend.auditing import AuditReport, Pruning, Suspect, SuspectGroup, audit
from backend.auditing import accept as accept_suspects
from backend.auditing import chosen as chosen_suspects
from backend.auditing import dismiss as dismiss_suspects
from backend.auditing import proposed as proposed_verdicts
from backend.auditing import still_open as open_suspects
from backend.captions import Caption
from backend.catalogue import Entry, entries
from backend.errors import (
    BadInputError,
    BusyError,
    MissingTruthError,
    NotFoundError,
    OfflineError,
    PatchlaneError,
    RefusedError,
    SaveError,
)
from backend.evaluating import (
    Calibration,
    Comparison,
    LabelCurve,
    LabelScore,
    LabelsTogether,
    Question,
    Slice,
    SliceKey,
)
from backend.evidence_check import Curves, Mismatch, Placement, check, doubts, placements
from backend.guide_pages import box_of, write_guide
from backend.guide_pages import changes as guide_changes
from backend.guides import Guide
from backend.images import cut_out, is_shown_otherwise
from backend.intake import ImportPreview, check_opens, formats
from backend.intake import preview as read_preview
from backend.jobs import Cancelled, Job, Jobs, Ticket
from backend.lane_steps import PackChange, TeachReport
from backend.lane_travel import MOST_LANE_FILE
from backend.open_project import ProjectInfo
from backend.pack_facts import CurvePoint, PackInfo, VersionChange
from backend.pair_filters import JUDGED
from backend.people import Agreement, Dispute, LabelAgreement, PersonFacts, Word
from backend.pipeline import kind_of_encoder, load_encoder
from backend.recipes import OFFLINE_ENCODERS, load_recipe, recipe_names
from backend.settings import Settings, assets_folder
from backend.shipped import shipped_facts
from backend.slices import CODES, SAYINGS, STATES, Condition, parse_conditions, source_of
from backend.store.compaction import CompactReport
from backend.store.database import DATABASE
from backend.store.project import ProjectStore
from backend.teaching import FIRST_VERDICTS
from backend.trash import RemovedProject
from backend.types import (
    Acceptance,
    AcceptPlan,
    CoveragePoint,
    DrawerReport,
    Evaluation,
    Explanation,
    ExportReport,
    FileProblem,
    GoneLabel,
    Hit,
    ImportReport,
    Kind,
    Label,
    LabelSets,
    LearnReport,
    LearnStep,
    LikelySet,
    MapPoints,
    PastImport,
    QueueEntry,
    Realised,
    Receipt,
    Region,
    Sample,
    SampleSets,
    SampleSuggestions,
    Split,
    Suggestion,
    Verdict,
)
from backend.views import SPLITS
from backend.workbench import Workbench

__all__ = [
    "AUDIT_KINDS",
    "CODES",
    "FIRST_VERDICTS",
    "JUDGED",
    "MOST_LANE_FILE",
    "OFFLINE_ENCODERS",
    "SAYINGS",
    "SPLITS",
    "STATES",
    "Abstention",
    "AcceptPlan",
    "Acceptance",
    "Agreement",
    "AuditReport",
    "BadInputError",
    "BusyError",
    "Calibration",
    "Cancelled",
    "Caption",
    "CompactReport",
    "Comparison",
    "Condition",
    "CoveragePoint",
    "CurvePoint",
    "Curves",
    "Dispute",
    "DrawerReport",
    "Entry",
    "Evaluation",
    "Explanation",
    "ExportReport",
    "FileProblem",
    "GoneLabel",
    "Guide",
    "Hit",
    "ImportPreview",
    "ImportReport",
    "Job",
    "Jobs",
    "Kind",
    "Label",
    "LabelAgreement",
    "LabelCurve",
    "LabelScore",
    "LabelSets",
    "LabelsTogether",
    "LearnReport",
    "LearnStep",
    "LikelySet",
    "MapPoints",
    "Mismatch",
    "MissingTruthError",
    "NotFoundError",
    "OfflineError",
    "PackChange",
    "PackInfo",
    "PastImport",
    "PatchlaneError",
    "PersonFacts",
    "Placement",
    "ProjectInfo",
    "Pruning",
    "Question",
    "QueueEntry",
    "Realised",
    "Receipt",
    "RefusedError",
    "Region",
    "RemovedProject",
    "Sample",
    "SampleSets",
    "SampleSuggestions",
    "SaveError",
    "Settings",
    "Slice",
    "SliceKey",
    "Split",
    "Suggestion",
    "Suspect",
    "SuspectGroup",
    "TeachReport",
    "Ticket",
    "Verdict",
    "VersionChange",
    "Widths",
    "Word",
    "Workbench",
    "__version__",
    "abstention",
    "accept_suspects",
    "assets_folder",
    "audit",
    "box_of",
    "check",
    "check_opens",
    "chosen_suspects",
    "create_project",
    "cut_out",
    "database_files",
    "delete_project",
    "dismiss_suspects",
    "doubts",
    "entries",
    "formats",
    "glance",
    "guide_changes",
    "is_shown_otherwise",
    "kind_of_encoder",
    "list_projects",
    "open_project",
    "open_suspects",
    "parse_conditions",
    "placements",
    "preview",
    "project_folders",
    "project_path",
    "proposed_verdicts",
    "recipe_names",
    "remove_project",
    "removed_projects",
    "restore_project",
    "score_tables",
    "source_of",
    "widths",
    "write_guide",
]

__version__ = "0.1.0"

log = logging.getLogger("patchlane.api")


def project_path(name: str | Path, settings: Settings) -> Path:
    """The folder of a project: a path if it looks like one, else a name below the home.

    Raises:
        BadInputError: the name is empty, hidden or climbs out of the home.
    """
    text = str(name)
    if "/" in text or "\\" in text or Path(text, DATABASE).is_file():
        return Path(text).expanduser().resolve()
    if not text.strip() or text.startswith(".") or any(ord(letter) < 32 for letter in text):
        raise BadInputError(f"{text!r} is no name for a project; use letters, digits and blanks")
    return settings.home / text


def create_project(
    name: str | Path,
    *,
    labels: Sequence[str] = (),
    kind: Kind | None = None,
    encoder: str | None = None,
    recipe: str = "default",
    settings: Settings | None = None,
    learns: bool = False,
) -> Workbench:
    """Make a new project and open it; all of it, or nothing is left.

    Args:
        name: a name below `$PATCHLANE_HOME`, or a path.
        labels: names of its first labels.
        kind: images or texts; by default what the encoder takes, else images.
        encoder: an encoder id; by default the recipe's for that kind.
        recipe: the choice of methods.
        settings: by default read from the environment.
        learns: fold corrections in by itself.

    Raises:
        BadInputError: a project is there already, or kind and encoder do not fit.
        NotFoundError, OfflineError: the encoder cannot be loaded.
    """
    settings = settings or Settings.from_environ()
    chosen = load_recipe(recipe)
    kind = kind or (kind_of_encoder(encoder) if encoder else Kind.IMAGE)
    encoder = encoder or chosen.default_encoder(kind)
    if kind_of_encoder(encoder) != kind:
        raise BadInputError(f"encoder {encoder} does not take {kind.value}s")
    path = project_path(name, settings)
    # Before anything is on disk: an encoder that cannot be loaded leaves no trace.
    facts = shipped_facts(encoder, settings)
    loaded = None if facts is not None else load_encoder(encoder, settings)
    store = ProjectStore.create(
        path,
        name=path.name,
        kind=kind,
        encoder=encoder,
        recipe=recipe,
        labels=labels,
        settings=settings,
    )
    try:
        if facts is not None:
            store.set("encoder_facts", facts.as_json())
        return Workbench(store, settings, learns=learns, encoder=loaded)
    except BaseException:
        store.discard()
        raise


def open_project(
    name: str | Path, *, settings: Settings | None = None, learns: bool = False
) -> Workbench:
    """Open a project by name or path.

    Raises:
        NotFoundError: there is none; those that exist are listed.
    """
    settings = settings or Settings.from_environ()
    path = find_project(name, settings)
    return Workbench(ProjectStore.open(path, settings=settings), settings, learns=learns)


def find_project(name: str | Path, settings: Settings) -> Path:
    """The folder of a project that is there.

    Raises:
        NotFoundError: there is none; those that exist are listed.
    """
    path = project_path(name, settings)
    if not (path / DATABASE).is_file():
        known = ", ".join(found.name for found in project_folders(settings)) or "none yet"
        raise NotFoundError(f"there is no project {str(name)!r}; there are: {known}")
    return path


def list_projects(settings: Settings | None = None) -> list[ProjectInfo]:
    """All projects of the home, the last changed first; opens none of their encoders.

    One that cannot be opened is left out and logged: it must not hide the others.
    """
    settings = settings or Settings.from_environ()
    found = []
    for path in project_folders(settings):
        try:
            found.append(glance(path, settings=settings))
        except PatchlaneError as error:
            log.warning("the project %s is left out: %s", path.name, error)
    return sorted(found, key=lambda info: -info.modified)


def preview(
    path: str | Path,
    *,
    format: str = "auto",
    follow_links: bool = False,
    settings: Settings | None = None,
) -> ImportPreview:
    """What an import would understand, before a project exists; stores nothing."""
    settings = settings or Settings.from_environ()
    return read_preview(Path(path), settings=settings, format=format, follow_links=follow_links)


def remove_project(name: str | Path, *, settings: Settings | None = None) -> Path:
    """Put a project aside; `restore_project` brings it back until `delete_project`.

    Raises:
        NotFoundError: there is no such project.
        SaveError: it cannot be moved.
    """
    settings = settings or Settings.from_environ()
    path = project_path(name, settings)
    if not (path / DATABASE).is_file():
        raise NotFoundError(f"there is no project {name!r}")
    return trash.put_aside(path, settings)


def removed_projects(settings: Settings | None = None) -> list[RemovedProject]:
    """Projects that were put aside, the last removed first."""
    return trash.removed(settings or Settings.from_environ())


def restore_project(name: str, *, settings: Settings | None = None) -> Path:
    """Bring back the newest removed project of that name, or one by its key.

    Raises:
        NotFoundError: none of that name was removed.
        BadInputError: another project has taken the name.
    """
    return trash.restore(name, settings or Settings.from_environ())


def delete_project(key: str, *, settings: Settings | None = None) -> RemovedProject:
    """Delete a removed project for good, by its key.

    Raises:
        NotFoundError: there is none.
    """
    return trash.delete(key, settings or Settings.from_environ())


def project_folders(settings: Settings) -> list[Path]:
    """The folders of all projects of the home, by name; opens none of them."""
    if not settings.home.is_dir():
        return []
    return sorted(p for p in settings.home.iterdir() if (p / DATABASE).is_file())


def database_files(path: Path) -> tuple[Path, Path]:
    """The files that change with each write to a project."""
    return path / DATABASE, path / f"{DATABASE}-wal"


def glance(path: Path, *, settings: Settings) -> ProjectInfo:
    """What is in a project, without its encoder or its board; opens and closes it.

    Raises:
        PatchlaneError: it cannot be opened.
    """
    store = ProjectStore.open(path, settings=settings)
    try:
        latest = store.versions.latest()
        return ProjectInfo(
            name=store.name,
            path=path,
            kind=store.kind,
            encoder=str(store.get("encoder")),
            samples=store.count(),
            encoded=None,
            labels=len(store.labels()),
            verdicts=sum(c.verdict is not None for c in store.log.current().values()),
            version=latest.version if latest else 0,
            offset=store.log.offset,
            modified=(path / DATABASE).stat().st_mtime,
            uid=store.uid,
        )
    finally:
        store.close()
