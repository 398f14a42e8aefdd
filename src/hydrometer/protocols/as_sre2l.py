"""The evaluation SRe2L's authors use for their own sets.

Yin, Xing and Shen, "Squeeze, Recover and Relabel" (NeurIPS 2023, arXiv 2306.13092), released code.
`as-sre2l@1`, ImageNet-1K: ResNet-18, 300 epochs, batch 1024, AdamW 0.001 (weight decay 0.01, none on
vectors), cosine, crops from 8 %, flip, CutMix, KL at T = 20 without T squared. Their gradients are
accumulated over two halves, so that their batch norm sees 512; ours sees the batch.
`as-sre2l-small@1`, CIFAR-100: 400 epochs, batch 128, weight decay on all weights, padded crops, flip,
mixup 0.8, KL at T = 30. Their script leaves the teacher in training mode, so that labels depend on the
batch and its statistics drift; that fault is not kept.
`as-sre2l-tiny@1`, Tiny-ImageNet, CDA's there as well: 100 epochs, batch 256, SGD 0.2 (weight decay 1e-4,
momentum 0.9 assumed), cosine after 5 epochs of warm-up (from 1 %, assumed), crops from 8 %, flip, no
mixing, KL at T = 20 times T squared; the teacher trained for 50 epochs.
`as-sre2l-quick@1`: `as-sre2l-small@1` reduced as `rd3-quick@1` is, crops padded by an eighth of digits.

Changed for all presets: one ResNet-18 teacher, trained on the source here, labels views online in
evaluation mode; only the last step is tested (theirs report the best test of several); several seeds
and intervals; random real images stand beside the set.
"""

from __future__ import annotations

import dataclasses

from hydrometer.protocols import DSA, FULL, Case, Settings, rd3, release
from hydrometer.protocols.rethink import FLIP
from hydrometer.types import Arm, Spec


def arms(case: Case, settings: Settings) -> list[Arm]:
    """Subject and random images, every view labelled by the teacher."""
    return rd3.arms(case, settings)


IMAGENET = dataclasses.replace(
    rd3.STANDARD, epochs=300, batch=1024, augment=(Spec("random-resized-crop"), FLIP, rd3.CUTMIX)
)
CIFAR = dataclasses.replace(
    rd3.SMALL,
    epochs=400,
    batch=128,
    optimiser=Spec("adamw", (("weight_decay", 0.01),)),
    augment=(
        Spec("pad-crop", (("padding", 4),)),
        FLIP,
        Spec("mixup", (("alpha", 0.8), ("per_batch", True))),
    ),
    loss=Spec("kl", (("temperature", 30.0),)),
)
TINY = dataclasses.replace(
    rd3.SMALL,
    epochs=100,
    batch=256,
    optimiser=Spec("sgd", (("momentum", 0.9), ("weight_decay", 1e-4))),
    schedule=Spec("cosine", (("warmup", 5),)),
    rates=(0.2,),
    augment=IMAGENET.augment[:2],
    loss=Spec("kl", (("squared", True), ("temperature", 20.0))),
    teacher=dataclasses.replace(FULL, epochs=50, augment=DSA, seeds=1),
)
QUICK = dataclasses.replace(
    rd3.quick(CIFAR), augment=(Spec("pad-crop", (("padding", 1),)), CIFAR.augment[-1])
)

for name, about, settings in (
    ("as-sre2l@1", "SRe2L's own evaluation on ImageNet-1K: batch 1024, 300 epochs", IMAGENET),
    ("as-sre2l-small@1", "SRe2L's own evaluation on CIFAR: mixup, T = 30, 400 epochs", CIFAR),
    ("as-sre2l-tiny@1", "SRe2L's own evaluation on Tiny-ImageNet: SGD 0.2, T squared", TINY),
    ("as-sre2l-quick@1", "as-sre2l-small for a laptop: field's student, 100 epochs", QUICK),
):
    release(name, about=about, settings=settings, metrics=("accuracy", "ior"), build=arms)
