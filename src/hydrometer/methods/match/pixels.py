"""The frame of methods that learn pixels alone, with hard labels: DM and the DC family."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from hydrometer.engine.environment import default_device
from hydrometer.execute.lab import Lab
from hydrometer.methods.match.images import Canvas, begin, counts, finish
from hydrometer.methods.match.journal import Journal, Kept, Outcome, State, Work, identity
from hydrometer.methods.match.outer import Judge, Watch, refine
from hydrometer.types import Budget, CompressedSet, Scalar, Source, Spec


@dataclass(frozen=True)
class Steps:
    """The iterations of a method: `run` does one and returns its loss, `kept` is what they change."""

    run: Callable[[int], float]
    kept: Mapping[str, Kept]


@dataclass(frozen=True)
class Frame:
    """What these methods share: a name with its arguments, and how the outer loop runs."""

    method: str
    args: dict[str, Scalar]
    iterations: int
    checks: int
    start: str
    watch: Watch | None
    factor: int = 1
    """Tiles a side that each image is cut into before a network sees it."""

    @property
    def notes(self) -> tuple[str, ...]:
        """How the images are to be trained on, for the card; nothing where they are plain ones."""
        if self.factor == 1:
            return ()
        f = self.factor
        crop = f"tile-crop(factor={f},scale_min=1.0,tile=cycle)"
        return (f"each image holds {f} x {f}: train on its enlarged tiles, as with {crop}",)


def learn(
    source: Source,
    budget: Budget,
    frame: Frame,
    begin_steps: Callable[[Canvas], Steps],
    rng: np.random.Generator,
) -> CompressedSet:
    """Learn the pixels of a budget with the steps that a method makes for a canvas."""
    began = time.perf_counter()
    lens = Lab(source, default_device()).lens(None)
    canvas = begin(source, lens, counts(source, budget), frame.start, rng, frame.factor)

    def pack(outcome: Outcome, earlier: float) -> CompressedSet:
        return finish(
            outcome.state.images,
            canvas.labels,
            source=source,
            method=frame.method,
            args=frame.args,
            budget=budget,
            seconds=earlier + time.perf_counter() - began,
            notes=(*outcome.notes, *frame.notes),
        )

    if not len(canvas.labels):
        return pack(Outcome(State(canvas.pixels()), 0, ()), 0.0)
    steps = begin_steps(canvas)
    work = undertake(source, canvas, frame.method, frame.args, pack, rng)
    with Journal(work, steps.kept, rng) as journal:
        return journal.packed(_refined(source, canvas, frame, steps, journal))


def undertake(
    source: Source,
    canvas: Canvas,
    method: str,
    args: Mapping[str, Scalar],
    pack: Callable[[Outcome, float], CompressedSet],
    rng: np.random.Generator,
) -> Work:
    """The work of learning a canvas, told from others by all that its result depends on."""
    name = str(Spec(method, tuple(args.items())))
    begun = (canvas.images, canvas.labels)
    device = canvas.lens.device.type
    return Work(name, identity(source.digest, name, device, tensors=begun, rng=rng), pack)


def _refined(
    source: Source, canvas: Canvas, frame: Frame, steps: Steps, journal: Journal
) -> Outcome:
    judge = None
    if len(source.val):
        judge = Judge(source, canvas.lens, canvas.labels, None, frame.factor)
    return refine(
        steps.run,
        lambda: State(canvas.pixels()),
        judge,
        iterations=frame.iterations,
        checks=frame.checks,
        watch=frame.watch,
        journal=journal,
    )
