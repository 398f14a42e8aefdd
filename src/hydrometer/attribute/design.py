"""Which cells of a factorial are trained, and how their accuracies make each factor's part.

A cell is a number whose bit i says whether factor i is on. In every design the parts are linear in
the cells' accuracies and add up to the step from all factors off to all on, whatever these are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from hydrometer.stats.bootstrap import Array
from hydrometer.stats.shapley import shapley
from hydrometer.types import HydrometerError

Fraction = Literal["full", "half", "ladder"]
FRACTIONS: tuple[Fraction, ...] = ("full", "half", "ladder")


@dataclass(frozen=True)
class Design:
    """Cells to train, the first with all factors off and the last with all on, and their weights.

    `weights` is (cells, factors): accuracies (..., cells) times it are the parts (..., factors).
    `warning` says what a smaller design cannot tell apart.
    """

    fraction: Fraction
    cells: tuple[int, ...]
    weights: Array
    warning: str | None = None


def design(fraction: str, factors: int) -> Design:
    """The design of this name for so many factors.

    Raises:
        HydrometerError: The name is unknown.
    """
    if fraction not in FRACTIONS:
        raise HydrometerError(f"fraction {fraction!r} is unknown; known: {', '.join(FRACTIONS)}")
    if fraction == "ladder":
        return _ladder(factors)
    return _half() if fraction == "half" and factors == 4 else _full(fraction == "half", factors)


def cheaper(found: Design) -> str | None:
    """Which smaller designs there are, where every cell is trained."""
    cells, factors = len(found.cells), found.weights.shape[1]
    if found.fraction != "full" or factors < 2:
        return None
    half = "--fraction half trains 8, " if factors == 4 else ""
    return f"all {cells} combinations of {factors} factors; {half}--fraction ladder {factors + 1}"


def _full(asked_half: bool, factors: int) -> Design:
    """Every cell; parts are Shapley values."""
    said = f"a half fraction exists for 4 factors, not {factors}: all cells are trained"
    weights = shapley(np.eye(2**factors))
    return Design("full", tuple(range(2**factors)), weights, said if asked_half else None)


def _half() -> Design:
    """The 2^(4-1) design of resolution IV: the cells with an even number of factors on (I = ABCD).

    A part is the factor's mean effect. Box and Hunter, "The 2^(k-p) fractional factorial designs"
    (Technometrics 3, 1961): clear of all pairs, mixed up with the joint effect of the other three.
    Mixed up so, the four add up to the whole step: a cell with two factors on counts for nothing.
    """
    cells = tuple(cell for cell in range(16) if cell.bit_count() % 2 == 0)
    signs = [[1 if cell >> factor & 1 else -1 for factor in range(4)] for cell in cells]
    said = (
        "half fraction (resolution IV, 8 of 16 cells): each part is clear of interactions of two "
        "factors, but not of the joint effect of the other three; pairs cannot be told apart"
    )
    return Design("half", cells, np.array(signs) / 4, said)


def _ladder(factors: int) -> Design:
    """Factors switched on one after another, in their order: the field's usual table."""
    cells = tuple(2**on - 1 for on in range(factors + 1))
    steps = np.eye(factors + 1, factors, k=-1) - np.eye(factors + 1, factors)
    said = (
        f"ladder ({factors + 1} cells): each part is what a factor adds to those before it, so it "
        "depends on their order wherever factors interact"
    )
    return Design("ladder", cells, steps, said)
