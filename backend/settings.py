"""Where things live, which device, how many threads: read from the environment once.

`Settings.from_environ()` is called at the edge (command line, server, `open_project`) and handed
down; nothing below reads `os.environ` again. Variables: PATCHLANE_HOME, PATCHLANE_DATA,
PATCHLANE_CACHE (compiled networks), PATCHLANE_DEVICE (auto, cpu, cuda), PATCHLANE_ENGINE (auto,
openvino, torch), PATCHLANE_DTYPE (auto, float32, bfloat16), PATCHLANE_THREADS, PATCHLANE_OFFLINE
(1: never download, the default), PATCHLANE_TOKEN_CACHE_BYTES (the most a project's cache of tokens
for lanes may take, 4 GiB), PATCHLANE_TOKEN_PRECISION (float16, int8), PATCHLANE_GUIDE_NAMES (0: a
guide's examples are searched by alone), and the most that is taken from outside:
PATCHLANE_MAX_LABEL_CHARACTERS, PATCHLANE_MAX_TEXT_CHARACTERS, PATCHLANE_MAX_UPLOAD_BYTES,
PATCHLANE_MAX_ARCHIVE_MEMBERS, PATCHLANE_MAX_PIXELS.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path

from backend.errors import BadInputError

CHECKOUT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Limits:
    """The most that is taken from outside; over it a file is refused by name with the limit."""

    label_characters: int = 200
    text_characters: int = 1_000_000
    upload_bytes: int = 2_000_000_000
    archive_members: int = 1_000_000
    pixels: int = 200_000_000


@dataclass(frozen=True)
class Settings:
    """One frozen set of choices for a process."""

    home: Path = field(default_factory=lambda: Path.home() / ".patchlane")
    data: Path = CHECKOUT.parent / "shared" / "data"
    cache: Path = field(default_factory=lambda: _cache_folder(os.environ))
    device: str = "auto"
    engine: str = "auto"
    dtype: str = "auto"
    threads: int = field(default_factory=lambda: max(1, (os.cpu_count() or 2)))
    is_offline: bool = True
    token_cache_bytes: int = 4 * 2**30
    token_precision: str = "float16"  # noqa: S105  of numbers, no password
    guide_names: bool = True
    limits: Limits = field(default_factory=Limits)

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read the PATCHLANE_* variables.

        Raises:
            BadInputError: a variable holds a value that is not one of its choices.
        """
        env = os.environ if environ is None else environ
        defaults = cls()
        return cls(
            home=Path(env.get("PATCHLANE_HOME") or defaults.home).expanduser(),
            data=Path(env.get("PATCHLANE_DATA") or defaults.data).expanduser(),
            cache=_cache_folder(env),
            device=_choice(env, "PATCHLANE_DEVICE", ("auto", "cpu", "cuda")),
            engine=_choice(env, "PATCHLANE_ENGINE", ("auto", "openvino", "torch")),
            dtype=_choice(env, "PATCHLANE_DTYPE", ("auto", "float32", "bfloat16")),
            threads=_number(env, "PATCHLANE_THREADS", defaults.threads),
            is_offline=env.get("PATCHLANE_OFFLINE", "1") != "0",
            token_cache_bytes=_number(
                env, "PATCHLANE_TOKEN_CACHE_BYTES", defaults.token_cache_bytes
            ),
            token_precision=_choice(env, "PATCHLANE_TOKEN_PRECISION", ("float16", "int8")),
            guide_names=_choice(env, "PATCHLANE_GUIDE_NAMES", ("1", "0")) == "1",
            limits=Limits(
                **{
                    name: _number(env, f"PATCHLANE_MAX_{name.upper()}", most)
                    for name, most in asdict(defaults.limits).items()
                }
            ),
        )


def assets_folder() -> Path:
    """The folder `assets/`: beside the code in a checkout, `patchlane_assets` in a wheel.

    Raises:
        BadInputError: the installation lacks it.
    """
    beside = CHECKOUT / "assets"
    if beside.is_dir():
        return beside
    spec = find_spec("patchlane_assets")
    if spec is None or not spec.submodule_search_locations:
        raise BadInputError("Patchlane's assets are missing; install it again")
    return Path(next(iter(spec.submodule_search_locations)))


def _cache_folder(env: Mapping[str, str]) -> Path:
    """PATCHLANE_CACHE, or a folder where this person's programs keep what may be deleted."""
    named = env.get("PATCHLANE_CACHE")
    if named:
        return Path(named).expanduser()
    return Path(env.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "patchlane"


def _number(env: Mapping[str, str], name: str, default: int) -> int:
    value = env.get(name, "")
    if value and not (value.isdigit() and int(value) > 0):
        raise BadInputError(f"{name} is {value!r}; give a whole number above 0")
    return int(value) if value else default


def _choice(env: Mapping[str, str], name: str, known: tuple[str, ...]) -> str:
    value = env.get(name) or known[0]
    if value not in known:
        raise BadInputError(f"{name} is {value!r}; known are {', '.join(known)}")
    return value
