"""What every route and page shares: the open projects, who asks, and what is allowed here."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backend import api
from ui.auth import Accounts, signed_in
from ui.folder_sizes import FolderSizes
from ui.glances import Glances
from ui.memo import Memo

ALONE = "me"
"""Who writes where nobody signs in."""


class StalePageError(api.BusyError):
    """A page is of another project or person than this server has now; it has to be read again."""


@dataclass
class Context:
    """One server: a home of projects, opened when asked and kept open.

    Attributes:
        default_project: name or folder shown when the address names none.
        accounts: who may sign in; None serves one person without a gate.
        is_read_only: nothing may be written through the web.
        is_local: only this machine can reach the server, so its folders may be named.
        memo: what was worked out from the open projects, shared by all routes.
        sizes: what projects take on disk.
    """

    settings: api.Settings
    default_project: str | Path | None = None
    accounts: Accounts | None = None
    is_read_only: bool = False
    is_local: bool = True
    memo: Memo = field(default_factory=Memo, init=False)
    sizes: FolderSizes = field(default_factory=FolderSizes, init=False)
    _glances: Glances = field(init=False)
    _open: dict[Path, api.Workbench] = field(default_factory=dict, init=False)
    _last: str | None = field(default=None, init=False)
    _lock: threading.RLock = field(default_factory=threading.RLock, init=False)
    _closing: set[Path] = field(default_factory=set, init=False)
    _gates: dict[Path, threading.Lock] = field(default_factory=dict, init=False)
    _closers: list[Callable[[], None]] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        """Look at the projects of this home."""
        self._glances = Glances(self.settings)

    def projects(self) -> list[api.ProjectInfo]:
        """The projects of the home, and the one the server was started on if it lies elsewhere."""
        with self._lock:
            opened = dict(self._open)
        found = self._glances.all(opened)
        outside = self._outside()
        if outside is not None and all(info.path != outside for info in found):
            found.append(self._bench(outside).info())
        return found

    def project_name(self, asked: str | None = None) -> str | None:
        """The project that a request means: asked for, last opened, else the newest; or none."""
        if asked:
            return asked
        with self._lock:
            if self._last is not None:
                return self._last
        if self.default_project is not None:
            return Path(self.default_project).name
        newest = sorted(self.projects(), key=lambda info: info.modified, reverse=True)
        return newest[0].name if newest else None

    def open(self, name: str | None = None) -> api.Workbench:
        """The open project called `name`, from now on the last opened; without a name that one.

        Only names of known projects are taken, never paths: a request cannot reach a folder
        that is not a project of this server.

        Raises:
            NotFoundError: there is no such project.
        """
        bench = self._named(name)
        self.note_opened(bench)
        return bench

    def _named(self, name: str | None) -> api.Workbench:
        wanted = self.project_name(name)
        if wanted is None:
            raise api.NotFoundError("there is no project yet; make one on the Data page")
        return self._bench(self._known(wanted))

    def note_opened(self, bench: api.Workbench) -> None:
        """Take a project for the one that is meant where none is named."""
        with self._lock:
            self._last = bench.name

    def of(self, request: Any) -> api.Workbench:
        """The project named in a request's address; the answer says which it is (see `host.Guard`).

        A page says by `uid` of which project its samples and labels are, so that what was said of
        one never goes into another one that has its name by now. What pages ask for by themselves
        opens no project: the last opened is what somebody chose.

        Raises:
            StalePageError: the page is of another project; what it has to send is kept there.
        """
        bench = self._named(request.query_params.get("project"))
        meant = request.query_params.get("uid")
        if meant and meant != bench.store.uid:
            raise StalePageError(
                f"this page is of an earlier project {bench.name}, which is not here (any more); "
                "nothing was done in the one that is called so now: reload the page"
            )
        request.scope["patchlane_project"] = bench.store.uid
        return bench

    def user(self, request: Any) -> str:
        """Who asks: the signed-in name, or "me" where the server has one person."""
        return signed_in(request) or ALONE

    def only_reads(self, bench: api.Workbench) -> bool:
        """Whether nothing can be changed in a project: by the server, or where it is stored."""
        return self.is_read_only or bench.store.is_read_only

    def writable(self) -> None:
        """Refuse to go on where the server is read-only.

        Raises:
            RefusedError: it is.
        """
        if self.is_read_only:
            raise api.RefusedError("this server is read-only; nothing can be changed here")

    def adopt(self, bench: api.Workbench) -> None:
        """Keep a project that was just made open, as the last opened one."""
        with self._lock:
            self._open[bench.path] = bench
            self._last = bench.name

    @contextmanager
    def closed(self, name: str) -> Generator[Path]:
        """Close a project and keep it closed, so that it can be removed; gives its folder.

        Its own page goes on asking for it meanwhile, and would open it again.

        Raises:
            RefusedError: it lies elsewhere than in the home, where it could not be put back.
            BusyError: it is being removed already.
        """
        path = self._known(name)
        if path.parent.resolve() != self.settings.home.resolve():
            raise api.RefusedError(
                f"{name} lies in {path.parent}, outside of the projects here; move its folder away"
            )
        with self._lock:
            self._refuse_closing(path)
            self._closing.add(path)
        try:
            with self._gate(path), self._lock:  # whoever is opening it now is waited for
                bench = self._open.pop(path, None)
                if self._last == name:
                    self._last = None
                if self.default_project is not None and Path(self.default_project).name == name:
                    self.default_project = None
            if bench is not None:
                bench.close()
            self.memo.clear()  # another project may come to lie there
            yield path
        finally:
            with self._lock:
                self._closing.discard(path)

    def benches(self) -> Mapping[str, api.Workbench]:
        """The projects that are open now, by name."""
        with self._lock:
            return {bench.name: bench for bench in self._open.values()}

    def on_close(self, work: Callable[[], None]) -> None:
        """Run `work` when the server stops, once no project is open any more."""
        self._closers.append(work)

    def close(self) -> None:
        """Close every project; called when the server stops."""
        with ExitStack() as opening:
            for gate in list(self._gates.values()):
                opening.enter_context(gate)
            with self._lock:
                benches, self._open = list(self._open.values()), {}
        for bench in benches:
            bench.close()
        for work in self._closers:  # last: no job of theirs works with what goes now
            work()

    def _outside(self) -> Path | None:
        """The folder the server was started on, if it was named as a folder."""
        if self.default_project is None:
            return None
        path = Path(self.default_project).expanduser()
        return path.resolve() if path.is_absolute() or path.is_dir() else None

    def _known(self, name: str) -> Path:
        with self._lock:
            # Every request comes by here: looking at all projects on disk would cost most of it.
            opened = next((path for path, b in self._open.items() if b.name == name), None)
        if opened is not None:
            return opened
        outside = self._outside()
        if outside is not None and outside.name == name:
            return outside
        for info in self._glances.all({}):
            if info.name == name:
                return info.path
        raise api.NotFoundError(f"there is no project called {name!r} on this server")

    def _bench(self, path: Path) -> api.Workbench:
        """The open project in a folder; opening one, which takes seconds, holds up no other."""
        with self._lock:
            self._refuse_closing(path)
            opened = self._open.get(path)
        if opened is not None:
            return opened
        with self._gate(path):
            with self._lock:
                self._refuse_closing(path)
                opened = self._open.get(path)
            if opened is None:
                opened = api.open_project(
                    path, settings=self.settings, learns=not self.is_read_only
                )
                with self._lock:
                    self._open[path] = opened
            return opened

    def _gate(self, path: Path) -> threading.Lock:
        """Held by whoever opens or closes the project in a folder."""
        with self._lock:
            return self._gates.setdefault(path, threading.Lock())

    def _refuse_closing(self, path: Path) -> None:
        if path in self._closing:
            raise api.BusyError(f"{path.name} is being removed; wait a moment")
