"""Confident learning says how many labels of a class are wrong, class-wise mixtures say which."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from hydrometer.methods.trust import anchors
from hydrometer.methods.trust.cleanlab_trust import package
from hydrometer.methods.trust.evidence import Evidence, gather, given_loss
from hydrometer.methods.trust.harm import HARMLESS, harmless, mends
from hydrometer.methods.trust.joint import clean_classes, wrong
from hydrometer.methods.trust.mixture import class_trust
from hydrometer.methods.trust.report import (
    Floats,
    Labels,
    Mask,
    Round,
    TrustReport,
    admitted,
    compose,
    everything,
    floor,
    wants_recall,
)
from hydrometer.registry import register
from hydrometer.types import Source

FAR_APART = 2.0
"""Counts of mixture and joint that differ by more than this factor are called ambiguous."""
CONCENTRATED = 0.6
"""Share of a class's apparent errors in one other class that makes its noise asymmetric."""


@register("trust")
def combined(
    source: Source,
    *,
    wanted: int = 0,
    features: str = "network",
    student: str = "",
    recall: bool | None = None,
    gate: bool = True,
    rng: np.random.Generator,
) -> TrustReport:
    """Counts from cleanlab's calibrated joint, order from loss mixtures, recall by TAD's anchors.

    Ours, after Northcutt et al. (JAIR 2021) and Wu et al. (arXiv 2502.05027): of each given class as
    many images are dropped as the joint finds wrong, those with the lowest mean of in-sample and
    out-of-fold class-wise mixture posteriors. Where the two disagree twofold on the count of a noisy
    class, the report says so, and the mixture is followed if the errors go to one other class. `recall`,
    `gate` and the others are as in `tad`.

    Raises:
        HydrometerError: cleanlab is missing.
    """
    package()
    evidence = gather(source, features, student, rng=rng)
    start = time.perf_counter()
    found = merged(
        evidence,
        least=floor(wanted, evidence.classes),
        recall=wants_recall(wanted, len(evidence.given), recall),
        gate=gate,
    )
    return replace(found, seconds=evidence.seconds + time.perf_counter() - start)


def merged(
    evidence: Evidence, *, least: int = 10, recall: bool | None = True, gate: bool = True
) -> TrustReport:
    """The combination on evidence alone; `recall=None` leaves it to how good the classifier is."""
    given, k, probabilities = evidence.given, evidence.classes, evidence.probabilities
    inside = class_trust(evidence.losses, given, k)
    outside = class_trust(given_loss(probabilities, given), given, k)
    trust = (inside.trust + outside.trust) / 2
    joint = np.asarray(
        package().count.compute_confident_joint(given, probabilities, calibrate=True), np.float64
    )
    reason = harmless(joint, given, probabilities) if gate else ""
    if reason:
        return everything("combined", given, k, trust, reason)
    counts, notes = _counts(joint, trust, given)
    trusted = _without(given, trust, counts, least)
    taken = anchors.recall(evidence.features, given, k, trust, trusted)
    suggested = taken.reliability.argmax(1)
    mend, said = mends(recall, given, probabilities)
    taken = admitted(taken, trusted, given, least, wanted=mend)
    monitors = Round(int(trusted.sum()), int(taken.recalled.sum()), inside.separation, inside.gain)
    return compose(
        "combined",
        given,
        trust,
        trusted,
        suggested,
        taken,
        rounds=[monitors],
        notes=[*notes, *said],
    )


def _counts(joint: Floats, trust: Floats, given: Labels) -> tuple[Labels, list[str]]:
    """How many to drop of each given class (k,), and the classes where that is ambiguous."""
    by_joint = wrong(joint)
    by_mixture = np.bincount(given[trust <= 0.5], minlength=len(joint))
    counts, ambiguous = by_joint.copy(), []
    noisy = ~clean_classes(joint, HARMLESS)
    for c in range(len(joint)):
        few, many = sorted((by_joint[c], float(by_mixture[c])))
        if not noisy[c] or many <= FAR_APART * few:
            continue
        ambiguous.append(str(c))
        others = np.delete(joint[c], c)
        if others.max() > CONCENTRATED * others.sum():
            counts[c] = by_mixture[c]
    note = f"ambiguous: mixture and joint disagree twofold in classes {', '.join(ambiguous)}"
    return np.rint(counts).astype(np.int64), [note] if ambiguous else []


def _without(given: Labels, trust: Floats, counts: Labels, least: int) -> Mask:
    """All but the least trusted of each class, of which at least `least` stay."""
    trusted = np.ones(len(given), dtype=bool)
    for c, count in enumerate(counts):
        rows = np.flatnonzero(given == c)
        drop = max(0, min(int(count), len(rows) - least))
        trusted[rows[np.argsort(trust[rows], kind="stable")[:drop]]] = False
    return trusted
