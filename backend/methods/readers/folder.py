"""A folder of images and .txt files, nested as it likes; also one such file alone.

Names are paths relative to the folder. Hidden files and those of operating systems are passed
over; whatever else is not an image or a text is named. Links are named unless they are to be
followed; pipes and devices are never opened.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from backend.methods.readers._media import is_media, plain_draft, plain_folder
from backend.methods.readers._paths import name_on_disk
from backend.methods.readers._settings import ReaderSettings
from backend.types import Draft, FileProblem


class FolderReader:
    """Each image and text below a folder is a sample."""

    @dataclass(frozen=True)
    class Settings(ReaderSettings):
        """Nothing of its own."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or self.Settings()

    def accepts(self, path: Path) -> bool:
        if path.is_dir():
            return True
        return path.is_file() and is_media(path)

    def read(self, path: Path) -> Iterator[Draft | FileProblem]:
        if path.is_dir():
            yield from plain_folder(path, self.settings)
        else:
            yield from plain_draft(path, name_on_disk(path, path.parent), self.settings)
