"""Where and in which order trials are trained.

An executor is one file with a factory `(place: str) -> context manager of an Executor` marked
`@register("executor")`; `--on NAME:PLACE` hands it what follows the colon.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, NamedTuple, Protocol

from hydrometer import registry
from hydrometer.types import Run, Verdict

if TYPE_CHECKING:
    from hydrometer.engine.loop import Job
    from hydrometer.execute.lab import Lab
    from hydrometer.store import Store


class Observer(Protocol):
    """Is told how work goes on; draws progress, or nothing."""

    def begin(self, steps: int, students: int) -> None:
        """Work of so many optimiser steps on so many students starts."""

    def stepped(self, steps: int) -> None:
        """Some student-steps were taken; fewer than none when a worker took some with it."""

    def finished(self, run: Run) -> None:
        """A student is done and its row is stored."""

    def judged(self, verdict: Verdict) -> None:
        """A verdict is reached and stored."""

    def say(self, text: str) -> None:
        """Something a verbose user wants to know."""


class Silent:
    """An observer that shows nothing."""

    def begin(self, steps: int, students: int) -> None:
        """Nothing."""

    def stepped(self, steps: int) -> None:
        """Nothing."""

    def finished(self, run: Run) -> None:
        """Nothing."""

    def judged(self, verdict: Verdict) -> None:
        """Nothing."""

    def say(self, text: str) -> None:
        """Nothing."""


class Manner(NamedTuple):
    """How an executor uses a processor."""

    threads: int | None = None
    """Threads of one student, or None for all that the process may use."""
    abreast: int = 1
    """Students that train side by side."""


class Executor(Protocol):
    """Brings jobs to their end, whatever machines that takes.

    One that trains several students side by side has an attribute `manner`.
    """

    def __call__(
        self, jobs: Sequence[Job], lab: Lab, store: Store, observer: Observer
    ) -> dict[str, Run]:
        """Runs by key for all jobs: from the store where they are there, else trained now.

        Every run is in the store before the call returns, and before it raises for those that failed.
        """


def manner(execute: Executor) -> Manner:
    """How an executor uses a processor; one that does not say so takes students one after the other."""
    found: Manner = getattr(execute, "manner", Manner())
    return found


def executor(on: str) -> AbstractContextManager[Executor]:
    """The executor that `NAME` or `NAME:PLACE` names, ready for use inside a `with`."""
    name, _, place = on.partition(":")
    factory = registry.get("executor", name)
    opened: AbstractContextManager[Executor] = factory(place)
    return opened
