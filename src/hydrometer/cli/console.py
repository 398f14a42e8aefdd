"""What commands print: progress and talk on standard error, results on standard output."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from hydrometer.types import Run, Verdict

talk = Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)
"""Prints text as it is: a path may hold brackets and colons, and a log wants whole lines."""


def write(text: str) -> None:
    """Print a line of the result on standard output."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


@contextmanager
def working(on: str) -> Iterator[None]:
    """Show on a terminal that work of unknown length goes on, and for how long.

    In a log as on a terminal, print what the library logs meanwhile, line by line.
    """
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=talk, transient=True, disable=not talk.is_terminal) as bar:
        bar.add_task(on, total=None)
        log, teller = logging.getLogger("hydrometer"), _Teller()
        level = log.level
        log.setLevel(logging.INFO)
        log.addHandler(teller)
        try:
            yield
        finally:
            log.removeHandler(teller)
            log.setLevel(level)


class _Teller(logging.Handler):
    """Prints log records above the bar."""

    def emit(self, record: logging.LogRecord) -> None:
        talk.print(record.getMessage())


class Lines:
    """An observer for logs and pipes: one plain line per finished student."""

    def __init__(self, verbose: bool) -> None:
        self.verbose, self.total, self.done = verbose, 0, 0

    def begin(self, steps: int, students: int) -> None:
        """Start counting."""
        self.total, self.done = students, 0

    def stepped(self, steps: int) -> None:
        """Say nothing: steps are too many for lines."""

    def finished(self, run: Run) -> None:
        """Say which student is done, how it did on `val`, and how many are left."""
        self.done += 1
        state = f"val {100 * run.val_accuracy:.1f} %" if run.status == "done" else "diverged"
        talk.print(
            f"student {self.done}/{self.total} seed {run.seed}: {state}, {run.seconds:.1f} s"
        )

    def judged(self, verdict: Verdict) -> None:
        """Say nothing: the command prints its verdicts itself."""

    def say(self, text: str) -> None:
        """Pass on what a verbose user wants to know."""
        if self.verbose:
            talk.print(text)


class Bar:
    """An observer for terminals: a bar over student-steps, with the time remaining."""

    def __init__(self, progress: Progress, verbose: bool) -> None:
        self.progress, self.verbose = progress, verbose
        self.task: TaskID | None = None
        self.done = self.total = 0

    def begin(self, steps: int, students: int) -> None:
        """Start a bar of its own for this work."""
        if self.task is not None:
            self.progress.remove_task(self.task)
        self.done, self.total = 0, students
        self.task = self.progress.add_task(f"student 0/{students}", total=steps)

    def stepped(self, steps: int) -> None:
        """Move the bar."""
        if self.task is not None:
            self.progress.advance(self.task, steps)

    def finished(self, run: Run) -> None:
        """Count the student."""
        self.done += 1
        if self.task is not None:
            self.progress.update(self.task, description=f"student {self.done}/{self.total}")

    def judged(self, verdict: Verdict) -> None:
        """Say nothing: the command prints its verdicts itself."""

    def say(self, text: str) -> None:
        """Print above the bar."""
        if self.verbose:
            self.progress.console.print(text)


class Nothing(Lines):
    """An observer for --quiet."""

    def finished(self, run: Run) -> None:
        """Nothing."""

    def say(self, text: str) -> None:
        """Nothing."""


@contextmanager
def watching(quiet: bool = False, verbose: bool = False) -> Iterator[Lines | Bar]:
    """The observer that fits: none when quiet, a bar on a terminal, plain lines elsewhere."""
    if quiet:
        yield Nothing(False)
    elif not talk.is_terminal:
        yield Lines(verbose)
    else:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("steps"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=talk, transient=True) as progress:
            yield Bar(progress, verbose)
