import numpy as np
import pytest
from cleanlab.count import compute_confident_joint
from gaussians import clean, evidence, flip

from hydrometer.methods.trust.joint import clean_classes, confident_joint, noise_share, wrong


@pytest.mark.parametrize("rate", [0.2, 0.4])
def test_the_joint_is_that_of_cleanlab(rate):
    features, labels = clean()
    known = evidence(features, flip(labels, rate, 4), 4)
    theirs = compute_confident_joint(known.given, known.probabilities, calibrate=True)
    np.testing.assert_allclose(confident_joint(known.given, known.probabilities), theirs, atol=2)


def test_rows_sum_to_the_classes_and_a_class_without_images_counts_as_right():
    probabilities = np.random.default_rng(0).dirichlet(np.ones(3), 30)
    given = np.repeat([0, 2], 15)
    joint = confident_joint(given, probabilities)
    np.testing.assert_allclose(joint.sum(1), [15, 0, 15])
    assert wrong(joint)[1] == 0 and 0 <= noise_share(joint) <= 1


def test_clean_classes_are_those_that_look_like_themselves():
    joint = np.array([[99.0, 1.0], [10.0, 90.0]])
    assert clean_classes(joint, 0.02).tolist() == [True, False]
    assert noise_share(joint) == pytest.approx(11 / 200)
