"""Whether labels may be mended: only by a classifier that is right often enough, unless told to."""

import numpy as np
import pytest
from gaussians import clean, evidence, flip

import tiny
from hydrometer.methods import trust
from hydrometer.methods.trust import combined, tad
from hydrometer.methods.trust.harm import ABLE, accuracy, unable
from hydrometer.methods.trust.report import Provenance, wants_recall
from hydrometer.registry import parse

both = pytest.mark.parametrize("name", ["tad", "combined"])


def classifier(right, labels, classes, seed=0):
    """Probabilities of one that is right on a share of the images, surer of those than of the others."""
    rng = np.random.default_rng(seed)
    hit = rng.random(len(labels)) < right
    apparent = np.where(hit, labels, (labels + rng.integers(1, classes, len(labels))) % classes)
    sure = np.where(hit, rng.uniform(0.5, 0.99, len(labels)), rng.uniform(0.4, 0.7, len(labels)))
    found = np.repeat((1 - sure)[:, None] / (classes - 1), classes, axis=1)
    found[np.arange(len(labels)), apparent] = sure
    return found


@pytest.mark.parametrize("right", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("noise", [0.0, 0.2, 0.4])
def test_accuracy_is_read_off_noisy_labels(right, noise):
    labels = np.repeat(np.arange(10), 1000)
    probabilities = classifier(right, labels, 10)
    truth = (probabilities.argmax(1) == labels).mean()
    given = flip(labels, noise, 10)
    # By chance an error and a wrong label agree on one of nine classes.
    chance = (1 - right) * noise / 9 / (1 - noise)
    assert accuracy(given, probabilities) == pytest.approx(truth + chance, abs=0.06)


def test_a_classifier_must_be_right_on_three_of_four():
    labels = np.repeat(np.arange(10), 1000)
    assert ABLE == 0.75
    assert unable(labels, classifier(0.78, labels, 10)) == ""
    assert "about 7" in unable(labels, classifier(0.72, labels, 10))


@pytest.mark.parametrize(
    ("classes", "per_class", "gap"), [(10, 20, 1.5), (10, 40, 2.0), (2, 50, 1.0)]
)
def test_nothing_is_read_off_images_that_are_many_of_their_class(classes, per_class, gap):
    """All of a small class would be its surest, whose errors would pass for wrong labels."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(classes), per_class)
    features = gap * np.eye(classes)[labels] + rng.standard_normal((len(labels), classes))
    known = evidence(features, flip(labels, 0.4, classes), classes)
    assert np.isnan(accuracy(known.given, known.probabilities))
    assert "cannot be told" in unable(known.given, known.probabilities)


def test_nothing_is_read_off_labels_that_are_mostly_wrong():
    labels = np.repeat(np.arange(10), 1000)
    probabilities = classifier(0.9, labels, 10)
    assert np.isnan(accuracy(flip(labels, 0.6, 10), probabilities))
    assert not np.isnan(accuracy(flip(labels, 0.45, 10), probabilities))


def shown(monkeypatch, name, features, labels, classes, wanted=0):
    """Report of an estimator on made-up evidence under 40 % of noise, and how many it recalls."""
    known = evidence(features, flip(labels, 0.4, classes), classes)
    for module in (combined, tad):
        monkeypatch.setattr(module, "gather", lambda *args, **how: known)
    monkeypatch.setattr(trust, "_last", {})
    report = trust.estimate(tiny.source(), parse(name), wanted=wanted)
    return report, (report.provenance == Provenance.RECALIBRATED).sum()


@both
def test_a_good_classifier_mends_for_large_sets_alone(monkeypatch, name):
    features, labels = clean(per_class=200)
    report, recalled = shown(monkeypatch, name, features, labels, 4)
    assert recalled > 20 and not any("no label is mended" in note for note in report.notes)
    assert shown(monkeypatch, name, features, labels, 4, wanted=4)[1] == 0


@both
def test_a_weak_classifier_mends_only_when_told_to(monkeypatch, name):
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(10), 300)
    features = 1.5 * np.eye(10)[labels] + rng.standard_normal((3000, 10))
    report, recalled = shown(monkeypatch, name, features, labels, 10)
    assert recalled == 0 and any("no label is mended" in note for note in report.notes)
    report, recalled = shown(monkeypatch, f"{name}(recall=true)", features, labels, 10)
    assert recalled > 20 and not any("no label is mended" in note for note in report.notes)


@pytest.mark.parametrize(
    ("wanted", "asked", "found"),
    [(0, None, None), (20, None, None), (19, None, False), (19, True, True), (0, False, False)],
)
def test_small_sets_want_no_recall_and_what_is_asked_for_counts(wanted, asked, found):
    assert wants_recall(wanted, 1000, asked) is found
