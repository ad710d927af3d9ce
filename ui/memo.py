"""What was worked out and is asked for again: one answer per slot, until what it is of changes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import TypeVar, cast

MOST = 16
"""Slots that are kept; those that nobody asked for the longest go first."""
T = TypeVar("T")


@dataclass
class _Slot:
    """One answer, and what it was worked out of; the lock is held while it is worked out."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    stamp: Hashable = None
    answer: object = None


class Memo:
    """Answers by slot. Safe to use from many threads: none works out what another does already."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._slots: OrderedDict[Hashable, _Slot] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, slot: Hashable, stamp: Hashable, make: Callable[[], T]) -> T:
        """The answer in `slot` if it is of `stamp`, else what `make` gives, in its place."""
        with self._lock:
            held = self._slots.setdefault(slot, _Slot())
            self._slots.move_to_end(slot)
            while len(self._slots) > self._most:
                self._slots.popitem(last=False)
        with held.lock:
            if held.answer is None or held.stamp != stamp:
                held.answer, held.stamp = make(), stamp
            return cast("T", held.answer)

    def clear(self) -> None:
        """Forget everything, as where another project takes the place of one."""
        with self._lock:
            self._slots.clear()
