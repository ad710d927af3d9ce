"""The command line: the same verbs as the screen, without one. `patchlane --help` loads nothing."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from backend.errors import PatchlaneError, readable
from backend.usage import parser

SERVE = ("demo", "serve")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0 done, 1 failed with a sentence, 2 wrong usage."""
    args = parser().parse_args(argv)
    try:
        if args.command in SERVE:
            return _serve(args)  # it says where it is itself, long before it ends
        result = _run(args)
    except PatchlaneError as error:
        print(f"patchlane: {readable(str(error))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("patchlane: stopped", file=sys.stderr)
        return 1
    if result is None:
        return 0
    status = int(result.pop("exit", 0))
    try:
        _print(result, as_json=args.json)
    except BrokenPipeError:
        # The reader (`| head`) has what it wanted; Python would complain once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return status


def _print(result: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        json.dump(result, sys.stdout, ensure_ascii=False, indent=1)
        print()
    else:
        _show(result)
    sys.stdout.flush()


def _run(args: argparse.Namespace) -> dict[str, Any] | None:
    """Import what the command needs and call it."""
    if args.command == "doctor":
        from backend.doctor import examine

        return examine()
    if args.command in ("bench", "reproduce"):
        from backend.bench import reports

        return getattr(reports, args.command)(args)
    from backend import commands

    python_names = {"import": "import_", "next": "next_"}
    return getattr(commands, python_names.get(args.command) or args.command)(args)


def _serve(args: argparse.Namespace) -> int:
    """Open the screen; it is named, not imported: the one arrow that points up."""
    from importlib import import_module

    from backend.settings import Settings

    settings = Settings.from_environ()
    project = getattr(args, "project", None)
    if args.command == "demo":
        from backend.demo import make_demo

        project = make_demo(settings, progress=lambda *at: print("  ", *at, file=sys.stderr))[0]
    return import_module("ui.app").serve(
        settings,
        project=project,
        host=args.host,
        port=args.port,
        auth_file=Path(args.auth_file) if getattr(args, "auth_file", None) else None,
        read_only=getattr(args, "read_only", False),
        open_browser=not args.no_browser,
        hosts=tuple(getattr(args, "allow_host", None) or ()),
        as_json=args.json,
    )


MOST_PROBLEMS = 8
"""Problems of an import that are listed before the counts would be out of sight."""


def _show(result: dict[str, Any]) -> None:
    """The result for a person: one line per row."""
    for name, value in result.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            shown = value[:MOST_PROBLEMS] if name == "errors" else value
            for row in shown:
                print("  ".join(_brief(key, item) for key, item in row.items()))
            if len(shown) < len(value):
                print(f"and {len(value) - len(shown)} more problems; --json lists them all")
        else:
            print(_brief(name, value))


def _brief(name: str, value: Any) -> str:
    if isinstance(value, float):
        return f"{name}={value:.3f}"
    if isinstance(value, list) and value and isinstance(value[0], dict):
        best = ", ".join(
            " ".join(_word(item) for item in list(row.values())[:2]) for row in value[:5]
        )
        return f"{name}=[{best}{', ...' if len(value) > 5 else ''}]"
    if isinstance(value, dict):
        return f"{name}: " + ", ".join(_brief(key, item) for key, item in value.items())
    return f"{name}={readable(str(value))}"


def _word(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else readable(str(value))


if __name__ == "__main__":
    sys.exit(main())
