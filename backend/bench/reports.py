"""The reports of `patchlane bench` and `patchlane reproduce`, in one shape."""

from __future__ import annotations

import os
import platform
import sys
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import Any

from backend.errors import BadInputError, NotFoundError
from backend.settings import Settings

BENCHES: Mapping[str, str] = {
    "doubt": "backend.bench.doubt",
    "errors": "backend.bench.planted_errors",
    "evidence": "backend.bench.evidence",
    "foundation": "backend.bench.foundation",
    "lanes": "backend.bench.lanes",
    "pickers": "backend.bench.pickers",
}
EXPERIMENTS: Mapping[str, str] = {
    "capro": "backend.bench.capro",
    "embedded-encoder": "backend.bench.embedded_encoder",
    "labelling-instructions": "backend.bench.instructions",
    "multi-lane": "backend.bench.multi_lane",
    "lp-icp": "backend.bench.lp_icp",
    "registers": "backend.bench.registers",
    "relabel": "backend.bench.relabel",
    "read": "backend.bench.read",
    "patchct": "backend.bench.patchct",
}


@dataclass(frozen=True)
class Row:
    """One measured figure beside what was measured with it in the same run.

    Attributes:
        reach: what is asked for; None where the figure is only reported.
        ok: whether the reach was got; None where there is none.
    """

    name: str
    value: float
    unit: str
    reach: float | None = None
    baseline: str | None = None
    baseline_value: float | None = None
    ratio: float | None = None
    ok: bool | None = None


def row(
    name: str,
    value: float,
    unit: str,
    *,
    at_most: float | None = None,
    at_least: float | None = None,
    baseline: str | None = None,
    baseline_value: float | None = None,
) -> Row:
    """A row whose `ok` and `ratio` are worked out from what is given."""
    reach = at_most if at_most is not None else at_least
    ok = None
    if at_most is not None:
        ok = value <= at_most
    elif at_least is not None:
        ok = value >= at_least
    ratio = value / baseline_value if baseline_value else None
    return Row(name, value, unit, reach, baseline, baseline_value, ratio, ok)


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        "system": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }


def bench(args: Namespace) -> dict[str, Any]:
    """Run one bench.

    Raises:
        NotFoundError: no bench has that name.
    """
    module = _module(BENCHES, args.name, "bench")
    more = {"encoder": args.encoder} if args.encoder else {}
    if more and args.name != "evidence":
        raise BadInputError(f"the bench {args.name} takes no --encoder; evidence does")
    settings = Settings.from_environ()
    rows = [asdict(found) for found in module.rows(settings, say=_say, part=args.part, **more)]
    return {"name": args.name, "machine": machine(), "rows": rows}


def reproduce(args: Namespace) -> dict[str, Any]:
    """Run one experiment or all; `exit` is 1 where a claim does not come out as expected.

    Raises:
        BadInputError: neither a name nor `--all` was given.
        NotFoundError: there are no data packs, or no experiment of that name.
    """
    if not args.all and not args.name:
        raise BadInputError(f"name an experiment or say --all; there are {', '.join(EXPERIMENTS)}")
    settings = Settings.from_environ()
    if not settings.data.is_dir():
        raise NotFoundError(f"no data packs in {settings.data}; set PATCHLANE_DATA")
    names = list(EXPERIMENTS) if args.all else [args.name]
    reports = [
        _module(EXPERIMENTS, name, "experiment").reproduce(
            seeds=args.seeds, train=args.train and not args.all, data=settings.data, progress=_say
        )
        for name in names
    ]
    claims = [claim for report in reports for claim in report["claims"]]
    status = int(any(claim["holds"] != claim["expected"] for claim in claims))
    if args.all:
        return {"experiments": reports, "exit": status}
    return {**reports[0], "exit": status}


def _module(known: Mapping[str, str], name: str, what: str) -> Any:
    if name not in known:
        raise NotFoundError(f"no {what} is called {name!r}; there are {', '.join(known)}")
    return import_module(known[name])


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
