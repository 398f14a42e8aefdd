"""The evaluation DWA's authors use for their own sets.

Du, Zhang, Hu, Huang and Zhou, "Diversity-Driven Synthesis" (DWA, NeurIPS 2024, arXiv 2409.17612),
released code. `as-dwa@1`, ImageNet-1K: SRe2L's (see `as-sre2l@1`) with batch 128 and online labels.
`as-dwa-small@1`, CIFAR: the settings of `as-sre2l-small@1`; their teacher stays in training mode by the
same omission, which is not kept. `as-dwa-tiny@1`, Tiny-ImageNet: SRe2L's there with 200 epochs, batch 64
and CutMix. `as-dwa-quick@1`: reduced as `as-sre2l-quick@1` is.

Changed for all presets: one ResNet-18 teacher, trained on the source here, labels views online in
evaluation mode; only the last step is tested (theirs report the best test of several); several seeds
and intervals; random real images stand beside the set.
"""

from __future__ import annotations

import dataclasses

from hydrometer.protocols import Case, Settings, as_sre2l, rd3, release
from hydrometer.types import Arm


def arms(case: Case, settings: Settings) -> list[Arm]:
    """Subject and random images, every view labelled by the teacher."""
    return rd3.arms(case, settings)


IMAGENET = dataclasses.replace(as_sre2l.IMAGENET, batch=128)
CIFAR = as_sre2l.CIFAR
TINY = dataclasses.replace(as_sre2l.TINY, epochs=200, batch=64, augment=as_sre2l.IMAGENET.augment)

for name, about, settings in (
    ("as-dwa@1", "DWA's own evaluation on ImageNet-1K: SRe2L's with batch 128", IMAGENET),
    ("as-dwa-small@1", "DWA's own evaluation on CIFAR: SRe2L's", CIFAR),
    ("as-dwa-tiny@1", "DWA's own evaluation on Tiny-ImageNet: SGD 0.2, CutMix, T squared", TINY),
    ("as-dwa-quick@1", "as-dwa-small for a laptop: SRe2L's", as_sre2l.QUICK),
):
    release(name, about=about, settings=settings, metrics=("accuracy", "ior"), build=arms)
