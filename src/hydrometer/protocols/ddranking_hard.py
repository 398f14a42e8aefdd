"""DD-Ranking's label-robust score for sets with hard labels, its measurement faults removed.

Li et al., "DD-Ranking" (arXiv 2505.13300); settings of its evaluation scripts. Kept: the arms, the
rate grid, SGD with a step schedule, DSA, epochs and five seeds. Changed: rates are chosen on `val`
with the same grid for both arms, one rate per arm by mean over seeds; only the last step is tested;
random draws are shared by all subjects; the full-data arm is trained once and kept.
"""

from __future__ import annotations

from hydrometer.protocols import (
    DSA,
    FULL,
    HALF_WAY,
    QUICK_FULL,
    QUICK_RATES,
    RATES,
    SGD,
    Case,
    Settings,
    beside_random,
    full_arm,
    recipe,
    release,
)
from hydrometer.types import Arm


def arms(case: Case, settings: Settings) -> list[Arm]:
    """Subject and random real images with hard labels, and the full data."""
    pair = beside_random(case, settings, recipe(settings, case.source))
    return [*pair, full_arm(case, settings)]


release(
    "ddranking-hard@1",
    about="label-robust score for hard labels (DD-Ranking, faults removed)",
    settings=Settings(
        epochs=1000,
        batch=256,
        optimiser=SGD,
        schedule=HALF_WAY,
        rates=RATES,
        seeds=5,
        augment=DSA,
        full=FULL,
    ),
    metrics=("accuracy", "hlr", "ior", "lrs"),
    build=arms,
)
release(
    "ddranking-hard-quick@1",
    about="ddranking-hard for a laptop: 100 epochs, 3 rates, full data for 4 epochs or 300 steps",
    settings=Settings(
        epochs=100,
        batch=256,
        optimiser=SGD,
        schedule=HALF_WAY,
        rates=QUICK_RATES,
        seeds=5,
        augment=DSA,
        full=QUICK_FULL,
    ),
    metrics=("accuracy", "hlr", "ior", "lrs"),
    build=arms,
)
