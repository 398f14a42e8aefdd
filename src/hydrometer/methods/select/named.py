"""Recorded scores that other methods build on, by name."""

from __future__ import annotations

from collections.abc import Callable

from hydrometer.methods.recording import Floats, Recording
from hydrometer.methods.select.aum import aum_difficulty
from hydrometer.methods.select.el2n import el2n_scores
from hydrometer.methods.select.forgetting import forgetting_scores
from hydrometer.methods.select.loss import loss_scores
from hydrometer.types import HydrometerError

SCORES: dict[str, tuple[Callable[..., Floats], str]] = {
    "aum": (aum_difficulty, "margin"),
    "el2n": (el2n_scores, "error_norm"),
    "forgetting": (forgetting_scores, "correct"),
    "loss": (loss_scores, "loss"),
}
"""Formula of each, higher is harder, and the field of a recording that it reads."""


def checked(score: str, *others: str) -> str:
    """A known name, of these or of `others`.

    Raises:
        HydrometerError: There is no such score.
    """
    if score not in (*others, *SCORES):
        known = ", ".join((*others, *SCORES))
        raise HydrometerError(f"score {score!r} is unknown; known: {known}")
    return score


def difficulty(recording: Recording, score: str) -> Floats:
    """The difficulties (n,) of a recording by a named score."""
    formula, field = SCORES[checked(score)]
    return recording.score(formula, field)
