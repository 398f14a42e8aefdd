"""The evaluation RDED's authors use for their own sets, at ten images per class.

Sun, Shi, Yu and Lin, "On the Diversity and Realism of Distilled Dataset" (RDED, CVPR 2024, arXiv
2312.03526), released code. `as-rded@1`, ImageNet-1K: ResNet-18, 300 epochs, batch 100, AdamW 0.001
(weight decay 0.01, none on vectors), cosine with zeta 2, shuffled quarters, crops from half, flip,
CutMix, KL at T = 20 without T squared. `as-rded-small@1`, CIFAR-10: batch 50, flip and CutMix alone.
`as-rded-quick@1`: that one reduced as `rd3-quick@1` is, 75 epochs.
Their batch is 20 (ImageNet-1K) or 10 (CIFAR-10) at one image per class, and 200 or 100 at fifty: set
`batch`. Changed: their student's batch norm sees every mixed batch twice (an extra forward pass); all
orders of the quarters, where their code swaps halves alone (`strips=true` of `patch-shuffle`).

Changed for all presets: one ResNet-18 teacher, trained on the source here, labels views online in
evaluation mode; only the last step is tested (theirs report the best test of several); several seeds
and intervals; random real images stand beside the set.
"""

from __future__ import annotations

import dataclasses

from hydrometer.protocols import Case, Settings, rd3, release
from hydrometer.types import Arm, Spec


def arms(case: Case, settings: Settings) -> list[Arm]:
    """Subject and random images, every view labelled by the teacher."""
    return rd3.arms(case, settings)


IMAGENET = dataclasses.replace(
    rd3.STANDARD,
    epochs=300,
    batch=100,
    schedule=rd3.SMOOTH,
    augment=(Spec("patch-shuffle", (("factor", 2),)), *rd3.STANDARD.augment),
)
CIFAR = dataclasses.replace(rd3.SMALL, epochs=300, batch=50, schedule=rd3.SMOOTH)

for name, about, settings in (
    (
        "as-rded@1",
        "RDED's own evaluation on ImageNet-1K: patch shuffle, batch 100",
        IMAGENET,
    ),
    (
        "as-rded-small@1",
        "RDED's own evaluation on CIFAR-10: flip and CutMix, batch 50",
        CIFAR,
    ),
    (
        "as-rded-quick@1",
        "as-rded-small for a laptop: field's student, 75 epochs",
        rd3.quick(CIFAR),
    ),
):
    release(name, about=about, settings=settings, metrics=("accuracy", "ior"), build=arms)
