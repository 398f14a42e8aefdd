"""The evaluation DATM's authors use for their own sets, with its parts as separate arms.

Guo et al., "Towards Lossless Dataset Distillation via Difficulty-Aligned Trajectory Matching" (ICLR
2024): ConvNet-3 on ZCA-whitened images, DSA, soft cross entropy against the learned logits, SGD at the
learned student rate (momentum 0.9, weight decay 5e-4), a tenth of it after half of 1000 epochs, batch
128 (version 1 took 256, as MTT does, which up to 128 images is the same). What is published for the
set of ten images per class is of averaged weights. The subject is tested with its last ones,
`subject_average` with an average of decay 0.9999, warmed up as (1 + t) / (10 + t). Only the last step
is tested.
"""

from __future__ import annotations

import dataclasses

from hydrometer.protocols import (
    SOFT,
    Case,
    Settings,
    as_mtt,
    learned_rates,
    random_sets,
    recipe,
    release,
    seeds_of,
)
from hydrometer.types import Arm, HydrometerError


def arms(case: Case, settings: Settings) -> list[Arm]:
    """Learned labels without and with weight averaging, hard labels, and random images, all in ZCA."""
    if case.subject.soft is None:
        raise HydrometerError("as-datm evaluates learned soft labels; this set has none")
    rates = learned_rates(case, settings)
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


for _version, _batch in ((1, 256), (2, 128)):
    release(
        f"as-datm@{_version}",
        about=f"DATM's own evaluation: ZCA, DSA, learned labels and rate, 1000 epochs, batch {_batch}",
        settings=dataclasses.replace(as_mtt.SETTINGS, batch=_batch, loss=SOFT),
        metrics=("accuracy",),
        build=arms,
    )
