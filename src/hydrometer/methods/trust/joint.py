"""The confident joint: how many images of each given class look like each class."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hydrometer.methods.trust.report import Floats, Labels


def confident_joint(given: Labels, probabilities: Floats) -> Floats:
    """Counts (k, k) by given (rows) and apparent class, each row summing to its class's size.

    An image counts for the likeliest class among those whose probability reaches the mean it has
    over the images given that class. Northcutt, Jiang and Chuang, "Confident learning" (JAIR 2021),
    equation 1, and the calibration of equation 3. A class without any confident image counts as right.
    """
    classes = probabilities.shape[1]
    sizes = np.bincount(given, minlength=classes)
    own = [probabilities[given == c, c].mean() if sizes[c] else np.inf for c in range(classes)]
    reached = probabilities >= np.array(own) - 1e-6
    apparent = np.where(reached, probabilities, -1.0).argmax(1)
    confident = reached.any(1)
    flat = given[confident] * classes + apparent[confident]
    counts = np.bincount(flat, minlength=classes**2).reshape(classes, classes).astype(np.float64)
    empty = counts.sum(1) == 0
    counts[empty, empty] = 1.0
    return np.asarray(counts * (sizes / counts.sum(1))[:, None])


def wrong(joint: Floats) -> Floats:
    """Images of each given class (k,) that look like another."""
    return np.asarray(joint.sum(1) - np.diag(joint))


def noise_share(joint: Floats) -> float:
    """Estimated share of all labels that are wrong."""
    return float(wrong(joint).sum() / max(joint.sum(), 1.0))


def clean_classes(joint: Floats, share: float) -> NDArray[np.bool_]:
    """Given classes (k,) of which less than a share looks like another."""
    return np.asarray(wrong(joint) < share * np.maximum(joint.sum(1), 1.0))
