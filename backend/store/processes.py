"""Which process is this, and does that one still run? For leases and jobs of several processes."""

from __future__ import annotations

import functools
import os
import socket
from pathlib import Path


def this_process() -> str:
    """Text that names this process among all of this host's, also after its number is reused."""
    return f"{socket.gethostname()}:{os.getpid()}:{_started(os.getpid())}"


def is_gone(process: str) -> bool:
    """True if the process surely ended: it was of this host, and its number is free or reused."""
    host, _, rest = process.rpartition(":")[0].rpartition(":")
    started = process.rpartition(":")[2]
    if host != socket.gethostname() or not rest.isdigit():
        return False
    try:
        os.kill(int(rest), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return _started(int(rest)) != started


@functools.lru_cache(maxsize=1)
def _has_proc() -> bool:
    return Path("/proc/self/stat").exists()


def _started(pid: int) -> str:
    """When the process started, in the kernel's ticks; "0" where that cannot be known."""
    if not _has_proc():
        return "0"
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return "gone"
    return stat.rpartition(")")[2].split()[19]
