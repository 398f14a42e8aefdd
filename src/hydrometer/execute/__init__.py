"""Where and in which order trials are trained."""

from __future__ import annotations

from typing import Protocol

from hydrometer.types import Run, Verdict


class Observer(Protocol):
    """Is told how work goes on; draws progress, or nothing."""

    def begin(self, steps: int, students: int) -> None:
        """Work of so many optimiser steps on so many students starts."""

    def stepped(self, steps: int) -> None:
        """Some student-steps were taken."""

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
