from itertools import combinations, permutations

import numpy as np
import pytest

from hydrometer.stats import shapley


def table_of(m, seed=0):
    return np.random.default_rng(seed).standard_normal(2**m)


def cell(factors):
    return sum(1 << i for i in factors)


def by_permutations(table, m):
    shares = np.zeros(m)
    orders = list(permutations(range(m)))
    for order in orders:
        for place, i in enumerate(order):
            shares[i] += table[cell(order[: place + 1])] - table[cell(order[:place])]
    return shares / len(orders)


def taylor_by_permutations(table, m):
    found = np.zeros((m, m))
    orders = list(permutations(range(m)))
    for i, j in combinations(range(m), 2):
        for order in orders:
            before = cell(order[: min(order.index(i), order.index(j))])
            one, other = table[before + (1 << i)], table[before + (1 << j)]
            found[i, j] += table[before + (1 << i) + (1 << j)] - one - other + table[before]
    found = (found + found.T) / len(orders)
    found[np.diag_indices(m)] = [table[1 << i] - table[0] for i in range(m)]
    return found


@pytest.mark.parametrize("m", [1, 2, 3, 5])
def test_shapley_is_the_mean_over_all_orders(m):
    assert shapley.shapley(table_of(m)) == pytest.approx(by_permutations(table_of(m), m))


@pytest.mark.parametrize("m", [1, 2, 3, 5])
def test_interactions_are_the_mean_over_all_orders(m):
    expected = taylor_by_permutations(table_of(m), m)
    assert shapley.interactions(table_of(m)) == pytest.approx(expected)


@pytest.mark.parametrize("m", [1, 4, 8])
def test_shares_and_interactions_add_up_to_the_whole_step(m):
    table = table_of(m)
    step = table[-1] - table[0]
    assert shapley.shapley(table).sum() == pytest.approx(step, abs=1e-12)
    assert np.triu(shapley.interactions(table)).sum() == pytest.approx(step, abs=1e-12)


def test_dividends_rebuild_the_table():
    table = table_of(4)
    parts = shapley.dividends(table)
    rebuilt = [sum(parts[t] for t in range(16) if t & s == t) for s in range(16)]
    assert rebuilt == pytest.approx(table)


def test_an_additive_table_has_no_interactions():
    on = (np.arange(8)[:, None] >> np.arange(3)) & 1
    found = shapley.interactions(on @ [0.5, -0.2, 0.1] + 0.3)
    assert found == pytest.approx(np.diag([0.5, -0.2, 0.1]))


def test_leading_axes_pass_through_and_the_input_stays():
    tables = np.asfortranarray(np.stack([table_of(3, seed) for seed in range(6)]).reshape(2, 3, 8))
    kept = tables.copy()
    assert shapley.shapley(tables).shape == (2, 3, 3)
    assert shapley.shapley(tables)[1, 2] == pytest.approx(shapley.shapley(table_of(3, 5)))
    assert shapley.interactions(tables)[1, 0] == pytest.approx(shapley.interactions(table_of(3, 3)))
    assert (tables == kept).all()


@pytest.mark.parametrize("cells", [1, 3, 6])
def test_a_table_that_is_no_factorial_is_refused(cells):
    with pytest.raises(ValueError, match=f"not {cells}"):
        shapley.shapley(np.zeros(cells))
