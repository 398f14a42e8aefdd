"""Ranks within one source and one exact protocol, with ties, and how far they can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from hydrometer import seeds
from hydrometer.board.entry import Entry
from hydrometer.stats import paired, ranks
from hydrometer.types import HydrometerError

ALPHA = 0.05
"""Chance that any two entries of a table are called different though they are not."""


@dataclass(frozen=True)
class Place:
    """An entry's place in its table."""

    rank: int
    """One more than the number of entries that are better beyond chance."""
    tied: bool
    """Whether another entry has the same rank."""
    holds: float
    """Probability that it comes out at the same position by mean accuracy, seeds drawn again."""
    entry: Entry


@dataclass(frozen=True)
class Table:
    """The entries that may be ranked together, best first."""

    source: str
    protocol: str
    test: str
    places: tuple[Place, ...]


def tables(entries: Sequence[Entry]) -> list[Table]:
    """One table for each source and exact protocol, in the order of their first entries."""
    groups: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        groups.setdefault((entry.source_digest, entry.protocol), []).append(entry)
    return [table(members) for members in groups.values()]


def table(entries: Sequence[Entry]) -> Table:
    """Rank entries of one source and protocol by the mean accuracy of the set's own arm.

    Raises:
        HydrometerError: The entries were not trained from the same seeds.
    """
    _refuse_unpaired(entries)
    scores = np.array([entry.subject.accuracy for entry in entries])
    means = scores.mean(axis=1)
    shared = ranks.shared_ranks(means, p_values(scores) < ALPHA)
    order = np.argsort(-means, kind="stable")
    held = _held(scores, order)
    places = [
        Place(int(shared[i]), bool((shared == shared[i]).sum() > 1), held[position], entries[i])
        for position, i in enumerate(order)
    ]
    first = entries[0]
    return Table(first.source, first.protocol, test_for(*scores.shape), tuple(places))


def _refuse_unpaired(entries: Sequence[Entry]) -> None:
    first = entries[0]
    for entry in entries:
        if entry.subject.seeds != first.subject.seeds:
            raise HydrometerError(
                f"entries of one table must share their seeds: {first.file_name} has "
                f"{first.subject.seeds}, {entry.file_name} has {entry.subject.seeds}; show them apart "
                "with --budget, or make one of them again"
            )


def p_values(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Holm-corrected p-values (m, m) between all rows of scores (m, n), paired by seed.

    Sign flips assume the least, but cannot fall below 2^(1-n): where that is not enough for a
    single difference to be found among all pairs, the paired t test is taken instead, that is, a
    difference counts where its corrected t interval leaves out 0.
    """
    if test_for(*scores.shape).startswith("sign"):
        return paired.pairwise(scores, rng=seeds.numpy_rng(0, "pairwise"))
    first, second = np.triu_indices(len(scores), k=1)
    pairs = zip(first, second, strict=True)
    corrected = paired.holm([_t_test(scores[i] - scores[j]) for i, j in pairs])
    both = np.ones((len(scores), len(scores)))
    both[first, second] = both[second, first] = corrected
    return both


def test_for(entries: int, n: int) -> str:
    """The test that can find differences among so many entries with n seeds each."""
    pairs = max(1, entries * (entries - 1) // 2)
    if n < 2:
        return "none: one seed shows no difference"
    if paired.smallest_p(n) * pairs < ALPHA:
        return "sign-flip test, paired by seed, Holm"
    return "t test, paired by seed, Holm"


def _t_test(differences: NDArray[np.float64]) -> float:
    """Two-sided p-value of the mean of differences (n,); 1 where there is nothing to see."""
    n = len(differences)
    if n < 2 or not differences.any():
        return 1.0
    error = differences.std(ddof=1) / np.sqrt(n)
    if error == 0:
        return 0.0
    return float(2 * stdtr(n - 1, -abs(differences.mean()) / error))


def _held(scores: NDArray[np.float64], order: NDArray[np.int64]) -> list[float]:
    """Probability of each position of the order, seeds shared by all entries."""
    held = ranks.rank_probabilities(
        list(scores[order]), groups=[0] * len(order), rng=seeds.numpy_rng(0, "ranks")
    )
    return [float(p) for p in np.diag(held)]
