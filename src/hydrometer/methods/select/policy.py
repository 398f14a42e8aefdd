"""Which images to keep once each has a difficulty: orthogonal to what the difficulty is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import beta as beta_density
from scipy.stats import rankdata

from hydrometer.types import HydrometerError

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
Arrange = Callable[[Floats, int, np.random.Generator], NDArray[Any]]
"""Positions of the `count` values to keep, in keep order, from values in row order."""

CONCENTRATION = 16
"""The two parameters of every Beta density here sum to this, as in DUAL."""
EXPONENT = 4.0
"""DUAL's c for small images: how late, in the prune rate, the density leaves the middle."""


def keep(
    difficulty: ArrayLike,
    labels: ArrayLike,
    counts: Sequence[int],
    *,
    policy: str = "easy",
    offset: float = 0.0,
    strata: int = 50,
    balance: str = "class",
    cutoff: float = 0.0,
    rng: np.random.Generator,
) -> Rows:
    """Rows to keep, in keep order, by a policy over difficulties; equal ones go by row number.

    Policies, each applied to a group of images (a class, or all of them) after the cutoff:

    - `easy`, `hard`: lowest or highest difficulty first.
    - `middle`: nearest to the group's median difficulty first, as in Moderate (Xia et al., ICLR 2023).
    - `window`: easiest first, past the easiest `offset` of the group.
    - `stratified`: an even share of each of `strata` intervals of equal width; see `stratified`.
    - `beta`: drawn with weight Beta(easiness rank), nearer to the easiest the more is pruned; DUAL's
      density (Cho et al., 2025) over ranks of any score, see `beta_parameter`.
    - `random`: drawn uniformly.

    Nothing is drawn from `rng` but by the last three.

    Args:
        difficulty: (n,), higher is harder.
        labels: (n,) class numbers.
        counts: Images to keep of each class; a class without images must ask for none.
        policy: One of the above.
        offset: Share in [0, 1] that `window` skips.
        strata: Number of intervals of `stratified`.
        balance: `class` keeps `counts[c]` of class c, class by class; `global` keeps `sum(counts)` of
            all images whatever their class.
        cutoff: Share in [0, 1) of the hardest of each group that is dropped first, as suspected of
            a wrong label; rounded down.
        rng: The source of every draw.

    Raises:
        HydrometerError: A difficulty is not finite, an argument is out of range, or more images are
            asked for than the cutoff and offset leave.
    """
    scores, classes = checked(difficulty, labels)
    arrange = _policy(policy, offset, strata)
    kept = [np.empty(0, np.int64)]
    for name, members, count in groups(classes, counts, balance):
        left = members[~suspects(scores[members], cutoff)]
        skipped = _skipped(len(left), offset) if policy == "window" else 0
        room(name, len(members), len(left) - skipped, count)
        kept.append(left[arrange(scores[left], count, rng)])
    return np.concatenate(kept)


def checked(difficulty: ArrayLike, labels: ArrayLike) -> tuple[Floats, Rows]:
    """Difficulties and labels as arrays (n,) of equal length; one that is not finite is an error."""
    scores = np.asarray(difficulty, dtype=np.float64)
    classes = np.asarray(labels, dtype=np.int64)
    if scores.shape != classes.shape or scores.ndim != 1:
        raise HydrometerError(
            f"difficulty has shape {scores.shape} and labels {classes.shape}; both must be (n,)"
        )
    wrong = int((~np.isfinite(scores)).sum())
    if wrong:
        raise HydrometerError(
            f"the scores of {wrong} of {len(scores)} images are not finite; "
            "look for a diverged run or broken features"
        )
    return scores, classes


def groups(
    labels: Rows, counts: Sequence[int], balance: str = "class"
) -> Iterator[tuple[str, Rows, int]]:
    """What is ranked together: name, rows in ascending order, and how many to keep."""
    if balance not in ("class", "global"):
        raise HydrometerError(f"balance {balance!r} is unknown; known: class, global")
    if balance == "global":
        yield "all classes", np.arange(len(labels)), sum(counts)
        return
    for label, count in enumerate(counts):
        yield f"class {label}", np.flatnonzero(labels == label), count


def suspects(difficulty: Floats, cutoff: float) -> NDArray[np.bool_]:
    """The hardest `cutoff` of a group, rounded down; of equal ones, those with the higher rows."""
    if not 0 <= cutoff < 1:
        raise HydrometerError(f"cutoff {cutoff} is out of range; give a share in [0, 1)")
    dropped = np.zeros(len(difficulty), dtype=bool)
    kept = len(difficulty) - int(cutoff * len(difficulty))
    dropped[np.argsort(difficulty, kind="stable")[kept:]] = True
    return dropped


