"""The evaluation G-VBSM's authors use for their own sets.

Shao, Yin, Zhou, Zhang and Shen, "Generalized Large-Scale Data Condensation via Various Backbone and
Statistical Matching" (CVPR 2024, arXiv 2311.17950), released code. `as-gvbsm@1`, ImageNet-1K: ResNet-18,
300 epochs, batch 1024, AdamW 0.001 (weight decay 0.01, none on vectors), cosine, crops from 8 %, flip,
CutMix, squared distance of logits plus 0.1 of the true label's cross entropy. `as-gvbsm-small@1`,
CIFAR-10: 1000 epochs, batch 100, no weight decay, gamma 0.15. `as-gvbsm-tiny@1`, Tiny-ImageNet:
100 epochs, batch 100, SGD 0.1 (weight decay 5e-4, momentum 0.9), gamma 0.1, cosine assumed; theirs
accumulates two halves. `as-gvbsm-quick@1`: `as-gvbsm-small@1` reduced as `rd3-quick@1` is, 250 epochs.
Changed: one teacher instead of four or five, whose logits they average (on ImageNet-1K after bringing
them to one norm); the gain of several teachers is therefore missing here.

Changed for all presets: one ResNet-18 teacher, trained on the source here, labels views online in
evaluation mode; only the last step is tested (theirs report the best test of several); several seeds
and intervals; random real images stand beside the set.
"""

from __future__ import annotations

import dataclasses

from hydrometer.protocols import SGD, Case, Settings, as_sre2l, rd3, release
from hydrometer.types import Arm, Spec


def arms(case: Case, settings: Settings) -> list[Arm]:
    """Subject and random images, every view labelled by the teacher."""
    return rd3.arms(case, settings)


IMAGENET = dataclasses.replace(as_sre2l.IMAGENET, loss=Spec("mse-gt", (("gamma", 0.1),)))
CIFAR = dataclasses.replace(
    rd3.SMALL,
    epochs=1000,
    batch=100,
    optimiser=Spec("adamw", (("weight_decay", 0.0),)),
    augment=IMAGENET.augment,
    loss=Spec("mse-gt", (("gamma", 0.15),)),
)
TINY = dataclasses.replace(CIFAR, epochs=100, optimiser=SGD, rates=(0.1,), loss=IMAGENET.loss)

for name, about, settings in (
    ("as-gvbsm@1", "G-VBSM's own evaluation on ImageNet-1K: logit distance, one teacher", IMAGENET),
    (
        "as-gvbsm-small@1",
        "G-VBSM's own evaluation on CIFAR-10: logit distance, 1000 epochs",
        CIFAR,
    ),
    ("as-gvbsm-tiny@1", "G-VBSM's own evaluation on Tiny-ImageNet: SGD 0.1, 100 epochs", TINY),
    (
        "as-gvbsm-quick@1",
        "as-gvbsm-small for a laptop: field's student, 250 epochs",
        rd3.quick(CIFAR),
    ),
):
    release(name, about=about, settings=settings, metrics=("accuracy", "ior"), build=arms)
