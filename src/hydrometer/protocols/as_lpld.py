"""The evaluation LPLD's authors use for their own sets.

Xiao and He, "Are Large-scale Soft Labels Necessary for Large-scale Dataset Distillation?" (LPLD,
NeurIPS 2024, arXiv 2410.15919), released code. `as-lpld@1`, ImageNet-1K: SRe2L's (see `as-sre2l@1`) with
batch 128. `as-lpld-tiny@1`, Tiny-ImageNet: SRe2L's there (see `as-sre2l-tiny@1`) with batch 64.
Their labels are stored and pruned 10 to 40 times, at random from those of all epochs: write a bank with
`hydrometer relabel --epochs` and evaluate with `--bank`, whose whole epochs come again in order.

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
TINY = dataclasses.replace(as_sre2l.TINY, batch=64)

for name, about, settings in (
    ("as-lpld@1", "LPLD's own evaluation, ImageNet-1K: SRe2L's, batch 128", IMAGENET),
    ("as-lpld-tiny@1", "LPLD's own evaluation on Tiny-ImageNet: SGD 0.2, batch 64", TINY),
):
    release(name, about=about, settings=settings, metrics=("accuracy", "ior"), build=arms)
