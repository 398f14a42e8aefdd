"""The outer loop of every matching method: iterate, look at `val` now and then, keep the best."""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from hydrometer import students
from hydrometer.artifact.composites import expand
from hydrometer.artifact.container import make
from hydrometer.engine.data import Images, Lens
from hydrometer.engine.loop import Cohort, Job, hits, train
from hydrometer.methods.match.journal import Course, Journal, Outcome, State
from hydrometer.methods.match.siamese import DSA
from hydrometer.types import HydrometerError, Recipe, Source, Spec, Trial

_LOG = logging.getLogger(__name__)
_EPOCHS = 100
_RATE = 0.03
_BATCH = 256


@dataclass(frozen=True)
class Glance:
    """What a watcher is told after an iteration; `state` and `val` only at a checkpoint."""

    iteration: int
    iterations: int
    loss: float
    val: float | None = None
    state: State | None = None


Watch = Callable[[Glance], None]


class Judge:
    """Accuracy on `val` of a short student trained on a state, always from the same seed.

    SGD 0.03 with momentum 0.9, 100 epochs, DSA, the field's student of that size. The students of a
    protocol train longer; the order of two iterates is what matters here. With a `factor` they train
    on the enlarged tiles of the images.
    """

    def __init__(
        self, source: Source, lens: Lens, labels: Tensor, whiten: Spec | None, factor: int = 1
    ) -> None:
        self.source, self.lens, self.whiten, self.factor = source, lens, whiten, factor
        self.labels = labels.repeat_interleave(factor**2)
        self.exam = Images(source.val.images, lens)

    def __call__(self, state: State) -> float:
        """Fraction of `val` that is right; a state with tiles has no soft labels."""
        data = make(
            expand(state.images, self.factor), self.labels, source=self.source,
            method="candidate", budget="val", seed=None, seconds=0.0, soft=state.soft,
        )  # fmt: skip
        how = self._recipe(soft=state.soft is not None)
        trial = Trial(data.digest, self.source.digest, how, seed=0)
        program, _ = train(Cohort([Job(trial, data)], self.source, self.lens, ()))
        found = hits(program, self.exam, self.source.val.labels, len(self.source.classes))
        return int(found.sum()) / len(self.source.val)

    def _recipe(self, *, soft: bool) -> Recipe:
        return Recipe(
            student=students.default_for(self.source.shape),
            optimiser=Spec("sgd", (("momentum", 0.9), ("weight_decay", 5e-4))),
            lr=_RATE,
            schedule=Spec("step", (("every", 0.5), ("gamma", 0.1))),
            epochs=_EPOCHS,
            batch=_BATCH,
            augment=DSA,
            labels="given" if soft else "hard",
            loss=Spec("soft-cross-entropy" if soft else "cross-entropy"),
            whiten=self.whiten,
        )


def checkpoints(iterations: int, checks: int) -> list[int]:
    """Iterations after which `val` is looked at: evenly spread, the last one always among them."""
    if checks <= 0:
        return []
    return sorted({math.ceil(iterations * (i + 1) / checks) for i in range(checks)})


def refine(
    step: Callable[[int], float],
    state: Callable[[], State],
    judge: Callable[[State], float] | None,
    *,
    iterations: int,
    checks: int,
    watch: Watch | None = None,
    journal: Journal | None = None,
) -> Outcome:
    """Run the iterations; of the checkpoints the best on `val` is kept, the later one of equals.

    Without a judge or checks the last iterate is kept. The start itself is never a candidate, so
    that a method that learns nothing is seen to. With a journal a run that was killed goes on.

    Raises:
        HydrometerError: A loss is no longer finite.
    """
    if iterations < 1:
        raise HydrometerError(f"iterations is {iterations}; give at least 1")
    marks = checkpoints(iterations, checks) if judge is not None else []
    course = journal.course() if journal is not None else Course()
    for done in range(course.done + 1, iterations + 1):
        course = dataclasses.replace(course, done=done, loss=_finite(step(done - 1), done))
        glance, now = Glance(done, iterations, course.loss), None
        if judge is not None and done in marks:
            now = state()
            value = judge(now)
            course = course.judged(now, value)
            glance = dataclasses.replace(glance, val=value, state=now)
            _LOG.info("iteration %d of %d: val accuracy %.3f", done, iterations, value)
        if journal is not None:
            journal.note(course, now)
        if watch is not None:
            watch(glance)
    if course.best is None:
        return Outcome(state(), iterations, ())
    return Outcome(course.best, course.kept, course.curve)


def _finite(loss: float, iteration: int) -> float:
    if not math.isfinite(loss):
        raise HydrometerError(
            f"matching diverged at iteration {iteration} (loss {loss}); lower its learning rates"
        )
    return loss


class Descent(torch.optim.SGD):
    """The optimiser of everything learned in this family: SGD with momentum, of one tensor."""

    def __init__(self, tensor: Tensor, rate: float, momentum: float) -> None:
        super().__init__([tensor], lr=rate, momentum=momentum)
        self.tensor = tensor

    def memory(self) -> dict[str, Tensor]:
        """The tensor, and its velocity after the first step."""
        velocity = self.state[self.tensor].get("momentum_buffer")
        own = {"value": self.tensor}
        return own if velocity is None else own | {"velocity": velocity}

    @torch.no_grad()
    def recall(self, memory: Mapping[str, Tensor]) -> None:
        """Set the tensor and its velocity to what they were."""
        self.tensor.copy_(memory["value"])
        if "velocity" in memory:
            velocity = memory["velocity"].to(self.tensor.device)
            self.state[self.tensor]["momentum_buffer"] = velocity
