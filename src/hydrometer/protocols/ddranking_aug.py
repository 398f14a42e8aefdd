"""DD-Ranking's augmentation-robust score, its measurement faults removed.

Li et al., "DD-Ranking" (arXiv 2505.13300): the gain over random images with the augmentation and
without it. Every arm has its own rate, chosen on `val` from the same grid.
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
    random_sets,
    recipe,
    release,
    seeds_of,
    supervised,
)
from hydrometer.types import Arm, CompressedSet


def arms(case: Case, settings: Settings) -> list[Arm]:
    """Subject and random images, each with and without augmentation, hard labels unless stored soft."""
    base, seeds = recipe(settings, case.source), seeds_of(settings)
    plain = dataclasses.replace(base, augment=())

    def arm(name: str, sets: tuple[CompressedSet, ...], how: object) -> Arm:
        chosen = plain if how == "naug" else base
        if case.subject.soft is not None:
            chosen = supervised(settings, case, sets[0], chosen)
        return Arm(f"{name}_{how}", sets, chosen, settings.rates, seeds)

    randoms = random_sets(case, settings)
    return [
        arm(name, sets, how)
        for how in ("aug", "naug")
        for name, sets in (("subject", (case.subject,)), ("random", randoms))
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
    teacher=dataclasses.replace(FULL, augment=DSA, seeds=1),
)

release(
    "ddranking-aug@1",
    about="augmentation-robust score (DD-Ranking, faults removed)",
    settings=_SETTINGS,
    metrics=("ars",),
    build=arms,
)
release(
    "ddranking-aug-quick@1",
    about="ddranking-aug for a laptop: 100 epochs, 3 rates, teacher for 4 epochs or 300 steps",
    settings=dataclasses.replace(
        _SETTINGS,
        epochs=100,
        rates=QUICK_RATES,
        teacher=dataclasses.replace(QUICK_FULL, seeds=1),
    ),
    metrics=("ars",),
    build=arms,
)
