"""Trust: which labels of a source to believe, before anything is made of its images.

An estimator is one file with a function `(source, *, wanted, ..., rng) -> TrustReport` marked
`@register("trust")`; `wanted` is how many images a compressor is going to make, 0 if none. Its report
speaks of the rows of `train` alone. `wrapper.trusted` turns source and report into the source that
every compressor takes as it is.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hydrometer.methods.trust.report import TrustReport
from hydrometer.registry import build
from hydrometer.seeds import numpy_rng
from hydrometer.sources import sealed
from hydrometer.types import Source, Spec

ORACLE = "oracle"
"""The one estimator that is shown the clean labels of a noisy source; all others get it sealed."""


_last: dict[object, TrustReport] = {}
"""The last report, by all it depends on: methods in a row ask for the same."""


def draws(seed: int) -> np.random.Generator:
    """The draws of every estimator: the same, so that they judge the same evidence."""
    return numpy_rng(seed, "trust")


def estimate(source: Source, spec: Spec, *, wanted: int = 0, seed: int = 0) -> TrustReport:
    """What an estimator makes of the labels of `train`; the same for every method that asks.

    The arrays are shared by every caller of one process; nobody writes into them.
    """
    key = (source.digest, type(source), str(spec), wanted, seed)
    if key not in _last:
        shown = source if spec.name == ORACLE else sealed(source)
        report: TrustReport = build("trust", spec, shown, wanted=wanted, rng=draws(seed))
        _last.clear()
        _last[key] = replace(report, estimator=str(spec))
    return _last[key]
