"""Rankings, how far they can be trusted, and which places are shared."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hydrometer.stats.bootstrap import Array, interval, replicates
from hydrometer.types import Estimate


def kendall(x: ArrayLike, y: ArrayLike) -> Array:
    """Kendall's tau-b between scores (..., m) of the same m entries.

    Where one side ties all entries, tau-b is 0/0; here it is 0, as there is no order to agree with.
    """
    a, b = np.asarray(x, float), np.asarray(y, float)
    first, second = np.triu_indices(a.shape[-1], k=1)
    s = np.sign(a[..., first] - a[..., second])
    t = np.sign(b[..., first] - b[..., second])
    pairs = np.sqrt((s * s).sum(axis=-1) * (t * t).sum(axis=-1))
    return np.asarray((s * t).sum(axis=-1) / np.maximum(pairs, 1.0))


def agreement(
    first: Sequence[Array],
    second: Sequence[Array],
    *,
    groups: Sequence[Hashable] | None = None,
    level: float = 0.95,
    resamples: int = 10_000,
    rng: np.random.Generator,
) -> Estimate:
    """Kendall's tau between two rankings of the same entries by mean score, with its interval.

    Each entry is a sample over seeds (n,); `groups` has an id per sample, those of `first` before
    those of `second` (see `bootstrap.interval`). Resampling adds noise to scores that have some
    already, so the interval sits somewhat below tau when entries are close.
    """
    if len(first) != len(second):
        raise ValueError(f"rankings of {len(first)} and {len(second)} entries cannot be compared")

    def tau(*samples: Array) -> Array:
        means = _means(*samples)
        return kendall(means[..., : len(first)], means[..., len(first) :])

    return interval(
        tau,
        [*first, *second],
        groups=groups,
        bounds=(-1.0, 1.0),
        level=level,
        resamples=resamples,
        rng=rng,
    )


def rank_probabilities(
    scores: Sequence[Array],
    *,
    groups: Sequence[Hashable] | None = None,
    resamples: int = 10_000,
    rng: np.random.Generator,
) -> Array:
    """Probability (m, m) that entry i holds rank r, 0 the best, when the seeds are drawn again.

    Entries are samples over seeds (n,), greater is better. Entries that tie share the ranks that
    they span in equal parts, so that rows and columns each add up to 1.
    """
    means = replicates(_means, scores, groups=groups, resamples=resamples, rng=rng)
    better = np.stack([(means > column[:, None]).sum(axis=1) for column in means.T], axis=1)
    tied = np.stack([(means == column[:, None]).sum(axis=1) for column in means.T], axis=1)
    held = [((better <= r) & (r < better + tied)) / tied for r in range(len(scores))]
    return np.stack([share.mean(axis=0) for share in held], axis=1)


def shared_ranks(values: ArrayLike, different: ArrayLike) -> NDArray[np.int64]:
    """Ranks (m,) from 1, each one more than the number of entries that are better and differ.

    `different` is a symmetric (m, m) truth table, such as `paired.pairwise(scores, rng=rng) <
    0.05`. "Does not differ" is not transitive, so a chain of ties need not share one rank.
    """
    x = np.asarray(values, float)
    beaten_by = (x[None, :] > x[:, None]) & np.asarray(different, bool)
    return np.asarray(1 + beaten_by.sum(axis=1), np.int64)


def tie_groups(values: ArrayLike, different: ArrayLike) -> tuple[tuple[int, ...], ...]:
    """Positions of entries that share a rank, best rank first, and best value first within one."""
    ranks = shared_ranks(values, different)
    order = np.argsort(-np.asarray(values, float), kind="stable")
    return tuple(tuple(int(i) for i in order if ranks[i] == rank) for rank in np.unique(ranks))


def _means(*samples: Array) -> Array:
    return np.stack([sample.mean(axis=-1) for sample in samples], axis=-1)
