"""What a cohort's steps and exams take, from its first steps."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence

import torch

from hydrometer.engine.data import Lens
from hydrometer.engine.loop import Alone, Cohort, Job, exam_batch
from hydrometer.engine.program import Program, Solo
from hydrometer.labels import Teachers
from hydrometer.labels.shards import LabelBank
from hydrometer.types import Source


def measure(
    jobs: Sequence[Job],
    source: Source,
    lens: Lens,
    teachers: Teachers = (),
    bank: LabelBank | None = None,
    alone: Alone = Solo,
    *,
    most: int = 20,
) -> tuple[float, float]:
    """Seconds of a training step and of both exams of a cohort, from its first steps.

    The first step, which allocates, does not count, nor a round of them on an accelerator, which records
    each kind of batch; then so many are taken as fit in a second, two at least. Batches, augmentation,
    labels and the short last batch of an epoch have their part in it.
    """
    cohort = Cohort(jobs, source, lens, teachers, bank, alone)
    program, none = cohort.program(), [0.0] * len(jobs)
    batches = list(itertools.islice(cohort.batches(), most))
    draws = cohort.draws(0, len(batches))

    def step(i: int) -> None:
        at = i % len(batches)
        program.step(*cohort.view(batches[at], draws[:, at]), none)
        _settle(lens.device)

    warm, counted, taken = 1 if lens.device.type == "cpu" else len(batches), 0, 0.0
    for i in range(warm):
        step(i)
    begun = time.perf_counter()
    for i in range(max(2, len(batches) - 1)):
        step(warm + i)
        taken, counted = time.perf_counter() - begun, i + 1
        if counted >= 2 and taken > 1:
            break
    return taken / counted, _forward(program, source, lens) * (len(source.val) + len(source.test))


def _forward(program: Program, source: Source, lens: Lens) -> float:
    """Seconds to answer one image of an exam, for all students, from about a second of answers."""
    per_image, size = 0.0, 16
    for _ in range(3):
        images = source.train.images[:size]
        start = time.perf_counter()
        program.logits(lens(images))
        _settle(lens.device)
        per_image = (time.perf_counter() - start) / max(1, len(images))
        size = min(
            exam_batch(source.shape, program.students), max(16, int(1 / max(per_image, 1e-9)))
        )
    return per_image


def _settle(device: torch.device) -> None:
    """Wait until an accelerator has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
