"""What a trust estimator says of every label, and how it is put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
Mask = NDArray[np.bool_]

LEAST_KEPT = 10
BALANCED_SHARE = 0.02
"""Sets of at least this share of `train` want quantity too; smaller ones want purity alone."""
UNIDENTIFIABLE = 0.5
"""Share of a class under one other label from which on nobody can tell which of the two is right."""


class Provenance(IntEnum):
    """What became of a label."""

    GIVEN = 0
    RECALIBRATED = 1
    DROPPED = 2
    """Not believed; what the image looks like is agreed on, but it was not recalled."""
    UNRECOVERABLE = 3
    """Not believed, and nothing says what the label should be."""


@dataclass(frozen=True)
class Round:
    """Monitors of one round: images trusted and recalled, and how far apart the losses lie.

    `separation` is the mean over classes of Ashman's D, `gain` of BIC(1) - BIC(2); both are NaN where
    no class could be fitted.
    """

    trusted: int
    recalled: int
    separation: float
    gain: float


@dataclass(frozen=True)
class TrustReport:
    """Trust in every label of `train`, by row.

    `trust` (n,) is the probability that the given label is right; `keep` (n,) says whether the image
    is used, with `target` (n, k), whose rows sum to one, and `weight` (n,) in [0, 1], zero where it is
    not kept. `provenance` (n,) holds codes of `Provenance`; `given` and `suggested` are labels (n,).
    `noise` (k,) is the share of each given class that is not believed, `transition` (k, k) estimates
    P(given | true), rows sum to one.
    """

    estimator: str
    given: Labels
    suggested: Labels
    trust: Floats
    keep: Mask
    target: Floats
    weight: Floats
    provenance: Labels
    noise: Floats
    transition: Floats
    rounds: tuple[Round, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def suspects(self) -> Labels:
        """Rows whose given label is not believed, least trusted first."""
        rows = np.flatnonzero(self.provenance != Provenance.GIVEN)
        return rows[np.argsort(self.trust[rows], kind="stable")]


@dataclass(frozen=True)
class Recall:
    """What the anchors say of all images: reliabilities (n, k), and which rows may be recalled (n,)."""

    reliability: Floats
    recalled: Mask
    agreed: Mask


def doubts(report: TrustReport, classes: Sequence[str]) -> tuple[str, ...]:
    """Classes that a report itself finds mostly under one other label, in words for a reader."""
    shares = report.transition.copy()
    np.fill_diagonal(shares, 0.0)
    return tuple(
        f"{shares[c].max():.0%} of what looks like class {classes[c]!r} is labelled "
        f"{classes[int(shares[c].argmax())]!r}: which of the two is right cannot be told from the data"
        for c in map(int, np.flatnonzero(shares.max(1) >= UNIDENTIFIABLE))
    )


def floor(wanted: int, classes: int) -> int:
    """Images of each given class that are always kept: twice what a compressor makes of it, or 10."""
    return max(LEAST_KEPT, 2 * -(-wanted // classes))


def wants_recall(wanted: int, images: int, asked: bool | None) -> bool | None:
    """Whether to recall images: as asked; else not for small sets, which want purity; else None.

    None leaves it to the classifier: full training and large sets gain where it is good.
    """
    small = 0 < wanted < BALANCED_SHARE * images
    return False if asked is None and small else asked


def admitted(found: Recall, trusted: Mask, given: Labels, least: int, *, wanted: bool) -> Recall:
    """All of a recall where it is wanted, else what goes to classes with fewer than `least` trusted."""
    if wanted:
        return found
    classes = found.reliability.shape[1]
    short = np.bincount(given[trusted], minlength=classes) < least
    needed = short[found.reliability.argmax(1)]
    return replace(found, recalled=found.recalled & needed)


def at_least(trusted: Mask, trust: Floats, given: Labels, classes: int, least: int) -> Mask:
    """The trusted, and in classes with fewer than `least` of them the most trusted beside them."""
    kept = trusted.copy()
    for c in range(classes):
        rows = np.flatnonzero(given == c)
        if kept[rows].sum() < least:
            kept[rows[np.argsort(-trust[rows], kind="stable")[:least]]] = True
    return kept


def compose(
    estimator: str,
    given: Labels,
    trust: Floats,
    trusted: Mask,
    suggested: Labels,
    recall: Recall,
    *,
    rounds: Sequence[Round] = (),
    notes: Sequence[str] = (),
) -> TrustReport:
    """The report of a split and a recall; recalled images get their reliabilities as soft target."""
    k = recall.reliability.shape[1]
    recalled = recall.recalled & ~trusted
    target = np.eye(k)[given]
    target[recalled] = recall.reliability[recalled]
    weight = np.where(trusted, 1.0, np.where(recalled, recall.reliability.max(1), 0.0))
    code = np.where(recall.agreed, Provenance.DROPPED, Provenance.UNRECOVERABLE)
    code = np.where(recalled, Provenance.RECALIBRATED, code)
    code = np.where(trusted, Provenance.GIVEN, code).astype(np.int64)
    believed = np.where(trusted, given, suggested)
    return TrustReport(
        estimator=estimator,
        given=given,
        suggested=believed,
        trust=trust,
        keep=trusted | recalled,
        target=target,
        weight=weight,
        provenance=code,
        noise=np.array([_share(~trusted[given == c]) for c in range(k)]),
        transition=_transition(believed, given, k),
        rounds=tuple(rounds),
        notes=tuple(notes),
    )


def everything(
    estimator: str, given: Labels, classes: int, trust: Floats, note: str = ""
) -> TrustReport:
    """The report that keeps every given label."""
    every = np.ones(len(given), dtype=bool)
    notes = (note,) if note else ()
    return compose(estimator, given, trust, every, given, nothing(len(given), classes), notes=notes)


def nothing(images: int, classes: int) -> Recall:
    """A recall that recalls nothing and has no opinion."""
    none = np.zeros(images, dtype=bool)
    return Recall(np.full((images, classes), 1 / classes), none, none)


def _share(mask: NDArray[Any]) -> float:
    return float(mask.mean()) if len(mask) else 0.0


def _transition(true: Labels, given: Labels, classes: int) -> Floats:
    counts = np.bincount(true * classes + given, minlength=classes**2).reshape(classes, classes)
    sizes = counts.sum(1, keepdims=True)
    return np.where(sizes > 0, counts / np.maximum(sizes, 1), np.eye(classes))
