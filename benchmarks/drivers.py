"""Processes and disks that `faults.py` makes trouble with."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hydrometer.cli import main as main_of_cli

FORK = multiprocessing.get_context("fork")
WORDS = Path(tempfile.mkdtemp(prefix="faults-"))
PATIENCE = 1800.0
"""Seconds after which a run is taken to hang."""


class Driver:
    """`hydrometer bench run` in a process of its own, forked from this one.

    Forking spares the seconds in which a new process only imports torch, so that faults meet work.
    """

    def __init__(self, plan: Path, back: float = 0.0) -> None:
        # Elsewhere than the plan, whose disk may be full.
        self.said = WORDS / f"{time.time_ns()}.txt"
        self.process = FORK.Process(target=drive, args=(plan, self.said, back))
        self.process.start()

    def ended(self, seconds: float) -> bool:
        """Whether the process ends within so many seconds."""
        self.process.join(seconds)
        return self.process.exitcode is not None

    def end(self, patience: float = PATIENCE) -> tuple[int, str]:
        """Exit code and standard error, once it has ended; a run that hangs is killed."""
        if not self.ended(patience):
            self.kill()
            return -1, f"hung for {PATIENCE:.0f} s"
        code = self.process.exitcode
        return -1 if code is None else code, self.said.read_text() if self.said.exists() else ""

    def kill(self) -> None:
        """Let it die of kill -9."""
        self.process.kill()
        self.process.join()

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        os.kill(int(self.process.pid or 0), signal.SIGINT)


def drive(plan: Path, said: Path, back: float) -> None:
    """Be a driver, on a machine whose clock is so many seconds back."""
    real = time.time
    os.dup2(os.open(said, os.O_CREAT | os.O_WRONLY), 2)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    time.time = lambda: real() - back
    os.environ["HYDROMETER_CACHE"] = str(plan.parent / "cache")
    sys.argv = ["hydrometer", "bench", "run", str(plan), "--quiet"]
    main_of_cli()


def finish(plan: Path, back: float = 0.0) -> tuple[int, str]:
    """Exit code and standard error of a driver that is left alone."""
    return Driver(plan, back).end()


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[None]:
    """A file system of this size at the folder."""
    mount("-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder))
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True, stderr=subprocess.PIPE)
