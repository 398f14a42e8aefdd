import warnings

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture

from hydrometer.methods.trust.mixture import FEWEST, Mixture, class_trust, fit, standardised

RNG = np.random.default_rng(0)
VALUES = np.r_[RNG.normal(-1, 0.3, 300), RNG.normal(2, 0.6, 100)]


def test_the_fit_is_that_of_scikit_learn():
    theirs = GaussianMixture(
        2, means_init=[[-1.0], [2.0]], reg_covar=5e-4, tol=1e-6, max_iter=500, random_state=0
    ).fit(VALUES[:, None])
    ours = fit(VALUES)
    np.testing.assert_allclose(ours.mean, theirs.means_[:, 0], atol=0.02)
    np.testing.assert_allclose(ours.deviation, theirs.covariances_[:, 0, 0] ** 0.5, atol=0.02)
    above = ours.mean[0] <= VALUES
    np.testing.assert_allclose(
        ours.low(VALUES)[above], theirs.predict_proba(VALUES[:, None])[above, 0], atol=0.03
    )


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
