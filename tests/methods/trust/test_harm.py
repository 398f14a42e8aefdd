"""The no-harm rule: overlapping classes lose nothing, wrong labels among them are still found."""

from functools import partial

import numpy as np
import pytest
from gaussians import evidence, flip

import tiny
from hydrometer.methods import trust
from hydrometer.methods.trust import cleanlab_trust, combined, tad
from hydrometer.methods.trust.cleanlab_trust import confident
from hydrometer.methods.trust.combined import merged
from hydrometer.methods.trust.harm import doubt, harmless, surest
from hydrometer.methods.trust.joint import confident_joint, noise_share
from hydrometer.methods.trust.tad import diverted
from hydrometer.registry import parse

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
    assert report.keep.all() and "may be hard" in report.notes[0]
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


@pytest.mark.parametrize(
    ("images", "shares", "counts"),
    [
        (600, [1.0] * 3, [34] * 3),
        (900, [1.0] * 6, [20] * 6),
        (9000, [8.0, 5.0, 3.0], [None, None, None]),
    ],
)
def test_doubt_is_the_share_of_other_labels_among_the_likeliest_of_each_apparent_class(
    images, shares, counts
):
    rng = np.random.default_rng(0)
    classes = len(shares)
    probabilities = rng.dirichlet(shares, images)
    given = rng.integers(0, classes, images)
    apparent = probabilities.argmax(1)
    looked, other = surest(given, probabilities)
    weighted = 0.0
    for c, wanted in enumerate(counts):
        rows = [row for row in range(images) if apparent[row] == c]
        count = wanted or min(len(rows), max(34, round(0.02 * len(rows))))
        ranked = sorted(rows, key=lambda row: -probabilities[row, c])[:count]
        contradicted = [given[row] != c for row in ranked]
        assert (looked[c], other[c]) == (count, sum(contradicted))
        weighted += len(rows) / images * np.mean(contradicted)
    assert doubt(given, probabilities) == pytest.approx(weighted)


def told(sure, joint, per_class=2000):
    """What the rule says where so many of the surest, and by the joint of all, have another label."""
    labels = np.repeat(np.arange(5), per_class)
    probabilities = np.full((len(labels), 5), 0.01)
    probabilities[np.arange(len(labels)), labels] = np.tile(np.linspace(0.5, 0.96, per_class), 5)
    given = labels.copy()
    for c in range(5):
        surest_of_class = (c + 1) * per_class - 1 - np.arange(round(0.02 * per_class * sure))
        given[surest_of_class] = (c + 1) % 5
    counts = np.diag([1 - joint] * 5) + np.roll(np.diag([joint] * 5), 1, axis=1)
    return harmless(counts, given, probabilities)


def test_all_are_kept_where_few_of_the_surest_are_contradicted_and_the_joint_finds_twice_as_many():
    assert "may be hard" in told(sure=0.05, joint=0.11)
    assert told(sure=0.05, joint=0.09) == ""
    assert "may be hard" in told(sure=0.05, joint=0.9)
    assert told(sure=0.075, joint=0.9) == ""


def test_a_large_class_s_noise_is_not_diluted_by_small_ones():
    rng = np.random.default_rng(0)
    sizes = [2000, 500, 100, 50, 20]
    labels = np.repeat(np.arange(5), sizes)
    probabilities = np.full((len(labels), 5), 0.02)
    probabilities[np.arange(len(labels)), labels] = 0.92
    given = labels.copy()
    given[:2000][rng.random(2000) < 0.1] = 1
    assert doubt(given, probabilities) > 0.05


@pytest.mark.parametrize("name", ESTIMATORS)
def test_the_gate_is_an_argument_of_every_estimator(monkeypatch, name):
    features, labels = overlapping()
    known = evidence(features, labels, CLASSES)
    for module in (cleanlab_trust, combined, tad):
        monkeypatch.setattr(module, "gather", lambda *args, **how: known)
    source = tiny.source()
    kept = {
        gate: trust.estimate(source, parse(f"{name}(gate={gate})")).keep.mean()
        for gate in ("true", "false", "False")
    }
    assert kept["true"] == 1 and kept["false"] == kept["False"] < 0.97


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
