import math

import numpy as np
import pytest
import torch
from scipy import special, stats

from hydrometer import seeds
from hydrometer.augment.draws import between, integers, permutation, symmetric_beta

U = seeds.uniform([11], 0, 1, 6000)[0, 0]
LAST = 1 - 2.0**-24


def test_integers_are_uniform_and_never_reach_the_count():
    counts = np.bincount(integers(U, 7).numpy(), minlength=7)
    assert len(counts) == 7
    assert stats.chisquare(counts).pvalue > 1e-3
    for count in range(1, 5000):
        assert integers(torch.tensor([0.0, LAST]), count).tolist() == [0, count - 1]


def test_integers_take_a_count_per_sample():
    counts = torch.tensor([1, 4, 9])
    assert integers(torch.full((3,), LAST), counts).tolist() == [0, 3, 8]


def test_between_spans_the_range():
    assert stats.kstest(between(U, -2, 3).numpy(), stats.uniform(-2, 5).cdf).pvalue > 1e-3


def test_permutations_are_uniform():
    orders = permutation(U.view(-1, 3))
    codes = (orders * torch.tensor([9, 3, 1])).sum(dim=1).numpy()
    _, counts = np.unique(codes, return_counts=True)
    assert len(counts) == math.factorial(3)
    assert stats.chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize("alpha", [0.2, 0.4, 0.8, 2.0, 4.0])
def test_beta_quantiles_agree_with_scipy(alpha):
    drawn = symmetric_beta(U, alpha)
    exact = special.betaincinv(alpha, alpha, U.double().numpy())
    assert np.abs(drawn.numpy() - exact).max() < 1e-4
    assert stats.kstest(drawn.numpy(), stats.beta(alpha, alpha).cdf).pvalue > 1e-3


def test_beta_of_one_is_uniform_and_the_ends_are_the_ends():
    assert symmetric_beta(U, 1.0) is U
    ends = symmetric_beta(torch.tensor([0.0, 0.5, 1.0]), 0.8)
    torch.testing.assert_close(ends, torch.tensor([0.0, 0.5, 1.0]))
