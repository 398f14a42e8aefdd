"""The evaluation EDC's authors use for their own sets.

Shao, Zhou, Chen and Shen, "Elucidating the Design Space of Dataset Condensation" (EDC, NeurIPS 2024,
arXiv 2404.13733), released code. `as-edc@1`, ImageNet-1K: ResNet-18, 300 epochs, batch 100, AdamW
0.001 (weight decay 0.01, none on vectors), cosine with zeta 2, shuffled quarters, crops from half,
flip, CutMix, squared distance of logits plus 0.025 of the true label's cross entropy, an average of
weights with decay 0.99 tested. `as-edc-small@1`, CIFAR-100 as in the paper: 1000 epochs, batch 50, no
shuffle. `as-edc-cifar10@1`: that with batch 25, crops from 8 %, half the rate after 0.8, 0.9 and 0.95
of the epochs. `as-edc-tiny@1`, Tiny-ImageNet: 300 epochs, batch 100. `as-edc-quick@1`:
`as-edc-small@1` reduced as `rd3-quick@1` is, 250 epochs. Changed: one teacher instead of four to
eight, fully trained where their small ones see about ten epochs; no RandAugment on small images, which
is not built here; quarters in all orders, as in `as-rded`. Expect less than their numbers: in their
own ablation the teachers alone are worth up to 17 points on CIFAR-10.

Changed for all presets: one ResNet-18 teacher, trained on the source here, labels views online in
evaluation mode; only the last step is tested (theirs report the best test of several); several seeds
and intervals; random real images stand beside the set.
"""

from __future__ import annotations

import dataclasses

from hydrometer.protocols import Case, Settings, as_rded, rd3, release
from hydrometer.types import Arm, Spec


def arms(case: Case, settings: Settings) -> list[Arm]:
    """Subject and random images, every view labelled by the teacher."""
    return rd3.arms(case, settings)


IMAGENET = dataclasses.replace(
    as_rded.IMAGENET, loss=Spec("mse-gt", (("gamma", 0.025),)), average=0.99
)
CIFAR = dataclasses.replace(
    IMAGENET,
    epochs=1000,
    batch=50,
    augment=rd3.STANDARD.augment,
    teacher=rd3.SMALL.teacher,
)
CIFAR10 = dataclasses.replace(
    CIFAR,
    batch=25,
    schedule=Spec("multistep", (("drops", "0.8|0.9|0.95"), ("gamma", 0.5))),
    augment=(Spec("random-resized-crop"), *CIFAR.augment[1:]),
)
TINY = dataclasses.replace(CIFAR, epochs=300, batch=100)

for name, about, settings in (
    (
        "as-edc@1",
        "EDC's own evaluation on ImageNet-1K: logit distance, weight average",
        IMAGENET,
    ),
    (
        "as-edc-small@1",
        "EDC's own evaluation on CIFAR-100: logit distance, 1000 epochs",
        CIFAR,
    ),
    ("as-edc-cifar10@1", "EDC's own evaluation on CIFAR-10: the rate halved in steps", CIFAR10),
    ("as-edc-tiny@1", "EDC's own evaluation on Tiny-ImageNet: 300 epochs, batch 100", TINY),
    (
        "as-edc-quick@1",
        "as-edc-small for a laptop: field's student, 250 epochs",
        rd3.quick(CIFAR),
    ),
):
    release(name, about=about, settings=settings, metrics=("accuracy", "ior"), build=arms)
