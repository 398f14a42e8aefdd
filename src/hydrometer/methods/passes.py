"""What a recorded run hears of every image: a clean look after each epoch, or training itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from hydrometer.engine.loop import Cohort, exam_batch
from hydrometer.engine.objective import Target
from hydrometer.engine.program import Program, Solo
from hydrometer.methods.stream import Recorder
from hydrometer.types import HydrometerError, Source, Spec

PASSES = {"clean": "clean evaluation passes", "augmented": "train-mode augmented passes"}
"""Kinds of passes, and how a card calls them."""


def known(passes: str) -> str:
    """The name, if passes of this kind are recorded.

    Raises:
        HydrometerError: They are not.
    """
    if passes not in PASSES:
        raise HydrometerError(f"passes {passes!r} are unknown; known: {', '.join(PASSES)}")
    return passes


def augmentation(source: Source, passes: str) -> tuple[Spec, ...]:
    """None for clean passes; else shifts by up to an eighth of the side, and flips of colour images.

    At 32 pixels these are the crops and flips of the field. Grey images are mostly characters, whose
    mirror images are other ones.
    """
    if passes == "clean":
        return ()
    crop = Spec("pad-crop", (("padding", source.shape[1] // 8),))
    return (crop, Spec("flip")) if source.shape[0] > 1 else (crop,)


def look(epoch: int, program: Program, cohort: Cohort, recorder: Recorder) -> None:
    """Show the student all of `train` once more, in evaluation mode and as it is."""
    images, labels = cohort.images[0], cohort.labels[0]
    for rows, batch in images.batches(exam_batch(images.images.shape, 1)):
        recorder.feed(epoch, rows.start, program.logits(batch)[0], labels[rows])


class Overheard:
    """A student in training whose logits, on the very views it learns from, are recorded.

    Each image is heard once an epoch, before the step that it takes part in, at no further cost.
    """

    students = 1

    def __init__(self, student: Solo, cohort: Cohort, recorder: Recorder, first: int) -> None:
        self.student, self.labels, self.recorder = student, cohort.labels[0], recorder
        self.batches = cohort.batches(first)
        self.heard: list[Tensor] = []
        # A recorded step is replayed without the model being called, which nobody could hear.
        student.captured.record = None
        student.model.register_forward_hook(self._hear)

    def step(self, images: Tensor, target: Target, rates: Sequence[float]) -> Tensor:
        """One optimiser step of the student, recorded."""
        self.heard.clear()
        losses = self.student.step(images, target, rates)
        batch = next(self.batches)
        rows = batch.rows[0]
        logits = torch.cat(self.heard).float()
        self.recorder.feed(batch.progress.epoch, rows.tolist(), logits, self.labels[rows])
        return losses

    def logits(self, images: Tensor) -> Tensor:
        """Those of the student."""
        return self.student.logits(images)

    def _hear(self, model: nn.Module, inputs: Any, logits: Tensor) -> None:
        # A large batch comes in parts, in order.
        self.heard.append(logits.detach())
