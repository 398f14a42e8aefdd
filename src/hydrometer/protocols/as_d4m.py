"""The evaluation D4M's authors use for their own sets.

Su, Hou, Gao, Tian and Tang, "D4M: Dataset Distillation via Disentangled Diffusion Model" (CVPR 2024,
arXiv 2407.15138), released code. `as-d4m@1`, ImageNet-1K: SRe2L's validator with its settings, see
`as-sre2l@1`. What they used for small images is not released.

Changed for all presets: one ResNet-18 teacher, trained on the source here, labels views online in
evaluation mode; only the last step is tested (theirs report the best test of several); several seeds
and intervals; random real images stand beside the set.
"""

from __future__ import annotations

from hydrometer.protocols import Case, Settings, as_sre2l, rd3, release
from hydrometer.types import Arm


def arms(case: Case, settings: Settings) -> list[Arm]:
    """Subject and random images, every view labelled by the teacher."""
    return rd3.arms(case, settings)


release(
    "as-d4m@1",
    about="D4M's own evaluation, ImageNet-1K: SRe2L's, batch 1024",
    settings=as_sre2l.IMAGENET,
    metrics=("accuracy", "ior"),
    build=arms,
)
