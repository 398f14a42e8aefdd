"""Loggers: students and verdicts shown in the tools a laboratory already has, as `--log NAME:PLACE`.

A logger is one file with a factory `(place: str) -> Logger` marked `@register("logger")`; `place` is
what follows the colon. The store stays the record: what is logged is a copy, and may be lost.
"""

from __future__ import annotations

import math
from typing import Protocol

from hydrometer import registry
from hydrometer.types import HydrometerError, Run, Spec, Verdict


class Logger(Protocol):
    """Takes what is ready, the moment it is."""

    def run(self, run: Run) -> None:
        """A student is trained and its row is stored."""

    def verdict(self, verdict: Verdict) -> None:
        """A verdict is reached and stored."""

    def close(self) -> None:
        """Nothing more comes."""


def known(text: str) -> Spec:
    """The logger that a text names, which is looked up and not opened.

    Raises:
        HydrometerError: There is no such logger.
    """
    spec = Spec(text.strip().partition(":")[0].lower())
    registry.get("logger", spec.name)
    return spec


def load(text: str) -> Logger:
    """The logger that `NAME` or `NAME:PLACE` asks for, ready to take rows.

    Raises:
        HydrometerError: There is no such logger, its library is missing, or its place does not fit.
    """
    made: Logger = registry.build("logger", known(text), text.strip().partition(":")[2])
    return made


def missing(name: str) -> HydrometerError:
    """The error for a logger whose library is not installed."""
    return HydrometerError(
        f"--log {name} needs the package {name}; install it with: pip install 'hydrometer[{name}]'"
    )


def losses(run: Run) -> list[tuple[int, float]]:
    """The training loss of a run as (optimiser step, loss), without what is not finite."""
    count = len(run.losses)
    curve = ((round((i + 1) * run.steps / count), loss) for i, loss in enumerate(run.losses))
    return [(step, loss) for step, loss in curve if math.isfinite(loss)]


def title(thing: Run | Verdict) -> str:
    """What a run or verdict is of, as a path: source, method and budget, seed or protocol."""
    if isinstance(thing, Run):
        last = f"seed{thing.seed}-{thing.key[:8]}"
        return "/".join(map(_part, (thing.source, f"{thing.method} {thing.budget}", last)))
    card = thing.card
    subject = f"{card.method} {card.budget} seed {card.seed}"
    return "/".join(map(_part, (thing.source, subject, thing.protocol)))


def _part(text: str) -> str:
    """A name that is one folder on every system."""
    kept = "".join(c if c.isalnum() or c in "-_=.@+" else "_" for c in text)
    return kept.strip("_.") or "unknown"
