"""How sets made from wrong labels are judged: chosen on wrong labels too, tested on clean ones.

Students train with hard labels on the set; rates are chosen on `val`, which is as noisy as `train`;
`test` is clean and read once. `random` is as many random images under the labels they were given.
One verdict judges one set. `hydrometer noisy` makes the comparison: the same method with no filter, with
each trust estimator and with the oracle, on `REPLICATES` noise seeds, and all but the oracle on clean
labels as well, where a filter can only do harm.

Settings are the field's (SGD, a tenth of the rate after half of the epochs, DSA), shortened to 300
epochs and three students, because there are many sets and the noise seed, not the student's, is
what intervals are over. `-quick` is for a laptop and for digits: 100 epochs.
"""

from __future__ import annotations

import dataclasses

from hydrometer.protocols import (
    DSA,
    HALF_WAY,
    QUICK_RATES,
    SGD,
    Case,
    Settings,
    beside_random,
    recipe,
    release,
)
from hydrometer.types import Arm

REPLICATES = 5
"""Noise seeds of a comparison, unless asked otherwise."""


def arms(case: Case, settings: Settings) -> list[Arm]:
    """The subject, and random real images under their given labels."""
    return beside_random(case, settings, recipe(settings, case.source))


SETTINGS = Settings(
    epochs=300,
    batch=256,
    optimiser=SGD,
    schedule=HALF_WAY,
    rates=QUICK_RATES,
    seeds=3,
    augment=DSA,
)

for suffix, about, settings in (
    ("", "sets made from noisy labels: rates chosen on noisy val, clean test", SETTINGS),
    ("-quick", "noisy for a laptop: 100 epochs", dataclasses.replace(SETTINGS, epochs=100)),
):
    release(
        f"noisy{suffix}@1",
        about=about,
        settings=settings,
        metrics=("accuracy", "ior"),
        build=arms,
    )
