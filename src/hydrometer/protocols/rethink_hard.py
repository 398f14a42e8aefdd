"""The hard-label standard of the benchmark of dataset compression, its package's faults repaired.

Xiao, Liu, He and Wang, "Rethinking Large-scale Dataset Compression", arXiv 2502.06434: ResNet-18 from
scratch, 300 epochs, batch 128, AdamW 0.001 (weight decay 0.01, none on vectors), cosine to zero,
crops of 8 to 100 % of the area and flips, cross entropy. Changed: several seeds and intervals, the
last step tested rather than the best, images at their own size.

`augment` holds PCA's third switch: a `tile-crop` without a factor stays inside one tile of the
composites of method `pca`, and is a plain random resized crop of any other image. The control without
it is `augment=random-resized-crop|flip`. Composites meet random composites; see the arm `random_whole`
for plain random images.

Three ways to hold cost equal between sets of any size: epochs (the paper's, where a larger set costs
more); `-steps`, the optimiser steps that ten images per class take in `epochs`; and `-compute`, the
images shown to the student in these.

`-small` is for 28 to 64 pixels: the field's student for the size, and batch 25, because the
standard's 128 would make one step an epoch of a hundred images. Its crops are the standard's: on
CIFAR-10 at ten images per class, crops from 8 % did no worse on `val` than from 50 % (ConvNet-3
of width 32, two seeds: 0.395 and 0.389 for composites of random images, 0.309 and 0.297 for plain ones).
`-quick` is for a laptop and for digits: 100 epochs, no flips, crops from 50 %: 8 % is 2 pixels.
"""

from __future__ import annotations

import dataclasses

from hydrometer.protocols import Case, Settings, recipe, release
from hydrometer.protocols.rethink import ADAMW, FLIP, contestants, equal_compute, equal_steps
from hydrometer.types import Arm, Spec


def arms(case: Case, settings: Settings) -> list[Arm]:
    """Subject and random images with hard labels, for the same epochs."""
    return contestants(case, settings, recipe(settings, case.source))


def arms_in_steps(case: Case, settings: Settings) -> list[Arm]:
    """The same for the same steps."""
    return equal_steps(arms(case, settings), settings)


def arms_in_compute(case: Case, settings: Settings) -> list[Arm]:
    """The same for the same number of images shown."""
    return equal_compute(arms(case, settings), settings)


STANDARD = Settings(
    epochs=300,
    batch=128,
    optimiser=ADAMW,
    schedule=Spec("cosine"),
    rates=(0.001,),
    seeds=5,
    augment=(Spec("tile-crop"), FLIP),
    student=Spec("resnet", (("depth", 18), ("norm", "batch"))),
)
_CLOSE = Spec("tile-crop", (("scale_min", 0.5),))
SMALL = dataclasses.replace(STANDARD, batch=25, student=None)
QUICK = dataclasses.replace(SMALL, epochs=100, augment=(_CLOSE,))

for suffix, about, settings in (
    ("", "hard-label standard of arXiv 2502.06434: ResNet-18, 300 epochs", STANDARD),
    ("-small", "hard-label standard of arXiv 2502.06434 for 28 to 64 pixels", SMALL),
):
    for held, cost, build in (
        ("", "equal epochs", arms),
        ("-steps", "equal steps", arms_in_steps),
        ("-compute", "equal images shown", arms_in_compute),
    ):
        release(
            f"rethink-hard{suffix}{held}@1",
            about=f"{about}; {cost}",
            settings=settings,
            metrics=("accuracy", "ior"),
            build=build,
        )
release(
    "rethink-hard-quick@1",
    about="rethink-hard-small for a laptop: 100 epochs, closer crops, no flip",
    settings=QUICK,
    metrics=("accuracy", "ior"),
    build=arms,
)