def room(name: str, size: int, left: int, count: int) -> None:
    """Refuse to keep `count` of a group of `size` images of which only `left` may be kept."""
    if count > left:
        raise HydrometerError(
            f"{count} images of {name} asked for, but {left} of its {size} are left to choose from; "
            "lower the budget, or the cutoff or offset if there is one"
        )


def stratified(
    difficulty: Floats, count: int, rng: np.random.Generator, *, strata: int = 50
) -> NDArray[Any]:
    """Positions drawn evenly from intervals of equal width between the extremes, easiest first.

    Equal difficulties all fall into one interval, from which the draw is uniform. Zheng et al.,
    "Coverage-centric Coreset Selection" (CCS, ICLR 2023), algorithm 1. The edges of its public code
    lose the hardest image when all scores are negative; here both ends belong to an interval.
    """
    if not count:
        return np.empty(0, np.int64)
    low, width = difficulty.min(), np.ptp(difficulty)
    scaled = (difficulty - low) / width if width > 0 else np.zeros_like(difficulty)
    stratum = np.minimum((scaled * strata).astype(np.int64), strata - 1)
    shares = even_shares(np.bincount(stratum, minlength=strata), count)
    drawn = [
        rng.permutation(np.flatnonzero(stratum == s))[:share] for s, share in enumerate(shares)
    ]
    return np.concatenate(drawn)


def even_shares(sizes: NDArray[Any], count: int) -> NDArray[Any]:
    """How many to take of each stratum: from the smallest up, min(size, rest / strata left)."""
    shares = np.zeros_like(sizes)
    rest = count
    for done, stratum in enumerate(np.argsort(sizes, kind="stable")):
        shares[stratum] = min(sizes[stratum], rest // (len(sizes) - done))
        rest -= shares[stratum]
    return shares


def sampling_keys(weights: ArrayLike, rng: np.random.Generator) -> Floats:
    """Keys whose largest k are a draw of k without replacement, in proportion to the weights.

    Log-weights under Gumbel noise; Efraimidis and Spirakis, "Weighted random sampling with a
    reservoir" (2006). A weight of zero comes last, yet is still drawn when nothing else is left.
    """
    positive = np.maximum(np.asarray(weights, dtype=np.float64), np.finfo(np.float64).tiny)
    keys: Floats = np.log(positive) + rng.gumbel(size=positive.shape)
    return keys


def beta_parameter(prune_rate: float, middle: float, exponent: float = EXPONENT) -> float:
    """The b of Beta(16 - b, b) over easiness: 15 (1 - middle) (1 - rate^exponent), positive.

    Its mean is near `middle` when little is pruned, and goes to one, the easiest, as the rate does.
    Cho et al., "Lightweight Dataset Pruning without Full Training via Example Difficulty and
    Prediction Uncertainty" (DUAL, arXiv 2502.06905).
    """
    b: float = (CONCENTRATION - 1) * (1 - middle) * (1 - prune_rate**exponent)
    # b = 0 is a point mass; the smallest b keeps an order among the easiest instead.
    return max(b, 1e-6)


def _policy(policy: str, offset: float, strata: int) -> Arrange:
    if not 0 <= offset <= 1:
        raise HydrometerError(f"offset {offset} is out of range; give a share in [0, 1]")
    if strata < 1:
        raise HydrometerError(f"strata {strata} is out of range; give at least 1")
    known: dict[str, Arrange] = {
        "easy": lambda d, k, rng: np.argsort(d, kind="stable")[:k],
        "hard": lambda d, k, rng: np.argsort(-d, kind="stable")[:k],
        "middle": _middle,
        "window": partial(_window, offset=offset),
        "stratified": partial(stratified, strata=strata),
        "beta": _beta,
        "random": lambda d, k, rng: rng.permutation(len(d))[:k],
    }
    if policy not in known:
        raise HydrometerError(f"policy {policy!r} is unknown; known: {', '.join(known)}")
    return known[policy]


def _middle(difficulty: Floats, count: int, rng: np.random.Generator) -> NDArray[Any]:
    if not count:
        return np.empty(0, np.int64)
    return np.argsort(np.abs(difficulty - np.median(difficulty)), kind="stable")[:count]


def _window(
    difficulty: Floats, count: int, rng: np.random.Generator, *, offset: float
) -> NDArray[Any]:
    start = _skipped(len(difficulty), offset)
    return np.argsort(difficulty, kind="stable")[start : start + count]


def _skipped(size: int, offset: float) -> int:
    return round(offset * size)


def _beta(difficulty: Floats, count: int, rng: np.random.Generator) -> NDArray[Any]:
    if not count:
        return np.empty(0, np.int64)
    easiness = (rankdata(-difficulty) - 0.5) / len(difficulty)
    b = beta_parameter(1 - count / len(difficulty), middle=0.5)
    weights = beta_density.pdf(easiness, CONCENTRATION - b, b)
    return np.argsort(-sampling_keys(weights, rng), kind="stable")[:count]
