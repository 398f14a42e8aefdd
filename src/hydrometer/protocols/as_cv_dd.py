"""The evaluation CV-DD's authors use for their own sets, and for SRe2L++, with one teacher.

Cui, Li, Ma, Bi, Luo and Shen, "Dataset Distillation via Committee Voting" (CV-DD, arXiv
2501.07575), released code. `as-cv-dd@1`, ImageNet-1K at ten images per class: ResNet-18, 300 epochs,
batch 16, AdamW 0.001 (weight decay 0.01, none on vectors), cosine with zeta 2, crops from 8 %, flip,
CutMix, KL at T = 20 without T squared. Its teachers label in training mode, on purpose (batch-specific
soft labels): their batch norms take the statistics of the mixed batch. `as-cv-dd-small@1`, CIFAR: the
same; their zeta is 1 or 2 by data set, size and student: set `schedule`.
Changed: one ResNet-18 instead of five weighted networks, which is their SRe2L++; gradients are not
accumulated over halves, so that batch norms see 16 images where theirs see 8.

Changed for all presets: the teacher is trained on the source here and labels views online; only the last
step is tested (theirs report the best test of several); several seeds and intervals; random real images
stand beside the set.
"""

from __future__ import annotations

import dataclasses

from hydrometer.protocols import Case, Settings, as_sre2l, rd3, release
from hydrometer.types import Arm


def arms(case: Case, settings: Settings) -> list[Arm]:
    """Subject and random images, every view labelled by a teacher that normalises by the batch."""
    return [
        dataclasses.replace(arm, recipe=dataclasses.replace(arm.recipe, labels="teacher-batch"))
        for arm in rd3.arms(case, settings)
    ]


IMAGENET = dataclasses.replace(as_sre2l.IMAGENET, batch=16, schedule=rd3.SMOOTH)
CIFAR = dataclasses.replace(IMAGENET, teacher=rd3.SMALL.teacher)

for name, about, settings in (
    ("as-cv-dd@1", "CV-DD's own evaluation, ImageNet-1K: batch 16, batch-norm labels", IMAGENET),
    ("as-cv-dd-small@1", "CV-DD's own evaluation on CIFAR: batch 16, batch-norm labels", CIFAR),
):
    release(name, about=about, settings=settings, metrics=("accuracy", "ior"), build=arms)
