"""The oracle: what perfect trust would be worth."""

from __future__ import annotations

import numpy as np

from hydrometer.methods.trust.report import TrustReport, compose, nothing
from hydrometer.registry import register
from hydrometer.sources.noise import NoisySource
from hydrometer.types import HydrometerError, Source


@register("trust")
def oracle(source: Source, *, wanted: int = 0, rng: np.random.Generator) -> TrustReport:
    """Keeps exactly the images whose given label is the clean one; an upper bound, not a method.

    Raises:
        HydrometerError: The source is not noisy by name, so no clean labels are known.
    """
    if not isinstance(source, NoisySource):
        raise HydrometerError(
            f"the oracle needs a source with known noise, such as {source.name}+symmetric:0.4"
        )
    given, clean = source.train.labels.numpy(), source.clean_train.numpy()
    right = given == clean
    none = nothing(len(given), len(source.classes))
    return compose("oracle", given, right.astype(np.float64), right, clean, none)
