"""What trust is estimated from: losses, features and out-of-fold probabilities of `train`."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from hydrometer import students
from hydrometer.artifact.rows import whole
from hydrometer.engine.environment import default_device
from hydrometer.execute.lab import Lab
from hydrometer.methods import recording
from hydrometer.methods.features import embed, observer_recipe
from hydrometer.methods.trust.report import Floats, Labels
from hydrometer.types import HydrometerError, Source, Trial

FOLDS = 5
COMPONENTS = 64
SMOOTHING = 0.3
"""Weight of the newest epoch in the running mean of losses."""
LEAST_STEPS = 200
EARLY_STEPS = 100
TINY = 1e-8


@dataclass(frozen=True)
class Evidence:
    """What is known of n images with given labels in `classes` classes.

    `losses` (n,) are -log p(given) of a network trained on them, `features` (n, d) finite,
    `probabilities` (n, k) of a classifier that did not see the image, rows sum to one. `seconds` is
    what gathering them took, networks included that came from the cache.

    Raises:
        HydrometerError: Lengths differ, a label names no class, there is a single class, a feature
            is not finite, or probabilities are none.
    """

    given: Labels
    classes: int
    losses: Floats
    features: Floats
    probabilities: Floats
    seconds: float = 0.0

    def __post_init__(self) -> None:
        n = len(self.given)
        shapes = (self.losses.shape, self.features.shape[:1], self.probabilities.shape)
        if shapes != ((n,), (n,), (n, self.classes)):
            raise HydrometerError(
                f"losses, features and probabilities have shapes {shapes}; "
                f"for {n} labels of {self.classes} classes they must be (n,), (n, d) and (n, k)"
            )
        if self.classes < 2:
            raise HydrometerError(
                "trust needs two classes; with a single one no label can be wrong"
            )
        if n and not (self.given.min() >= 0 and self.given.max() < self.classes):
            raise HydrometerError(f"labels must be from 0 to {self.classes - 1}")
        if not np.isfinite(self.features).all():
            raise HydrometerError("a feature is NaN or infinite; look for a diverged network")
        total = self.probabilities.sum(1)
        if not (np.all(self.probabilities >= 0) and np.allclose(total, 1, atol=1e-3)):
            raise HydrometerError(
                "probabilities must be at least 0 and sum to 1 in every row; give a softmax"
            )


@dataclass(frozen=True)
class _Gathered:
    """Evidence, and the state of the generator after it was drawn."""

    evidence: Evidence
    after: Mapping[str, Any]


_last: dict[str, _Gathered] = {}
"""The last evidence, by all it depends on: estimators and methods in a row ask for the same."""


def gather(
    source: Source, features: str, student: str = "", *, rng: np.random.Generator
) -> Evidence:
    """The evidence on `train`: one recorded run, named features, and a k-fold probe on them.

    The loss is the running mean over epochs of -log p(given), which forgets slowly: memorised late,
    a wrong label still shows. The network of the features saw all labels, but stopped early; only the
    linear probe on top of it is out of fold. Both networks are `student`, or
    else the field's for the size. The arrays are shared by every caller of one process;
    nobody writes into them.
    """
    key = f"{source.digest}/{features}/{student}/{rng.bit_generator.state}"
    if key not in _last:
        found = _gathered(source, features, student, rng)
        _last.clear()
        _last[key] = _Gathered(found, rng.bit_generator.state)
    rng.bit_generator.state = _last[key].after
    return _last[key].evidence


def epochs_for(source: Source) -> int:
    """Epochs of the recorded run: 10, or 200 steps."""
    return max(10, -(-LEAST_STEPS // -(-len(source.train) // 128)))


def _gathered(source: Source, features: str, student: str, rng: np.random.Generator) -> Evidence:
    given, k = source.train.labels.numpy(), len(source.classes)
    start = time.perf_counter()
    recorded = recording.record(source, epochs=epochs_for(source), student=student)
    losses = recorded.score(smoothed, "loss")
    seconds = _spent(start, recorded.seconds)
    start = time.perf_counter()
    every, training = _embedded(source, features, student)
    small = reduced(every, COMPONENTS)
    probabilities = out_of_fold(small, given, k, rng=rng)
    seconds += _spent(start, training)
    return Evidence(given, k, losses, small, probabilities, seconds)


def _spent(start: float, training: float) -> float:
    # Training that happened just now is within the elapsed time already.
    return max(training, time.perf_counter() - start)


def _embedded(source: Source, features: str, student: str) -> tuple[Floats, float]:
    """Features (n, d), and the seconds of training behind them.

    Those named network are of one that trained for a few epochs, and so memorised little.
    """
    if features != "network":
        points, seconds = embed(source, features)
        return np.asarray(points.numpy(), np.float64), seconds
    usual = observer_recipe(source, student)
    epochs = min(usual.epochs, max(4, -(-EARLY_STEPS // -(-len(source.train) // usual.batch))))
    data, how = whole(source), replace(usual, epochs=epochs)
    lab = Lab(source, default_device())
    teacher = lab.teach(Trial(data.digest, source.digest, how, seed=0), data)
    parts = torch.split(source.train.images, 256)
    found = [students.features(teacher.model, teacher.lens(part))[0] for part in parts]
    every = torch.cat([f.flatten(1).cpu() for f in found])
    return np.asarray(every.numpy(), np.float64), teacher.card.seconds


def smoothed(losses: Floats) -> Floats:
    """0.7 of the past and 0.3 of the present, epoch by epoch: (e, n) to (n,)."""
    mean: Floats = losses[0]
    for epoch in losses[1:]:
        mean = (1 - SMOOTHING) * mean + SMOOTHING * epoch
    return mean


def reduced(features: Floats, components: int) -> Floats:
    """Features (n, d) on their first principal components, at most `components` of them."""
    centred: Floats = features - features.mean(0)
    if centred.shape[1] <= components:
        return centred
    _, axes = np.linalg.eigh(centred.T @ centred)
    found: Floats = centred @ axes[:, ::-1][:, :components]
    return found


def out_of_fold(
    features: Floats,
    labels: Labels,
    classes: int,
    *,
    weights: Floats | None = None,
    targets: Labels | None = None,
    rng: np.random.Generator,
) -> Floats:
    """Probabilities (n, k) of logistic regressions, each image's from one that was not fitted on it.

    Folds are balanced over the given labels. `targets` are fitted instead of them and `weights` count
    images, where given; a class that a fold has not seen gets a probability near zero.
    """
    fold = _folds(labels, classes, rng)
    counted = np.ones(len(labels)) if weights is None else weights
    wanted = labels if targets is None else targets
    scale = features.std(0)
    points = features / np.where(scale > 0, scale, 1.0)
    found = np.full((len(labels), classes), TINY)
    for f in range(FOLDS):
        held, fitted = fold == f, (fold != f) & (counted > 0)
        if held.any():
            found[held] += _probe(points, wanted, counted, fitted, held, classes)
    return np.asarray(found / found.sum(1, keepdims=True))


def given_loss(probabilities: Floats, given: Labels) -> Floats:
    """-log p(given), (n,)."""
    return np.asarray(-np.log(np.maximum(probabilities[np.arange(len(given)), given], TINY)))


def _folds(labels: Labels, classes: int, rng: np.random.Generator) -> Labels:
    """A fold for each image, dealt out within its class; the names of the classes do not matter."""
    draws = rng.random(len(labels))
    fold = np.zeros(len(labels), dtype=np.int64)
    for c in range(classes):
        rows = np.flatnonzero(labels == c)
        fold[rows[np.argsort(draws[rows])]] = np.arange(len(rows)) % FOLDS
    return fold


def _probe(
    points: Floats, labels: Labels, weights: Floats, fitted: Labels, held: Labels, classes: int
) -> Floats:
    """Probabilities (b, k) of the held out, by a probe on the fitted."""
    # Imported late: scikit-learn takes a second, and `list methods` comes by here.
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    found = np.zeros((int(held.sum()), classes))
    seen = np.unique(labels[fitted])
    if len(seen) < 2:
        found[:, seen] = 1.0
        return found
    probe = LogisticRegression(C=0.1, max_iter=200, tol=1e-4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        probe.fit(points[fitted], labels[fitted], sample_weight=weights[fitted])
    found[:, seen] = probe.predict_proba(points[held])
    return found
