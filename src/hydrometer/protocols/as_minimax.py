"""The evaluation Minimax diffusion's authors use for their own sets, up to ten images per class.

Gu, Vahidian, Kungurtsev, Wang, Jiang, You and Chen, "Efficient Dataset Distillation via Minimax
Diffusion" (CVPR 2024, arXiv 2311.15529), released code. `as-minimax@1`, ten classes of ImageNet: hard
labels, 2000 epochs, batch 64, SGD 0.01 (momentum 0.9, weight decay 5e-4), a fifth of the rate after two
and after five sixths, crops, flip, CutMix. Their epochs are 1500 up to fifty images per class and 1000
up to two hundred, two thirds of these on 100 classes: set `epochs`. Their numbers on ImageNet-1K come
from RDED's evaluation: `as-rded@1`.
Changed: ResNet-18 with instance norm for their ResNet-10 with average pooling; crops from 8 %, where
nothing is said; only the last step is tested (theirs reports the best test of several); several seeds
and intervals; random real images stand beside the set.
"""

from __future__ import annotations

from hydrometer.protocols import SGD, Case, Settings, beside_random, rd3, recipe, release
from hydrometer.protocols.rethink import FLIP
from hydrometer.types import Arm, Spec


def arms(case: Case, settings: Settings) -> list[Arm]:
    """Subject and random images with hard labels."""
    return beside_random(case, settings, recipe(settings, case.source))


release(
    "as-minimax@1",
    about="Minimax diffusion's own evaluation: hard labels, 2000 epochs of SGD, CutMix",
    settings=Settings(
        epochs=2000,
        batch=64,
        optimiser=SGD,
        schedule=Spec("multistep", (("drops", "2/3|5/6"), ("gamma", 0.2))),
        rates=(0.01,),
        seeds=3,
        augment=(Spec("random-resized-crop"), FLIP, rd3.CUTMIX),
        student=Spec("resnet", (("depth", 18), ("norm", "instance"))),
    ),
    metrics=("accuracy", "ior"),
    build=arms,
)
