"""The images and texts below one folder: checked, named, and those that nobody mentioned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from backend import images
from backend.errors import BadInputError, RefusedError
from backend.methods.readers._drafts import Rough
from backend.methods.readers._lines import read_text
from backend.methods.readers._paths import clean_name, find_media, media_name, name_on_disk
from backend.methods.readers._settings import ReaderSettings
from backend.methods.readers._walk import walk
from backend.types import Draft, FileProblem


class Media:
    """Media files below `root`, found by the paths that an annotation file gives.

    `places` are further folders (relative to the root, "" is the root) that a path may be
    relative to, as formats have their conventions; `base` is the folder that names are given from.
    """

    def __init__(
        self,
        root: Path,
        settings: ReaderSettings,
        *,
        places: Sequence[str] = ("",),
        base: str = "",
    ):
        self.root, self.settings, self.places, self.base = root, settings, places, base
        self._mentioned: set[str] = set()

    def beside(self, file: Path) -> Media:
        """The same media, as a file that lies in a folder below the root names them."""
        base = "" if file.parent == self.root else name_on_disk(file.parent, self.root)
        media = Media(self.root, self.settings, places=self.places, base=base)
        media._mentioned = self._mentioned  # what any file mentions is not left over
        return media

    def take(self, rough: Rough, raw: object) -> None:
        """Let the draft have the file at a claimed path, if there is one, and its path as name.

        Raises:
            BadInputError: the file is there and cannot be taken.
            RefusedError: the path or the file is refused.
        """
        name = media_name(raw, self.root / self.base)
        name = f"{self.base}/{name}" if self.base else name
        rough.name = rough.name or name
        for place in self.places:
            below = f"{place}/{name}" if place else name
            self._mentioned.add(below)
            path = find_media(self.root, below, is_following_links=self.settings.is_following_links)
            if path is not None:
                take_file(rough, path, self.settings)
                return

    def size(self, rough: Rough, width: object, height: object) -> tuple[float, float]:
        """The displayed size of the picture: as said, else from its file, else (0, 0)."""
        said = [
            float(side)
            for side in (width, height)
            if isinstance(side, int | float) and not isinstance(side, bool) and side > 0
        ]
        if len(said) == 2:
            return said[0], said[1]
        if rough.path is None:
            return 0.0, 0.0
        facts = images.check_image(rough.path, self.settings.limits)
        return float(facts.width), float(facts.height)

    def rest(self) -> Iterator[Draft | FileProblem]:
        """Images below the root that no annotation mentioned, and links that were not followed.

        Other files are left alone: beside annotations they are licences, notes and the like.
        """
        for found in walk(self.root, is_following_links=self.settings.is_following_links):
            if isinstance(found, FileProblem):
                if found.file not in self._mentioned:
                    yield found
                continue
            name = name_on_disk(found, self.root)
            if name not in self._mentioned and found.suffix.lower() in images.SUFFIXES:
                yield from plain_draft(found, name, self.settings)


def is_media(path: Path) -> bool:
    """True for what is named like an image or text, and for images by their first bytes."""
    suffix = path.suffix.lower()
    return suffix in images.SUFFIXES or suffix == ".txt" or images.looks_like_image(path)


def plain_folder(root: Path, settings: ReaderSettings) -> Iterator[Draft | FileProblem]:
    """Every image and text below a folder; whatever else is there is named."""
    for found in walk(root, is_following_links=settings.is_following_links):
        if isinstance(found, FileProblem):
            yield found
            continue
        name = name_on_disk(found, root)
        if is_media(found):
            yield from plain_draft(found, name, settings)
        else:
            yield FileProblem(name, "is not an image or a .txt file")


def take_file(rough: Rough, path: Path, settings: ReaderSettings) -> None:
    """Check one media file and let the draft have it: texts as text, images as path.

    Raises:
        BadInputError: not an image or text, broken, empty.
        RefusedError: over a limit.
    """
    if path.suffix.lower() == ".txt":
        try:
            rough.text = read_text(path, settings.limits)
        except (BadInputError, RefusedError) as error:
            raise type(error)(f"{path.name} {error}") from error
        return
    if settings.is_decoding or not images.looks_like_image(path):
        images.check_image(path, settings.limits)
    rough.path = path


def plain_draft(path: Path, name: str, settings: ReaderSettings) -> Iterator[Draft | FileProblem]:
    """A media file without annotations as a draft, or the reason why not."""
    try:
        rough = Rough(clean_name(name), name, "", settings.limits)
        take_file(rough, path, settings)
    except (BadInputError, RefusedError) as error:
        yield FileProblem(name, str(error))
        return
    yield from rough.finish()
