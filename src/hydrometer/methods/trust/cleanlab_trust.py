"""Confident learning by the cleanlab package."""

from __future__ import annotations

import time
import warnings
from dataclasses import replace
from types import ModuleType

import numpy as np

from hydrometer.methods.trust.evidence import Evidence, gather
from hydrometer.methods.trust.harm import harmless
from hydrometer.methods.trust.joint import confident_joint
from hydrometer.methods.trust.report import (
    TrustReport,
    at_least,
    compose,
    everything,
    floor,
    nothing,
)
from hydrometer.registry import register
from hydrometer.types import HydrometerError, Source


@register("trust", "cleanlab")
def cleanlab_trust(
    source: Source,
    *,
    wanted: int = 0,
    features: str = "network",
    student: str = "",
    gate: bool = True,
    rng: np.random.Generator,
) -> TrustReport:
    """Drops what confident learning flags: `cleanlab.filter.find_label_issues`, by noise rate.

    Northcutt, Jiang and Chuang, "Confident learning" (JAIR 2021), on out-of-fold probabilities of a
    probe on `features`, `network` or `pixels`, of `student` as in `tad`. Nothing is relabelled.
    Class floors and the no-harm rule, which `gate=false` skips, are ours.

    Raises:
        HydrometerError: cleanlab is missing.
    """
    package()
    evidence = gather(source, features, student, rng=rng)
    start = time.perf_counter()
    found = confident(evidence, least=floor(wanted, evidence.classes), gate=gate)
    return replace(found, seconds=evidence.seconds + time.perf_counter() - start)


def confident(evidence: Evidence, *, least: int = 10, gate: bool = True) -> TrustReport:
    """Confident learning on evidence alone; trust is the normalised margin of the given label."""
    library, given, k = package(), evidence.given, evidence.classes
    probabilities = evidence.probabilities
    trust = np.asarray(
        library.rank.get_label_quality_scores(given, probabilities, method="normalized_margin")
    )
    joint = confident_joint(given, probabilities)
    reason = harmless(joint, given, probabilities) if gate else ""
    if reason:
        return everything("cleanlab", given, k, trust, reason)
    with warnings.catch_warnings():
        # It warns of classes too small to judge, which the floor keeps anyway.
        warnings.simplefilter("ignore", UserWarning)
        flagged = np.asarray(library.filter.find_label_issues(given, probabilities, n_jobs=1))
    trusted = at_least(~flagged, trust, given, k, least)
    none = nothing(len(given), k)
    agreed = replace(none, agreed=probabilities.argmax(1) != given)
    return compose("cleanlab", given, trust, trusted, probabilities.argmax(1), agreed)


def package() -> ModuleType:
    """The cleanlab package.

    Raises:
        HydrometerError: It is not installed.
    """
    try:
        import cleanlab
        import cleanlab.count
        import cleanlab.filter
        import cleanlab.rank
    except ImportError:
        raise HydrometerError(
            "this trust estimator needs cleanlab; install it with: pip install hydrometer[cleanlab]"
        ) from None
    found: ModuleType = cleanlab
    return found
