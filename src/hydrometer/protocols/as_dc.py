"""The evaluation DC's authors use for their own sets.

Zhao, Mopuri and Bilen, "Dataset Condensation with Gradient Matching" (ICLR 2021): ConvNet-3, SGD
0.01 with momentum 0.9 and weight decay 5e-4, a tenth of the rate after half of 300 epochs, batch 256,
no augmentation. Deviations: momentum survives the drop of the rate (theirs starts a new optimiser),
300 epochs run (theirs runs one more), and only the last step is tested.
"""

from __future__ import annotations

from hydrometer.protocols import HALF_WAY, SGD, Case, Settings, beside_random, recipe, release
from hydrometer.types import Arm


def arms(case: Case, settings: Settings) -> list[Arm]:
    """The subject, and random real images under the same settings."""
    return beside_random(case, settings, recipe(settings, case.source))


SETTINGS = Settings(
    epochs=300,
    batch=256,
    optimiser=SGD,
    schedule=HALF_WAY,
    rates=(0.01,),
    seeds=5,
    augment=(),
)

release(
    "as-dc@1",
    about="DC's own evaluation: 300 epochs of SGD 0.01, no augmentation, hard labels",
    settings=SETTINGS,
    metrics=("accuracy", "ior"),
    build=arms,
)
