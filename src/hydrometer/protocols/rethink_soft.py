"""The soft-label standard of the benchmark of dataset compression, its package's faults repaired.

Xiao, Liu, He and Wang, "Rethinking Large-scale Dataset Compression", arXiv 2502.06434: the hard
standard (see `rethink-hard@1`) with CutMix (alpha 1, one box per batch) and, as the label of every view,
the logits of an online ResNet-18 in evaluation mode on the mixed batch; KL at T = 20 without T squared.
Soft labels stored with a set are not used: only the images vary. Changed: the teacher is trained on the
source here, as torchvision's published one was: 90 epochs of SGD 0.1, a tenth of it every 30, batch 256.

`-small` and `-quick` are for 28 to 64 pixels and for a laptop: teacher and student are the field's for
the size, the teacher that of `ddranking-soft@1` and its quick version. `-steps` and `-compute` as for
hard labels.
"""

from __future__ import annotations

import dataclasses

from hydrometer.protocols import (
    DSA,
    FULL,
    QUICK_FULL,
    Case,
    Full,
    Settings,
    recipe,
    release,
)
from hydrometer.protocols.rethink import FLIP, contestants, equal_compute, equal_steps
from hydrometer.protocols.rethink_hard import QUICK as HARD_QUICK
from hydrometer.protocols.rethink_hard import SMALL as HARD_SMALL
from hydrometer.protocols.rethink_hard import STANDARD as HARD_STANDARD
from hydrometer.types import Arm, Spec


def arms(case: Case, settings: Settings) -> list[Arm]:
    """Subject and random images, labelled by the teacher view by view, for the same epochs."""
    base = recipe(
        settings, case.source, labels="teacher", loss=settings.loss, teacher=case.teachers
    )
    return contestants(case, settings, base)


def arms_in_steps(case: Case, settings: Settings) -> list[Arm]:
    """The same for the same steps."""
    return equal_steps(arms(case, settings), settings)


def arms_in_compute(case: Case, settings: Settings) -> list[Arm]:
    """The same for the same number of images shown."""
    return equal_compute(arms(case, settings), settings)


def softened(hard: Settings, teacher: Full) -> Settings:
    """Hard-label settings with CutMix, a teacher, and the loss against it."""
    cutmix = Spec("cutmix", (("alpha", 1.0), ("per_batch", True)))
    return dataclasses.replace(
        hard,
        augment=(*hard.augment, cutmix),
        loss=Spec("kl", (("temperature", 20.0),)),
        teacher=teacher,
    )


TORCHVISION = Full(
    epochs=90,
    batch=256,
    lr=0.1,
    optimiser=Spec("sgd", (("momentum", 0.9), ("weight_decay", 1e-4))),
    schedule=Spec("step", (("every", 1 / 3), ("gamma", 0.1))),
    augment=(Spec("random-resized-crop"), FLIP),
    seeds=1,
)
STANDARD = softened(HARD_STANDARD, TORCHVISION)
SMALL = softened(HARD_SMALL, dataclasses.replace(FULL, augment=DSA, seeds=1))
QUICK = softened(HARD_QUICK, dataclasses.replace(QUICK_FULL, seeds=1))

for suffix, about, settings in (
    (
        "",
        "soft-label standard of arXiv 2502.06434: ResNet-18, online teacher, 300 epochs",
        STANDARD,
    ),
    ("-small", "soft-label standard of arXiv 2502.06434 for 28 to 64 pixels", SMALL),
):
    for held, cost, build in (
        ("", "equal epochs", arms),
        ("-steps", "equal steps", arms_in_steps),
        ("-compute", "equal images shown", arms_in_compute),
    ):
        release(
            f"rethink-soft{suffix}{held}@1",
            about=f"{about}; {cost}",
            settings=settings,
            metrics=("accuracy", "ior"),
            build=build,
        )
release(
    "rethink-soft-quick@1",
    about="rethink-soft-small for a laptop: 100 epochs, closer crops, no flip, teacher for 4 epochs",
    settings=QUICK,
    metrics=("accuracy", "ior"),
    build=arms,
)
