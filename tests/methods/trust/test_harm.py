"""The no-harm rule: overlapping classes lose nothing, wrong labels among them are still found."""

from functools import partial

import numpy as np
import pytest
from gaussians import evidence, flip

from hydrometer.methods.trust.cleanlab_trust import confident
from hydrometer.methods.trust.combined import merged
from hydrometer.methods.trust.harm import doubt, harmless, surest
from hydrometer.methods.trust.joint import confident_joint, noise_share
from hydrometer.methods.trust.tad import diverted

CLASSES = 5
ESTIMATORS = {
    "tad": partial(diverted, rng=np.random.default_rng(0)),
    "cleanlab": confident,
    "combined": merged,
}
every = pytest.mark.parametrize("estimator", ESTIMATORS.values(), ids=ESTIMATORS)


def overlapping(seed=0, per_class=400):
    """Classes so close that a perfect classifier errs on a fifth of the images, labels all right."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(CLASSES), per_class)
    return 2.0 * np.eye(CLASSES)[labels] + rng.standard_normal((len(labels), CLASSES)), labels


@every
@pytest.mark.parametrize("seed", range(3))
def test_hard_images_are_kept_unless_the_gate_is_left_open(estimator, seed):
    features, labels = overlapping(seed)
    known = evidence(features, labels, CLASSES)
    report = estimator(known)
    assert report.keep.all() and "hard rather than" in report.notes[0]
    assert estimator(known, gate=False).keep.mean() < 0.97


@every
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("rate", [0.1, 0.4])
def test_wrong_labels_among_hard_images_are_dropped(estimator, seed, rate):
    features, labels = overlapping(seed)
    given = flip(labels, rate, CLASSES, seed)
    report = estimator(evidence(features, given, CLASSES))
    kept_right = (given == labels)[report.keep].mean()
    assert not report.keep.all() and kept_right > (given == labels).mean() + rate / 4


def test_noise_of_a_single_class_is_not_lost_among_the_others():
    found = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        labels = np.repeat(np.arange(10), 300)
        features = 2.0 * np.eye(10)[labels] + rng.standard_normal((3000, 10))
        known = evidence(features, flip(labels, 0.4, 10, seed, {0: 1}), 10, seed=seed)
        joint = confident_joint(known.given, known.probabilities)
        found.append(harmless(joint, known.given, known.probabilities))
    assert found.count("") >= 4


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.3])
def test_the_surest_images_say_how_many_labels_are_wrong_where_the_joint_counts_hard_ones(rate):
    features, labels = overlapping()
    known = evidence(features, flip(labels, rate, CLASSES), CLASSES)
    sure = doubt(known.given, known.probabilities)
    assert abs(sure - rate) < 0.07
    assert noise_share(confident_joint(known.given, known.probabilities)) > rate + 0.08


def test_doubt_is_the_share_of_other_labels_among_the_likeliest_of_each_apparent_class():
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(3), 600)
    given = rng.integers(0, 3, 600)
    contradicted, of_class = [], []
    for c in range(3):
        ranked = sorted(
            (row for row in range(600) if probabilities[row].argmax() == c),
            key=lambda row: -probabilities[row, c],
        )
        of_class.append([given[row] != c for row in ranked[:34]])
        contradicted += of_class[-1]
    assert doubt(given, probabilities) == pytest.approx(np.mean(contradicted))
    looked, other = surest(given, probabilities)
    assert looked.tolist() == [34] * 3 and other.tolist() == [sum(row) for row in of_class]


def test_few_wrong_labels_among_easy_images_are_no_reason_to_keep_all():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(10), 300)
    given = flip(labels, 0.04, 10)
    probabilities = np.full((3000, 10), 0.001)
    probabilities[np.arange(3000), labels] = rng.uniform(0.9, 0.991, 3000)
    probabilities /= probabilities.sum(1, keepdims=True)
    joint = confident_joint(given, probabilities)
    assert noise_share(joint) > 0.02 and harmless(joint, given, probabilities) == ""


def test_under_two_in_a_hundred_all_are_kept():
    joint = np.array([[99.0, 1.0], [1.0, 99.0]])
    assert "below 2%" in harmless(joint, np.zeros(0, int), np.zeros((0, 2)))
