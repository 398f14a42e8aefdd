"""The evaluation DATM's authors use for their own sets, with its parts as separate arms.

Guo et al., "Towards Lossless Dataset Distillation via Difficulty-Aligned Trajectory Matching" (ICLR
2024): ConvNet-3 on ZCA-whitened images, DSA, soft cross entropy against the learned logits, SGD at the
learned student rate (momentum 0.9, weight decay 5e-4), a tenth of it after half of 1000 epochs, batch
256; reported with a weight average. The subject is tested with the last weights; `subject_average` with
an average of decay 0.9999, warmed up as (1 + t) / (10 + t). Only the last step is tested.
"""

from __future__ import annotations

import dataclasses
import math

from hydrometer.protocols import (
    DSA,
    HALF_WAY,
    SGD,
    SOFT,
    Case,
    Settings,
    random_sets,
    recipe,
    release,
    seeds_of,
)
from hydrometer.types import Arm, HydrometerError, Spec


def arms(case: Case, settings: Settings) -> list[Arm]:
    """Learned labels without and with weight averaging, hard labels, and random images, all in ZCA."""
    if case.subject.soft is None:
        raise HydrometerError("as-datm evaluates learned soft labels; this set has none")
    learned = case.subject.card.student_lr
    if learned is not None and not 0 < learned < math.inf:
        raise HydrometerError(f"the set's learned student rate is {learned}; it must be above 0")
    rates = settings.rates if learned is None else (learned,)
    hard, seeds = recipe(settings, case.source), seeds_of(settings)
    soft = dataclasses.replace(hard, labels="given", loss=settings.loss)
    averaged = dataclasses.replace(
        soft, average=0.9999 if settings.average is None else settings.average
    )
    soft, hard = (dataclasses.replace(r, average=None) for r in (soft, hard))
    return [
        Arm("subject", (case.subject,), soft, rates, seeds),
        Arm("subject_average", (case.subject,), averaged, rates, seeds),
        Arm("subject_hard", (case.subject,), hard, rates, seeds),
        Arm("random", random_sets(case, settings), hard, rates, seeds),
    ]


release(
    "as-datm@1",
    about="DATM's own evaluation: ZCA, DSA, learned labels and rate, 1000 epochs",
    settings=Settings(
        epochs=1000,
        batch=256,
        optimiser=SGD,
        schedule=HALF_WAY,
        rates=(0.01,),
        seeds=5,
        augment=DSA,
        whiten=Spec("zca", (("eps", 0.1),)),
        loss=SOFT,
    ),
    metrics=("accuracy",),
    build=arms,
)
