import numpy as np
from gaussians import clean, flip
from scipy.spatial.distance import mahalanobis
from sklearn.covariance import ledoit_wolf

from hydrometer.methods.trust.anchors import distances, recall


def test_distances_agree_with_scipy():
    features, labels = clean(per_class=30)
    found = distances(features, labels, 4, np.ones(120, bool))
    points = features - features.mean(0)
    centres = np.array([np.median(points[labels == c], axis=0) for c in range(4)])
    inverse = np.linalg.inv(ledoit_wolf(points - centres[labels])[0])
    for i in range(0, 120, 17):
        for c in range(4):
            expected = mahalanobis(points[i], centres[c], inverse) ** 2
            np.testing.assert_allclose(found.squared[i, c], expected, rtol=1e-5)
            cosine = points[i] @ centres[c] / np.linalg.norm(points[i]) / np.linalg.norm(centres[c])
            np.testing.assert_allclose(found.cosine[i, c], cosine)


def test_an_image_unlike_any_class_is_not_recalled():
    features, labels = clean()
    features[0] = 50.0
    given = labels.copy()
    given[0] = 1
    trusted = np.arange(400) != 0
    found = recall(features, given, 4, np.ones(400), trusted)
    assert not found.recalled[0]
    np.testing.assert_allclose(found.reliability.sum(1), 1)


def test_nobody_who_is_trusted_is_recalled_and_no_absent_class_is_named():
    features, labels = clean()
    given = flip(labels, 0.3, 4)
    trusted = (given == labels) & (labels != 3)
    found = recall(features, given, 4, np.ones(400), trusted)
    assert not found.recalled[trusted].any()
    assert not (found.reliability.argmax(1) == 3).any()
