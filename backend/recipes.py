"""Which method on which shelf with which settings: read from and written as TOML.

A recipe lives in `assets/recipes/NAME.toml`: `[methods]` names one catalogue key per shelf,
`[encoders]` the default encoder per kind of sample, and `[settings."shelf/file"]` overrides single
settings of a method. Encoder ids are parsed here too, since a recipe and a person write them alike.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from backend import catalogue
from backend.errors import BadInputError, NotFoundError
from backend.methods.encoders._available import PACKAGED, with_available
from backend.settings import assets_folder
from backend.types import Kind

SHELVES = ("aligner", "learner", "calibrator", "picker", "index", "projector")
ENCODER_FAMILIES = {entry.family: entry.key for entry in catalogue.ENTRIES if entry.family}
"""What an encoder id begins with, and the method that it names."""
_OPTIONS = re.compile(r"\?([a-z_]+=[^?&=/]*(?:&[a-z_]+=[^?&=/]*)*)$")
OFFLINE_ENCODERS = tuple(name for names in PACKAGED.values() for name in names)


@dataclass(frozen=True)
class EncoderName:
    """One member of an encoder id: its catalogue key and what stands after the colon.

    Attributes:
        options: settings that are part of the name, as `?parts=self&artefacts=replaced`.
    """

    key: str
    model: str = ""
    options: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Recipe:
    """The choice of methods; its fingerprint names everything that decides a learned state."""

    name: str
    methods: Mapping[str, str]
    encoders: Mapping[str, str]
    settings: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    what: str = ""

    @property
    def fingerprint(self) -> str:
        """Hash of methods and settings; the name and the encoder are not part of it.

        Nor is the picker: what is looked at next decides no learned state, and another choice must
        not make a project learn anew. The key written in its place is the one that stood here
        before there was a choice, so that versions of older projects are still known.
        """
        methods = {**self.methods, "picker": "pickers/doubt"}
        settings = {key: own for key, own in self.settings.items() if not _is_picker(key)}
        text = json.dumps({"methods": methods, "settings": settings}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def default_encoder(self, kind: Kind) -> str:
        """The encoder id for samples of this kind."""
        return self.encoders[kind.value]


def _is_picker(key: str) -> bool:
    return key.startswith("pickers/")


def recipe_names() -> list[str]:
    """The names of all product recipes (those with `[methods]`; papers' recipes have claims)."""
    folder = assets_folder() / "recipes"
    return sorted(
        path.stem for path in folder.glob("*.toml") if "methods" in tomllib.loads(path.read_text())
    )


def load_recipe(name: str) -> Recipe:
    """Read `assets/recipes/NAME.toml`, or a TOML file by path.

    Raises:
        NotFoundError: no such recipe; the known ones are listed.
        BadInputError: the file is not TOML or lacks a shelf.
    """
    path = Path(name) if name.endswith(".toml") else assets_folder() / "recipes" / f"{name}.toml"
    if not path.is_file():
        raise NotFoundError(f"no recipe is called {name!r}; there are {', '.join(recipe_names())}")
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise BadInputError(f"recipe {path.name} is not TOML: {error}") from error
    missing = [shelf for shelf in SHELVES if shelf not in content.get("methods", {})]
    if missing:
        raise BadInputError(f"recipe {path.name} names no {', '.join(missing)} under [methods]")
    return Recipe(
        name=path.stem,
        methods=content["methods"],
        encoders=content.get("encoders", {}),
        settings=content.get("settings", {}),
        what=content.get("what", ""),
    )


def parse_encoder_id(encoder_id: str) -> list[EncoderName]:
    """Split `a:model+b` into members, `open_clip:MODEL/TAG-or-FILE?parts=self` included.

    A file's path may hold a `+` of its own: what follows it is then no family.

    Raises:
        BadInputError: a family is unknown; the ones that work offline are listed.
    """
    members: list[EncoderName] = []
    for part in encoder_id.split("+"):
        family, _, model = part.strip().partition(":")
        key = ENCODER_FAMILIES.get(family)
        if key is None and members and "/" in members[-1].model:
            before = members.pop()
            members.append(EncoderName(before.key, f"{before.model}+{part}"))
            continue
        if key is None:
            families = ", ".join(sorted(ENCODER_FAMILIES))
            unknown = f"unknown encoder {part!r}; families are {families}"
            raise BadInputError(with_available(unknown, OFFLINE_ENCODERS))
        members.append(EncoderName(key, model))
    return [_with_options(member) for member in members]


def _with_options(member: EncoderName) -> EncoderName:
    """Take the settings off the end of a model's name."""
    found = _OPTIONS.search(member.model)
    if found is None:
        return member
    pairs = (pair.partition("=") for pair in found.group(1).split("&"))
    options = tuple((name, value) for name, _, value in pairs)
    return EncoderName(member.key, member.model[: found.start()], options)
