"""The evaluation CDA's authors use for their own sets.

Yin and Shen, "Dataset Distillation via Curriculum Data Synthesis in Large Data Era" (TMLR 2024, arXiv
2311.18838): SRe2L's (see `as-sre2l@1`) with batch 128. They release no validation script: these are the
values of their appendix. `as-cda-quick@1`: reduced as `rd3-quick@1` is, 75 epochs.

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

for name, about, settings in (
    ("as-cda@1", "CDA's own evaluation, ImageNet-1K: SRe2L's, batch 128", IMAGENET),
    ("as-cda-quick@1", "as-cda for a laptop: field's student, 75 epochs", rd3.quick(IMAGENET)),
):
    release(name, about=about, settings=settings, metrics=("accuracy", "ior"), build=arms)
