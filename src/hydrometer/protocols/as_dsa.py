"""The evaluation that DSA's and DM's authors use for their own sets.

Zhao and Bilen, "Dataset Condensation with Differentiable Siamese Augmentation" (ICML 2021, arXiv
2102.08259) and "Dataset Condensation with Distribution Matching" (WACV 2023, arXiv 2110.04181):
ConvNet-3, hard labels, DSA, SGD 0.01 with momentum 0.9 and weight decay 5e-4, a tenth of the rate after
half of 1000 epochs, batch 256, five students. Deviations as in `as-dc`; only the last step is tested,
where the authors report the best of several iterates on the test set.
"""

from __future__ import annotations

import dataclasses

from hydrometer.protocols import DSA, as_dc, release

SETTINGS = dataclasses.replace(as_dc.SETTINGS, epochs=1000, augment=DSA)

release(
    "as-dsa@1",
    about="DSA's and DM's own evaluation: 1000 epochs of SGD 0.01, DSA, hard labels",
    settings=SETTINGS,
    metrics=("accuracy", "ior"),
    build=as_dc.arms,
)
