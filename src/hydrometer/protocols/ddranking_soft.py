"""DD-Ranking's label-robust score for sets with soft labels, its measurement faults removed.

Li et al., "DD-Ranking" (arXiv 2505.13300). Modes S and M are one rule here: a set that stores soft
labels is trained with them, any other is labelled by the teacher at every step; random images are
always labelled by the teacher. Hard-label recovery is measured on the same images with hard labels.
"""

from __future__ import annotations

import dataclasses

from hydrometer.protocols import (
    DSA,
    FULL,
    HALF_WAY,
    QUICK_FULL,
    QUICK_RATES,
    RATES,
    SGD,
    SOFT,
    Case,
    Settings,
    full_arm,
    random_sets,
    recipe,
    release,
    seeds_of,
    supervised,
)
from hydrometer.types import Arm


def arms(case: Case, settings: Settings) -> list[Arm]:
    """Subject with its soft and with hard labels, random images with the teacher's, full data."""
    base, seeds, rates = recipe(settings, case.source), seeds_of(settings), settings.rates
    randoms = random_sets(case, settings)
    soft = supervised(settings, case, case.subject, base)
    return [
        Arm("subject", (case.subject,), soft, rates, seeds),
        Arm("random", randoms, supervised(settings, case, randoms[0], base), rates, seeds),
        Arm("subject_hard", (case.subject,), base, rates, seeds),
        full_arm(case, settings),
    ]


_SETTINGS = Settings(
    epochs=1000,
    batch=256,
    optimiser=SGD,
    schedule=HALF_WAY,
    rates=RATES,
    seeds=5,
    augment=DSA,
    loss=SOFT,
    full=FULL,
    teacher=dataclasses.replace(FULL, augment=DSA, seeds=1),
)
release(
    "ddranking-soft@1",
    about="label-robust score for soft labels (DD-Ranking, faults removed)",
    settings=_SETTINGS,
    metrics=("accuracy", "hlr", "ior", "lrs"),
    build=arms,
)
release(
    "ddranking-soft-quick@1",
    about="ddranking-soft for a laptop: 100 epochs, 3 rates, full data, teacher 4 epochs or 300 steps",
    settings=dataclasses.replace(
        _SETTINGS,
        epochs=100,
        rates=QUICK_RATES,
        full=QUICK_FULL,
        teacher=dataclasses.replace(QUICK_FULL, seeds=1),
    ),
    metrics=("accuracy", "hlr", "ior", "lrs"),
    build=arms,
)
