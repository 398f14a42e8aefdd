import itertools

import numpy as np
import pytest

from hydrometer.attribute.design import cheaper, design
from hydrometer.types import HydrometerError


def brute_shapley(values, factors):
    parts = np.zeros(factors)
    orders = list(itertools.permutations(range(factors)))
    for order in orders:
        cell = 0
        for factor in order:
            parts[factor] += values[cell | 1 << factor] - values[cell]
            cell |= 1 << factor
    return parts / len(orders)


@pytest.mark.parametrize("fraction", ["full", "half", "ladder"])
@pytest.mark.parametrize("factors", [1, 2, 3, 4])
def test_parts_add_up_whatever_the_cells_are(fraction, factors):
    found = design(fraction, factors)
    values = np.random.default_rng(factors).normal(size=len(found.cells))
    assert (values @ found.weights).sum() == pytest.approx(values[-1] - values[0], abs=1e-12)
    assert (found.cells[0], found.cells[-1]) == (0, 2**factors - 1)
    assert found.weights.shape == (len(found.cells), factors)


@pytest.mark.parametrize("factors", [1, 2, 3, 4])
def test_full_parts_are_means_over_all_orders(factors):
    values = np.random.default_rng(1).normal(size=2**factors)
    assert values @ design("full", factors).weights == pytest.approx(brute_shapley(values, factors))


def test_half_equals_full_unless_three_factors_interact():
    rng = np.random.default_rng(2)
    alone, together = rng.normal(size=4), rng.normal(size=(4, 4))
    bits = (np.arange(16)[:, None] >> np.arange(4)) & 1
    values = bits @ alone + np.einsum("ci,ij,cj->c", bits, together, bits)
    half, full = design("half", 4), design("full", 4)
    assert len(half.cells) == 8
    assert values[list(half.cells)] @ half.weights == pytest.approx(values @ full.weights)
    values += 3 * bits[:, :3].all(1)
    assert values[list(half.cells)] @ half.weights != pytest.approx(values @ full.weights)


def test_smaller_designs_say_what_they_cannot_tell():
    assert "resolution IV" in design("half", 4).warning
    assert "order" in design("ladder", 3).warning
    assert "all cells" in design("half", 3).warning
    assert design("full", 4).warning is None


def test_a_full_design_names_the_smaller_ones():
    assert cheaper(design("full", 4)) == (
        "all 16 combinations of 4 factors; --fraction half trains 8, --fraction ladder 5"
    )
    assert "half" not in cheaper(design("full", 3))
    assert [cheaper(design(f, 4)) for f in ("half", "ladder")] == [None, None]
    assert cheaper(design("full", 1)) is None


def test_an_unknown_design_is_named():
    with pytest.raises(HydrometerError, match=r"'third'.*full, half, ladder"):
        design("third", 4)
