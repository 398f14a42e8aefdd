"""Evidence on made-up classes: separable Gaussian features, and losses that fit them."""

import numpy as np
from scipy.special import log_softmax, softmax

from hydrometer.methods.trust.evidence import Evidence, out_of_fold

CENTRES = 4.0


def clean(classes=4, per_class=100, dims=6, seed=0):
    """Features (n, d) around class centres, and clean labels (n,)."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), per_class)
    centres = np.eye(max(classes, dims))[:classes, :dims] * CENTRES
    return centres[labels] + rng.standard_normal((len(labels), dims)), labels


def flip(labels, rate, classes, seed=0, target=None):
    """Labels of which a share is another's: any other's, or those that `target` names."""
    rng = np.random.default_rng(seed + 100)
    wrong = rng.random(len(labels)) < rate
    other = (labels + rng.integers(1, classes, len(labels))) % classes
    if target is not None:
        other = np.array([target.get(int(c), int(c)) for c in labels])
    return np.where(wrong, other, labels)


def evidence(features, given, classes, losses=None, probabilities=None, seed=0):
    """What a network that learnt the clean structure would say of the given labels."""
    if probabilities is None:
        rng = np.random.default_rng(seed)
        probabilities = out_of_fold(features, given, classes, rng=rng)
    if losses is None:
        means = [
            np.median(features[given == c], axis=0)
            if (given == c).any()
            else np.full(features.shape[1], 99.0)
            for c in range(classes)
        ]
        logits = -((features[:, None] - np.array(means)[None]) ** 2).sum(-1) / 2
        losses = -log_softmax(logits, axis=1)[np.arange(len(given)), given]
    return Evidence(given, classes, losses, features, probabilities)


__all__ = ["clean", "evidence", "flip", "softmax"]
