"""The frame of methods that learn pixels alone, with hard labels: DM and the DC family."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hydrometer.engine.environment import default_device
from hydrometer.execute.lab import Lab
from hydrometer.methods.match.images import Canvas, begin, counts, finish
from hydrometer.methods.match.outer import Judge, Outcome, State, Watch, refine
from hydrometer.types import Budget, CompressedSet, Scalar, Source

Step = Callable[[int], float]


@dataclass(frozen=True)
class Frame:
    """What these methods share: a name with its arguments, and how the outer loop runs."""

    method: str
    args: dict[str, Scalar]
    iterations: int
    checks: int
    start: str
    watch: Watch | None


def learn(
    source: Source,
    budget: Budget,
    frame: Frame,
    begin_steps: Callable[[Canvas], Step],
    rng: np.random.Generator,
) -> CompressedSet:
    """Learn the pixels of a budget with the steps that a method makes for a canvas."""
    began = time.perf_counter()
    lens = Lab(source, default_device()).lens(None)
    canvas = begin(source, lens, counts(source, budget), frame.start, rng)
    outcome = _refined(source, canvas, frame, begin_steps)
    return finish(
        outcome.state.images,
        canvas.labels,
        source=source,
        method=frame.method,
        args=frame.args,
        budget=budget,
        seconds=time.perf_counter() - began,
        notes=outcome.notes,
    )


def _refined(
    source: Source, canvas: Canvas, frame: Frame, begin_steps: Callable[[Canvas], Step]
) -> Outcome:
    if not len(canvas.labels):
        return Outcome(State(canvas.pixels()), 0, ())
    judge = Judge(source, canvas.lens, canvas.labels, None) if len(source.val) else None
    return refine(
        begin_steps(canvas),
        lambda: State(canvas.pixels()),
        judge,
        iterations=frame.iterations,
        checks=frame.checks,
        watch=frame.watch,
    )
