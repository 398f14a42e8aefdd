"""The no-harm rule: whether labels are wrong, or images hard, and whether a classifier may mend them.

Estimators of label noise see noise wherever classes overlap or the network is weak, and would drop hard
images whose labels are right. A classifier that errs on hard images does not where it is surest, while a
wrong label can be anywhere; so the surest images tell the two apart. They say as well how often the
classifier itself is right, and one that often is not would mend wrong labels into other wrong ones.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import binom

from hydrometer.methods.trust.joint import noise_share
from hydrometer.methods.trust.report import Floats, Labels

HARMLESS = 0.02
"""Estimated noise below which nothing is dropped: mixtures know no "no noise"."""
SOUND = 0.06
"""Share of contradicted labels among the surest images up to which they may all be right."""
OVERSTATED = 2.0
"""How many times the noise among the surest images an estimate may be before it counts hard ones."""
CHANCE = 0.01
"""Chance at which a sound source may seem unsound in some class."""
SUREST, FEWEST_OF_CLASS, FEWEST = 0.02, 20, 100
"""Share of an apparent class that is its surest, and how few they may be of a class and in all."""
ABLE = 0.75
"""Share of all images that a classifier must tell right for its labels to take the place of others."""
FEW_SURE, READABLE = 0.2, 0.5
"""Shares of images that may be the surest, and of those contradicted, for noise to be read off them."""


def harmless(joint: Floats, given: Labels, probabilities: Floats) -> str:
    """Why all labels should be kept, in words for a report; empty where they should not.

    `joint` (k, k) counts given against apparent classes, `probabilities` (n, k) are out of fold. All
    are kept where the joint finds less than 2 % of wrong labels; or where less than 6 % of the
    surest images have another label than they look like, in no class significantly more, and the
    joint finds more than twice that. Ours: noise that spares the images which are easy to tell looks
    like hard images, and passes for none.
    """
    noise = noise_share(joint)
    if noise < HARMLESS:
        return f"{noise:.1%} of the labels seem wrong, below {HARMLESS:.0%}: all are kept"
    looked, other = surest(given, probabilities)
    sure = _weighted(looked, other, probabilities)
    worst = binom.sf(other - 1, looked, SOUND).min()
    if sure < SOUND and worst > CHANCE / len(looked) and noise > OVERSTATED * sure:
        return (
            f"{noise:.1%} of the labels seem wrong, but only {sure:.1%} where the classifier is surest: "
            "images may be hard rather than labels wrong, so all are kept (gate=false filters them)"
        )
    return ""


def doubt(given: Labels, probabilities: Floats) -> float:
    """Share of the surest images with another label, classes weighted by how often they appear."""
    return _weighted(*surest(given, probabilities), probabilities)


def mends(recall: bool | None, given: Labels, probabilities: Floats) -> tuple[bool, list[str]]:
    """Whether to mend labels: as asked, or where `recall` is None if the classifier can; and a note."""
    weak = unable(given, probabilities) if recall is None else ""
    return recall is not False and not weak, [weak] if weak else []


def unable(given: Labels, probabilities: Floats) -> str:
    """Why a classifier should mend no label, in words for a report; empty where it may."""
    right = accuracy(given, probabilities)
    if right >= ABLE:
        return ""
    told = "it cannot be told how often the classifier is right"
    if not np.isnan(right):
        told = (
            f"the classifier is right on about {right:.1%} of the images, and {ABLE:.0%} are wanted"
        )
    return (
        f"{told}: no label is mended, but in classes that are short of images (recall=true mends)"
    )


def accuracy(given: Labels, probabilities: Floats) -> float:
    """Estimated share of images that a classifier tells right, from its agreement with noisy labels.

    Where r of the labels are wrong, whatever the image, a classifier that is right on a of the images
    agrees with about a (1 - r) of the labels; r is read off the surest images. NaN where those are more
    than a fifth of all, or half of them are contradicted: then their own errors would pass for noise.
    Ours. Errors that agree with wrong labels are not seen, and make it too high for a classifier that
    learnt asymmetric noise.
    """
    looked, other = surest(given, probabilities)
    noise = _weighted(looked, other, probabilities)
    if looked.sum() > FEW_SURE * len(given) or noise > READABLE:
        return float("nan")
    return min(1.0, float((probabilities.argmax(1) == given).mean()) / (1 - noise))


def _weighted(looked: Labels, other: Labels, probabilities: Floats) -> float:
    sizes = np.bincount(probabilities.argmax(1), minlength=probabilities.shape[1])
    return float(sizes @ (other / np.maximum(looked, 1)) / max(1, sizes.sum()))


def surest(given: Labels, probabilities: Floats) -> tuple[Labels, Labels]:
    """How many images are the surest of each apparent class (k,), and how many have another label.

    They are several anchor points for a class instead of one (Patrini et al., "Making deep neural
    networks robust to label noise", CVPR 2017, theorem 3), and their labels are counted instead of
    the classifier's probabilities.
    """
    classes = probabilities.shape[1]
    least = max(FEWEST_OF_CLASS, -(-FEWEST // classes))
    looked, other = np.zeros(classes, dtype=np.int64), np.zeros(classes, dtype=np.int64)
    apparent = probabilities.argmax(1)
    for c in range(classes):
        rows = np.flatnonzero(apparent == c)
        count = max(least, round(SUREST * len(rows)))
        chosen = rows[np.argsort(-probabilities[rows, c], kind="stable")[:count]]
        looked[c], other[c] = len(chosen), (given[chosen] != c).sum()
    return looked, other
