"""What commands log elsewhere, beside what they show."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from hydrometer import loggers
from hydrometer.cli.console import Bar, Lines, talk, watching
from hydrometer.loggers import Logger
from hydrometer.types import Run, Verdict


class Logged:
    """An observer that shows work through another one, and passes what is ready on to loggers.

    A logger that fails is said to have failed and is not asked again: the store is the record.
    """

    def __init__(self, shown: Lines | Bar, loggers: dict[str, Logger]) -> None:
        self.shown, self.loggers = shown, loggers
        self.begin, self.stepped, self.say = shown.begin, shown.stepped, shown.say

    def finished(self, run: Run) -> None:
        """Show and log a student."""
        self.shown.finished(run)
        self._each(lambda logger: logger.run(run))

    def judged(self, verdict: Verdict) -> None:
        """Show and log a verdict."""
        self.shown.judged(verdict)
        self._each(lambda logger: logger.verdict(verdict))

    def close(self) -> None:
        """Close every logger."""
        self._each(lambda logger: logger.close())

    def _each(self, act: Callable[[Logger], None]) -> None:
        for name, logger in list(self.loggers.items()):
            try:
                act(logger)
            except Exception as error:  # each library raises its own
                del self.loggers[name]
                talk.print(f"no more is logged to {name}: {type(error).__name__}: {error}")


@contextmanager
def watched(quiet: bool, verbose: bool, log: Sequence[str]) -> Iterator[Lines | Bar | Logged]:
    """The observer that fits, which also logs to every logger of these names."""
    opened = {name: loggers.load(name) for name in log}
    with watching(quiet, verbose) as shown:
        if not opened:
            yield shown
            return
        observer = Logged(shown, opened)
        try:
            yield observer
        finally:
            observer.close()
