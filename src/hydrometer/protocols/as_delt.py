"""The evaluation DELT's authors use for their own sets, at ten images per class.

Shen, Sherif, Yin and Shao, "DELT: A Simple Diversity-driven EarlyLate Training for Dataset
Distillation" (CVPR 2025, arXiv 2411.19946), released code. `as-delt@1`, ImageNet-1K: ResNet-18, 300
epochs, batch 100, AdamW 0.001 (weight decay 0.01, none on vectors), cosine with zeta 2, crops from a
quarter, flip, CutMix, KL at T = 20 without T squared. Their batch is 20 at one image per class, 200 at
fifty: set `batch`.
Changed: no RandAugment, which is not built here.

Changed for all presets: one ResNet-18 teacher, trained on the source here, labels views online in
evaluation mode; only the last step is tested (theirs report the best test of several); several seeds
and intervals; random real images stand beside the set.
"""

from __future__ import annotations

import dataclasses

from hydrometer.protocols import Case, Settings, rd3, release
from hydrometer.protocols.rethink import FLIP
from hydrometer.types import Arm, Spec


def arms(case: Case, settings: Settings) -> list[Arm]:
    """Subject and random images, every view labelled by the teacher."""
    return rd3.arms(case, settings)


IMAGENET = dataclasses.replace(
    rd3.STANDARD,
    epochs=300,
    batch=100,
    schedule=rd3.SMOOTH,
    augment=(Spec("random-resized-crop", (("scale_min", 0.25),)), FLIP, rd3.CUTMIX),
)

release(
    "as-delt@1",
    about="DELT's own evaluation on ImageNet-1K: crops from a quarter, zeta 2",
    settings=IMAGENET,
    metrics=("accuracy", "ior"),
    build=arms,
)
