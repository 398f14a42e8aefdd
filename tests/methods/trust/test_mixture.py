import warnings
from functools import partial

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture

from hydrometer.methods.trust.mixture import (
    FEWEST,
    Mixture,
    class_trust,
    divide,
    fit,
    standardised,
)

RNG = np.random.default_rng(0)
VALUES = np.r_[RNG.normal(-1, 0.3, 300), RNG.normal(2, 0.6, 100)]


@pytest.mark.parametrize("apart", [1.5, 3.0, 6.0])
def test_the_fit_is_that_of_scikit_learn(apart):
    values = np.r_[RNG.normal(-1, 0.3, 300), RNG.normal(apart - 1, 0.6, 100)]
    theirs = GaussianMixture(2, reg_covar=5e-4, tol=1e-2, max_iter=10, random_state=0, n_init=5)
    theirs.fit(values[:, None])
    order = np.argsort(theirs.means_[:, 0])
    ours = fit(values)
    close = partial(np.testing.assert_allclose, rtol=1e-9)
    close(ours.share, theirs.weights_[order])
    close(ours.mean, theirs.means_[order, 0])
    close(ours.deviation, theirs.covariances_[order, 0, 0] ** 0.5)
    above = ours.mean[0] <= values
    close(ours.low(values)[above], theirs.predict_proba(values[:, None])[above, order[0]])


@pytest.mark.parametrize("size", [2, 3, 20])
def test_two_groups_vary_least_within(size):
    values = RNG.normal(100, 1, size)

    def within(cut):
        return sum(part.var() * len(part) for part in (values[values <= cut], values[values > cut]))

    cuts = np.sort(values)[:-1]
    assert divide(values) == cuts[np.argmin([within(cut) for cut in cuts])]


@pytest.mark.parametrize("easiest", [0.0, 1e-30])
@pytest.mark.parametrize("count", [1, 20])
def test_losses_of_next_to_nothing_do_not_bend_the_fit(easiest, count):
    noisy = RNG.random(2000) < 0.4
    losses = np.where(noisy, abs(RNG.normal(4, 1, 2000)), np.exp(RNG.normal(-2, 1.2, 2000)))
    losses[:count], noisy[:count] = easiest, False
    trusted = class_trust(losses, np.zeros(2000, int), 1).trust > 0.5
    assert trusted[~noisy].mean() > 0.9 and (~noisy)[trusted].mean() > 0.9


def test_values_below_the_low_mean_are_believed_whatever_the_high_component_claims():
    found = fit(np.r_[RNG.normal(0, 0.05, 200), RNG.normal(0.5, 3, 200)])
    assert found.low(np.array([found.mean[0] - 5]))[0] == 1


def test_the_separation_is_ashmans():
    found = Mixture(np.array([0.75, 0.25]), np.array([-1.0, 2.0]), np.array([0.3, 0.6]))
    expected = 2**0.5 * 3 / (0.3**2 + 0.6**2) ** 0.5
    assert found.separation == pytest.approx(expected)


def test_two_components_gain_where_there_are_two_and_not_where_there_is_one():
    given = np.zeros(400, int)
    assert class_trust(np.exp(VALUES), given, 1).gain > 50
    assert class_trust(np.exp(RNG.normal(0, 1, 400)), given, 1).gain < 10


def test_small_classes_are_believed():
    losses = np.r_[np.full(FEWEST - 2, 0.01), 9.0]
    assert (class_trust(losses, np.zeros(FEWEST - 1, int), 1).trust == 1).all()


@pytest.mark.parametrize("losses", [np.ones(30), np.full(30, np.nan), np.zeros(30)])
def test_losses_that_say_nothing_make_no_warning(losses):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (standardised(losses) == 0).all()
        found = class_trust(losses, np.zeros(30, int), 1)
    assert (found.trust == 1).all() and np.isnan(found.separation)
