"""Anchors: what images whose labels are believed say of those whose are not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

from hydrometer.methods.trust.report import Floats, Labels, Mask, Recall

ANCHOR_SHARE = 0.5
"""The most trusted part of the trusted images of a class."""
QUANTILE = 0.9
FAR = 1e12


@dataclass(frozen=True)
class Distances:
    """Squared Mahalanobis distances and cosines (n, k) to the centres; far from absent classes."""

    squared: Floats
    cosine: Floats


def recall(features: Floats, given: Labels, classes: int, trust: Floats, trusted: Mask) -> Recall:
    """Reliability of every class for every image, and the images whose class the anchors agree on.

    An image is recalled where Mahalanobis distance and cosine name the same class, it lies within the
    0.9 quantile of that class's anchors, and its cosine margin is at least the trusted median. The
    quantile also refuses images unlike any class.
    """
    anchors = _anchors(given, classes, trust, trusted)
    found = distances(features, given, classes, anchors)
    rows = np.arange(len(given))
    named = found.squared.argmin(1)
    agreed = named == found.cosine.argmax(1)
    near = found.squared[rows, named] <= _limits(found, given, classes, anchors)[named]
    margins = _margins(found.cosine)
    clear = margins >= (np.median(margins[trusted]) if trusted.any() else np.inf)
    return Recall(_reliability(found, given, trusted), agreed & near & clear & ~trusted, agreed)


def distances(features: Floats, given: Labels, classes: int, anchors: Mask) -> Distances:
    """Distances of all images (n, d) to the class medians of the anchors.

    The covariance is that within classes, tied over them, and shrunk as Ledoit and Wolf (2004) do: a
    class's own would be singular. Cosines are between features centred on their global mean.
    """
    # Imported late: scikit-learn takes a second, and `list methods` comes by here.
    from sklearn.covariance import ledoit_wolf

    points = features - features.mean(0)
    d = points.shape[1]
    centres, present = np.zeros((classes, d)), np.zeros(classes, dtype=bool)
    for c in range(classes):
        members = points[anchors & (given == c)]
        if len(members):
            centres[c], present[c] = np.median(members, axis=0), True
    residuals = (points - centres[given])[anchors & present[given]]
    covariance = ledoit_wolf(residuals)[0] if len(residuals) > 1 else np.eye(d)
    ridge = 1e-9 * max(float(np.trace(covariance)) / d, 1e-9)
    root = np.linalg.cholesky(np.linalg.inv(covariance + ridge * np.eye(d)))
    squared = _squared(points @ root, centres @ root)
    cosine = _unit(points) @ _unit(centres).T
    return Distances(np.where(present, squared, FAR), np.where(present, cosine, -1.0))


def _squared(points: Floats, centres: Floats) -> Floats:
    """Squared distances (n, k), without a table of (n, k, d)."""
    lengths = (points**2).sum(1)[:, None] + (centres**2).sum(1)[None]
    return np.asarray(np.maximum(lengths - 2 * points @ centres.T, 0.0))


def _anchors(given: Labels, classes: int, trust: Floats, trusted: Mask) -> Mask:
    chosen = np.zeros(len(given), dtype=bool)
    for c in range(classes):
        rows = np.flatnonzero(trusted & (given == c))
        count = -(-len(rows) // round(1 / ANCHOR_SHARE))
        chosen[rows[np.argsort(-trust[rows], kind="stable")[:count]]] = True
    return chosen


def _limits(found: Distances, given: Labels, classes: int, anchors: Mask) -> Floats:
    limits = np.zeros(classes)
    for c in range(classes):
        own = found.squared[anchors & (given == c), c]
        limits[c] = np.quantile(own, QUANTILE) if len(own) else 0.0
    return limits


def _reliability(found: Distances, given: Labels, trusted: Mask) -> Floats:
    """softmax(-M² / 2T) (1 + cos) / 2, renormalised over the classes.

    T is the median M² of the trusted over k - 1, the dimensions that k centres span: else it would
    saturate in high dimensions.
    """
    own = found.squared[trusted, given[trusted]]
    spanned = found.squared.shape[1] - 1
    temperature = max(float(np.median(own)) / spanned if len(own) else 1.0, 1e-9)
    likelihood = softmax(-found.squared / (2 * temperature), axis=1)
    shares = likelihood * (1 + found.cosine) / 2 + 1e-12
    return np.asarray(shares / shares.sum(1, keepdims=True))


def _margins(cosine: Floats) -> Floats:
    ranked = np.sort(cosine, axis=1)
    return np.asarray(ranked[:, -1] - ranked[:, -2])


def _unit(points: Floats) -> Floats:
    length = np.linalg.norm(points, axis=1, keepdims=True)
    return np.asarray(points / np.where(length > 0, length, 1.0))
