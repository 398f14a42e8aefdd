"""Where a gain comes from: exact Shapley values and interactions of a full 2^m factorial.

A table has shape (..., 2^m): the last axis is indexed by the factors that are on, factor i counting
for 2^i. Leading axes (seeds, bootstrap replicates) pass through.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hydrometer.stats.bootstrap import Array


def shapley(table: ArrayLike) -> Array:
    """Share (..., m) of each factor in the step from all off to all on; the shares add up to it.

    Shapley, "A value for n-person games" (1953), from dividends: phi_i = sum over S with i of
    a(S) / |S|.
    """
    parts = dividends(table)
    members = _members(parts.shape[-1])
    return np.asarray(parts @ (members / np.maximum(members.sum(axis=1, keepdims=True), 1)))


def interactions(table: ArrayLike) -> Array:
    """Shapley-Taylor indices of order 2 as (..., m, m): alone on the diagonal, pairs beside it.

    Diagonal and upper triangle add up to the step from all off to all on. Sundararajan, Dhamdhere
    and Agarwal, "The Shapley Taylor Interaction Index" (ICML 2020), definition 3 with k = 2, from
    dividends: I_i = a({i}), I_ij = sum over S with i and j of a(S) / (|S| choose 2).
    """
    parts = dividends(table)
    members = _members(parts.shape[-1])
    size = members.sum(axis=1)
    pairs = np.maximum(size * (size - 1) / 2, 1)
    together = np.einsum("...s,si,sj->...ij", parts / pairs, members, members)
    m = members.shape[1]
    together[..., np.arange(m), np.arange(m)] = parts[..., 1 << np.arange(m)]
    return np.asarray(together)


def dividends(table: ArrayLike) -> Array:
    """What each combination of factors adds beyond all its smaller ones, (..., 2^m).

    The Möbius transform a(S) = sum over T in S of (-1)^(|S|-|T|) v(T) (Harsanyi, 1963).
    """
    parts = np.array(table, float, order="C")
    count = _factors(parts.shape[-1])
    cube = parts.reshape(*parts.shape[:-1], *(2,) * count)
    for axis in range(-count, 0):
        np.moveaxis(cube, axis, 0)[1] -= np.moveaxis(cube, axis, 0)[0]
    return parts


def _members(cells: int) -> NDArray[np.int64]:
    """Which factors (columns) are on in which cell (rows)."""
    return (np.arange(cells)[:, None] >> np.arange(_factors(cells))) & 1


def _factors(cells: int) -> int:
    count = cells.bit_length() - 1
    if cells != 1 << count or count < 1:
        raise ValueError(f"a factorial table has 2^m cells, m >= 1, not {cells}")
    return count
