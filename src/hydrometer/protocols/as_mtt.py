"""The evaluation that MTT's authors use for their own sets, and FTD's and TESLA's after them.

Cazenavette et al., "Dataset Distillation by Matching Training Trajectories" (CVPR 2022, arXiv
2203.11932): ConvNet-3 on ZCA-whitened images, hard labels, DSA, SGD at the student rate that was learned
with the set (momentum 0.9, weight decay 5e-4), a tenth of it after half of 1000 epochs, batch 256, five
students. Fifty images per class were learned without ZCA: `as-mtt@1{whiten=normalise}`. A set without a
learned rate gets 0.01; random images get the subject's rate. Soft labels, as TESLA's, are `as-datm`'s to
judge. Deviations: momentum survives the drop of the rate, and only the last step is tested, where the
authors report the best iterate on the test set.
"""

from __future__ import annotations

import dataclasses

from hydrometer.protocols import Case, Settings, as_dc, as_dsa, learned_rates, release
from hydrometer.types import Arm, Spec

SETTINGS = dataclasses.replace(as_dsa.SETTINGS, whiten=Spec("zca", (("eps", 0.1),)))


def arms(case: Case, settings: Settings) -> list[Arm]:
    """The subject, and random real images under the same settings, both at the learned rate."""
    at_rate = dataclasses.replace(settings, rates=learned_rates(case, settings))
    return as_dc.arms(case, at_rate)


release(
    "as-mtt@1",
    about="MTT's own evaluation: ZCA, DSA, the learned rate, 1000 epochs, hard labels",
    settings=SETTINGS,
    metrics=("accuracy", "ior"),
    build=arms,
)
