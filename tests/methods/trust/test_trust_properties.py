from functools import partial

import numpy as np
import pytest
from gaussians import clean, evidence, flip

from hydrometer.methods.trust.cleanlab_trust import confident
from hydrometer.methods.trust.combined import merged
from hydrometer.methods.trust.mixture import class_trust
from hydrometer.methods.trust.report import Provenance, compose, doubts, nothing
from hydrometer.methods.trust.tad import diverted
from hydrometer.types import HydrometerError


def loop(known, **more):
    return diverted(known, rng=np.random.default_rng(0), **more)


ESTIMATORS = {"tad": loop, "cleanlab": confident, "combined": merged}
every = pytest.mark.parametrize("estimator", ESTIMATORS.values(), ids=ESTIMATORS)
recalling = pytest.mark.parametrize(
    "estimator", [ESTIMATORS["tad"], ESTIMATORS["combined"]], ids=["tad", "combined"]
)
SEMANTIC = {0: 1, 2: 3}


def precision(report, truth):
    return (report.target.argmax(1) == truth)[report.keep].mean()


@every
def test_separable_clean_data_lose_at_most_three_in_a_hundred(estimator):
    features, labels = clean()
    assert estimator(evidence(features, labels, 4)).keep.mean() >= 0.97


@every
@pytest.mark.parametrize("seed", range(3))
def test_of_forty_per_cent_symmetric_noise_less_is_left(estimator, seed):
    features, labels = clean(seed=seed)
    report = estimator(evidence(features, flip(labels, 0.4, 4, seed), 4))
    assert precision(report, labels) > 0.8
    assert report.keep[report.given == labels].mean() > 0.6


@every
@pytest.mark.parametrize("seed", range(3))
def test_asymmetric_noise_costs_no_class_its_clean_images(estimator, seed):
    features, labels = clean(seed=seed)
    report = estimator(evidence(features, flip(labels, 0.4, 4, seed, SEMANTIC), 4))
    right = report.given == labels
    for c in range(4):
        assert report.keep[right & (labels == c)].mean() > 0.3
    assert precision(report, labels) > right.mean()


@every
def test_permuted_classes_permute_the_report(estimator):
    features, labels = clean()
    given = flip(labels, 0.3, 4)
    new = np.array([2, 0, 3, 1])
    one, other = (
        estimator(evidence(features, given, 4)),
        estimator(evidence(features, new[given], 4)),
    )
    assert (one.keep != other.keep).mean() < 0.01
    np.testing.assert_allclose(one.noise, other.noise[new], atol=0.03)
    np.testing.assert_allclose(one.transition, other.transition[np.ix_(new, new)], atol=0.03)


@every
def test_two_classes_are_enough_and_one_is_not(estimator):
    features, labels = clean(classes=2)
    report = estimator(evidence(features, flip(labels, 0.3, 2), 2))
    assert precision(report, labels) > 0.8
    with pytest.raises(HydrometerError, match="single"):
        evidence(features, np.zeros(len(labels), int), 1, np.ones(200), np.ones((200, 1)))


@every
@pytest.mark.parametrize("size", [1, 5, 19])
def test_a_small_class_is_kept_down_to_its_floor(estimator, size):
    features, labels = clean()
    rows = np.r_[np.flatnonzero(labels != 3), np.flatnonzero(labels == 3)[:size]]
    given = flip(labels, 0.3, 3)
    given[labels == 3] = 3
    report = estimator(evidence(features[rows], given[rows], 4))
    assert report.keep[given[rows] == 3].sum() >= min(size, 10)


@every
def test_an_absent_class_is_no_obstacle(estimator):
    features, labels = clean()
    report = estimator(evidence(features, flip(labels, 0.3, 4), 5))
    assert report.target.shape == (400, 5) and report.noise[4] == 0
    assert report.transition[4].tolist() == [0, 0, 0, 0, 1]
    assert not (report.target.argmax(1) == 4).any()


@recalling
def test_losses_that_are_all_alike_drop_nobody_for_their_sake(estimator):
    features, labels = clean()
    report = estimator(evidence(features, flip(labels, 0.3, 4), 4, losses=np.ones(400)))
    assert np.isfinite(report.trust).all()
    if report.estimator == "tad":
        assert report.rounds[0].trusted == 400


@recalling
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_loss_that_is_no_number_counts_as_the_largest_of_its_class(estimator, value):
    features, labels = clean()
    known = evidence(features, flip(labels, 0.3, 4), 4)
    losses = known.losses.copy()
    losses[7] = value
    worst = known.losses.copy()
    others = (known.given == known.given[7]) & (np.arange(400) != 7)
    worst[7] = known.losses[others].max()
    broken, plain = (
        estimator(evidence(features, known.given, 4, losses=values)) for values in (losses, worst)
    )
    np.testing.assert_array_equal(broken.trust, plain.trust)
    assert np.isfinite(broken.target).all()


@every
def test_of_contradictory_duplicates_the_wrong_one_is_believed_less(estimator):
    features, labels = clean()
    given = flip(labels, 0.2, 4)
    features, given = np.r_[features, features[:20]], np.r_[given, np.full(20, 2)]
    given[:20] = 0
    report = estimator(evidence(features, given, 4))
    assert report.trust[:20].mean() > report.trust[-20:].mean()
    assert report.keep[:20].mean() > 0.8
    wrong = report.provenance[-20:] == Provenance.GIVEN
    assert wrong.mean() < 0.5


