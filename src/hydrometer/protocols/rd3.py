"""Rectified Decoupled Dataset Distillation (RD3): one post-evaluation for all decoupled methods.

Zhong, Sun, Gu, Zhu, Chen and Wang, arXiv 2509.19743 (ICLR 2026); its code is not available, and the
paper's text was not at hand beyond its opening: values are from summaries and public reviews.

Confirmed, by a review or by several summaries:
  teacher     one ResNet-18 for every set, labelling every view of every epoch; no hybrid labels
  epochs      400
  batch       50, for the ResNet-18 student
  rate        0.001, under a cosine
  loss        KL of teacher and student, nothing else
  augment     RDED's: random resized crop, flip, CutMix
Assumed here:
  optimiser   AdamW, weight decay 0.01, none on vectors (summaries say "Adam")
  zeta        the cosine falls to 0 for ResNet-18 (zeta 1) and to half the rate for others (zeta 2)
  loss        temperature 20, without T squared
  augment     crops from half of the area, no patch shuffle, one CutMix box a batch with alpha 1
  labels      teacher in evaluation mode, asked online (a label bank stores the same labels)
  batch       50 for every student and set size
  tested      the last step, no weight average, nothing chosen on test
Changed: the teacher is trained on the source here, as torchvision's published one was (90 epochs of SGD
0.1, a tenth of it every 30, batch 256); soft labels stored with a set are not used; random real images
stand beside the set.

`rd3-cross@1` trains the same sets with six more students, each an arm, on labels of the same
ResNet-18: ResNet-50 and -101, MobileNet-V2, EfficientNet-B0, Swin-T and ViT-B, with zeta 2. They are
torchvision's, so it takes images of 1 or 3 channels, of 32 pixels and up. Under other names the
teacher is of the student's kind: with another `student` also say `teacher.student=resnet-18` to keep
it.
`rd3-small@1` is for 64 pixels and below, where RDED's crops are the whole image: flip and CutMix,
zeta 1; the teacher has 200 epochs of SGD 0.01 with batch 512, DSA, a tenth of the rate after half of
them.
`rd3-quick@1` is for a laptop and for digits: the field's student and teacher for the size, 100
epochs at rate 0.003 with zeta 2 (the student is no ResNet-18, and has a quarter of the steps), CutMix
without flip, a teacher of 4 epochs or 300 steps at rate 0.03. The authors' own evaluations have quick
versions too, reduced in the same way (see `quick`).
"""

from __future__ import annotations

import dataclasses

from hydrometer import students
from hydrometer.protocols import (
    DSA,
    FULL,
    QUICK_FULL,
    Case,
    Settings,
    beside_random,
    recipe,
    release,
)
from hydrometer.protocols.rethink import ADAMW, FLIP
from hydrometer.protocols.rethink_soft import TORCHVISION
from hydrometer.types import Arm, Spec

CUTMIX = Spec("cutmix", (("alpha", 1.0), ("per_batch", True)))
RESNET = Spec("resnet", (("depth", 18), ("norm", "batch")))
KL = Spec("kl", (("temperature", 20.0),))
SMOOTH = Spec("cosine", (("zeta", 2.0),))
CROSS = (
    "torchvision:resnet50",
    "torchvision:resnet101",
    "torchvision:mobilenet_v2",
    "torchvision:efficientnet_b0",
    "torchvision:swin_t",
    "torchvision:vit_b_16",
)


def arms(case: Case, settings: Settings) -> list[Arm]:
    """Subject and random images, every view labelled by the one teacher."""
    base = recipe(
        settings, case.source, labels="teacher", loss=settings.loss, teacher=case.teachers
    )
    return beside_random(case, settings, base)


def cross_arms(case: Case, settings: Settings) -> list[Arm]:
    """The same, then the subject with every other student, smoothed."""
    known = arms(case, settings)
    others = [
        dataclasses.replace(
            known[0],
            name=f"subject_{name.rpartition(':')[2].replace('_', '-')}",
            recipe=dataclasses.replace(
                known[0].recipe, student=students.spec(name), schedule=SMOOTH, precision="float32"
            ),
        )
        for name in CROSS
    ]
    return known + others


STANDARD = Settings(
    epochs=400,
    batch=50,
    optimiser=ADAMW,
    schedule=Spec("cosine"),
    rates=(0.001,),
    seeds=3,
    augment=(Spec("random-resized-crop", (("scale_min", 0.5),)), FLIP, CUTMIX),
    student=RESNET,
    loss=KL,
    teacher=TORCHVISION,
)
SMALL = dataclasses.replace(
    STANDARD, augment=(FLIP, CUTMIX), teacher=dataclasses.replace(FULL, augment=DSA, seeds=1)
)
QUICK = dataclasses.replace(
    SMALL,
    epochs=100,
    schedule=SMOOTH,
    rates=(0.003,),
    student=None,
    augment=(CUTMIX,),
    teacher=dataclasses.replace(QUICK_FULL, seeds=1),
)


def quick(settings: Settings, **changes: object) -> Settings:
    """A preset for a laptop and for digits, reduced as `rd3-quick@1` is.

    A quarter of the epochs at rate 0.003, the field's student and teacher for the size, the teacher
    trained briefly, no flips; batch, schedule, loss, crops, mixing and averaging stay.
    """
    return dataclasses.replace(
        settings,
        epochs=settings.epochs // 4,
        rates=QUICK.rates,
        student=None,
        augment=tuple(spec for spec in settings.augment if spec != FLIP),
        teacher=QUICK.teacher,
        **changes,  # type: ignore[arg-type]
    )


for name, about, settings, build in (
    ("rd3@1", "one post-evaluation for decoupled sets (RD3): 400 epochs, KL", STANDARD, arms),
    ("rd3-cross@1", "rd3 with six more students on the same labels", STANDARD, cross_arms),
    ("rd3-small@1", "rd3 for 64 pixels and below: flip and CutMix alone", SMALL, arms),
    ("rd3-quick@1", "rd3-small for a laptop: field's student, 100 epochs, no flip", QUICK, arms),
):
    release(name, about=about, settings=settings, metrics=("accuracy", "ior"), build=build)
