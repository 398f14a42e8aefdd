"""How much of the machine others are using: on a busy one, what measures fastest is chance."""

from __future__ import annotations

import os
import time
from pathlib import Path

_STAT = Path("/proc/stat")
_BUSY = (0, 1, 2, 5, 6, 7)
"""Columns of the first line of proc(5) stat that are work: all but idle, waiting and guests."""


class Others:
    """Processors that other processes keep busy, from the moment this is made."""

    def __init__(self) -> None:
        self._start = _Moment()

    def processors(self) -> float | None:
        """Their mean number since then; None where the system does not tell."""
        now, then = _Moment(), self._start
        wall = now.wall - then.wall
        if now.all is None or then.all is None or wall <= 0:
            return None
        return max(0.0, (now.all - then.all) - (now.own - then.own)) / wall

    def disturb(self, threads: int) -> bool:
        """Whether they leave less than so many processors, or nobody can tell."""
        found = self.processors()
        return found is None or found > max(0.25, (os.cpu_count() or 1) - threads - 0.25)


class _Moment:
    """Seconds of work so far, of all processes and of this one with its children."""

    def __init__(self) -> None:
        self.wall = time.monotonic()
        self.own = sum(os.times()[:4])
        self.all = _all_work()


def _all_work() -> float | None:
    try:
        fields = _STAT.read_text().partition("\n")[0].split()[1:]
        return sum(int(fields[i]) for i in _BUSY) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, AttributeError):
        return None