@every
@pytest.mark.parametrize("rate", [0.0, 0.4, 0.7])
def test_targets_weights_and_codes_are_consistent(estimator, rate):
    features, labels = clean()
    report = estimator(evidence(features, flip(labels, rate, 4), 4))
    assert (report.target >= 0).all() and np.allclose(report.target.sum(1), 1)
    assert np.allclose(report.transition.sum(1), 1)
    assert ((report.weight > 0) == report.keep).all() and (report.weight <= 1).all()
    assert ((report.trust >= 0) & (report.trust <= 1)).all()
    kept = np.isin(report.provenance, [Provenance.GIVEN, Provenance.RECALIBRATED])
    assert (kept == report.keep).all()
    given = report.provenance == Provenance.GIVEN
    assert (report.target.argmax(1) == report.given)[given].all()
    assert set(report.suspects) == set(np.flatnonzero(~given))


@every
@pytest.mark.parametrize("least", [10, 60, 90])
def test_every_class_keeps_its_floor(estimator, least):
    features, labels = clean()
    report = estimator(evidence(features, flip(labels, 0.5, 4), 4), least=least)
    trusted = report.provenance == Provenance.GIVEN
    assert np.bincount(report.given[trusted], minlength=4).min() >= least


@every
def test_the_same_seed_gives_the_same_report(estimator):
    features, labels = clean()
    given = flip(labels, 0.4, 4)
    one, other = (estimator(evidence(features, given, 4, seed=1)) for _ in range(2))
    np.testing.assert_array_equal(one.target, other.target)
    np.testing.assert_array_equal(one.trust, other.trust)


@recalling
def test_recalled_labels_are_right_and_can_be_refused(estimator):
    features, labels = clean()
    known = evidence(features, flip(labels, 0.4, 4), 4)
    report = estimator(known)
    recalled = report.provenance == Provenance.RECALIBRATED
    assert recalled.sum() > 20
    assert (report.target.argmax(1) == labels)[recalled].mean() > 0.95
    without = partial(estimator, recall=False)(known)
    assert not (without.provenance == Provenance.RECALIBRATED).any()
    np.testing.assert_array_equal(
        without.provenance == Provenance.GIVEN, report.provenance == Provenance.GIVEN
    )


@recalling
def test_a_class_below_its_floor_gets_images_back_that_others_are_refused(estimator):
    features, labels = clean()
    given = flip(labels, 0.3, 4)
    given[(labels != 3) & (given == 3)] = 0
    # Of class 3 thirty labels are left; its other images are spread over all classes.
    given[labels == 3] = np.r_[np.full(30, 3), np.arange(70) % 3]
    report = partial(estimator, recall=False, least=40)(evidence(features, given, 4))
    recalled = report.provenance == Provenance.RECALIBRATED
    assert recalled.any()
    assert (report.target.argmax(1)[recalled] == 3).all()
    assert (labels[recalled] == 3).mean() > 0.9


def test_a_global_mixture_would_lose_a_class_where_class_wise_ones_do_not():
    rng = np.random.default_rng(0)
    easy, hard = rng.lognormal(-5, 0.4, 300), rng.lognormal(0, 0.4, 100)
    losses, given = np.r_[easy, hard], np.r_[np.zeros(300, int), np.ones(100, int)]
    assert class_trust(losses, np.zeros(400, int), 1).trust[300:].mean() < 0.1
    assert class_trust(losses, given, 2).trust[300:].mean() > 0.3


@pytest.mark.parametrize("rounds", [0, 4])
def test_more_than_three_rounds_are_refused(rounds):
    features, labels = clean()
    with pytest.raises(HydrometerError, match=f"rounds is {rounds}"):
        loop(evidence(features, labels, 4), rounds=rounds)


def test_probabilities_that_do_not_sum_to_one_are_refused():
    features, labels = clean()
    with pytest.raises(HydrometerError, match="sum to 1"):
        evidence(features, labels, 4, probabilities=np.full((400, 4), 0.5))


@pytest.mark.parametrize("wrong", [np.nan, -0.1, 1.1])
def test_a_single_probability_that_is_none_is_refused(wrong):
    features, labels = clean()
    known = evidence(features, labels, 4)
    broken = known.probabilities.copy()
    broken[5, 1] = wrong
    with pytest.raises(HydrometerError, match="at least 0 and sum to 1"):
        evidence(features, labels, 4, known.losses, broken)


@every
def test_one_label_for_all_images_is_no_obstacle(estimator):
    features, _ = clean()
    report = estimator(evidence(features, np.zeros(400, int), 4))
    assert np.isfinite(report.target).all() and np.isfinite(report.transition).all()
    assert (report.given == 0).all() and report.keep.sum() >= 10


def test_noise_of_half_a_class_towards_one_other_is_doubted():
    labels = clean()[1]
    given = np.where((labels == 0) & (np.arange(400) % 5 < 3), 1, labels)
    report = compose("test", given, given == labels, given == labels, labels, nothing(400, 4))
    (said,) = doubts(report, "abcd")
    assert said.startswith("60% of what looks like class 'a' is labelled 'b'")
    spread = np.where(np.arange(400) % 5 < 3, (labels + np.arange(400) % 3 + 1) % 4, labels)
    right = spread == labels
    assert not doubts(compose("test", spread, right, right, labels, nothing(400, 4)), "abcd")


def test_features_and_labels_that_make_no_sense_are_refused():
    features, labels = clean()
    known = evidence(features, labels, 4)
    features[3, 0] = np.nan
    with pytest.raises(HydrometerError, match="NaN"):
        evidence(features, labels, 4, known.losses, known.probabilities)
    with pytest.raises(HydrometerError, match="from 0 to 3"):
        evidence(features[:, 1:], labels + 1, 4, known.losses, known.probabilities)
    with pytest.raises(HydrometerError, match="shapes"):
        evidence(features[:, 1:], labels, 4, known.losses[1:], known.probabilities)
