"""Overlapping Gaussian classes: how often the no-harm rule keeps all labels, and who may mend some.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/no_harm_overlap.py [--seeds 20]

Classes are unit Gaussians around the axes at a distance of `gap`; the probe of the estimators tells them
apart. Noise is symmetric, of a single class, or near the boundary: there a label becomes the likeliest
other one with probability exp(-margin) / 2, so that easy images are spared. Writes
docs/results/no-harm-gaussians.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from hydrometer.methods.trust.evidence import out_of_fold
from hydrometer.methods.trust.harm import ABLE, accuracy, doubt, harmless
from hydrometer.methods.trust.joint import confident_joint, noise_share
from hydrometer.methods.trust.report import Floats, Labels
from tabulate_results import command, environment_line, publish, table

PAGE = Path(__file__).parents[1] / "docs" / "results" / "no-harm-gaussians.md"
SIZES = ((2, 300), (5, 400), (10, 300), (10, 900))
GAPS = (1.5, 2.0, 3.0)
SMALL_SIZES = ((2, 50), (10, 40), (20, 25), (10, 100))
"""Classes so small that their surest images are many of them."""
Noise = Callable[[Labels, Floats, np.random.Generator], Labels]
"""Given labels from the right ones, the logits of the true model, and draws."""


def symmetric(rate: float, labels: Labels, logits: Floats, rng: np.random.Generator) -> Labels:
    classes = logits.shape[1]
    other = (labels + rng.integers(1, classes, len(labels))) % classes
    return np.where(rng.random(len(labels)) < rate, other, labels)


def one_class(rate: float, labels: Labels, logits: Floats, rng: np.random.Generator) -> Labels:
    return np.where((labels == 0) & (rng.random(len(labels)) < rate), 1, labels)


def near_boundary(labels: Labels, logits: Floats, rng: np.random.Generator) -> Labels:
    rows, rest = np.arange(len(labels)), logits.copy()
    rest[rows, labels] = -np.inf
    margin = logits[rows, labels] - rest.max(1)
    flipped = rng.random(len(labels)) < np.exp(-np.maximum(margin, 0)) / 2
    return np.where(flipped, rest.argmax(1), labels)


NOISES: dict[str, Noise] = {
    "clean": partial(symmetric, 0.0),
    "symmetric 5 %": partial(symmetric, 0.05),
    "symmetric 10 %": partial(symmetric, 0.1),
    "symmetric 20 %": partial(symmetric, 0.2),
    "40 % of one class": partial(one_class, 0.4),
    "near the boundary": near_boundary,
}

MENDED: dict[str, Noise] = {
    "symmetric 20 %": partial(symmetric, 0.2),
    "symmetric 40 %": partial(symmetric, 0.4),
    "symmetric 60 %": partial(symmetric, 0.6),
    "40 % of one class": partial(one_class, 0.4),
}


@dataclass(frozen=True)
class Seen:
    """One source as the estimators see it: right, given and out-of-fold labels."""

    labels: Labels
    given: Labels
    probabilities: Floats


def seen(classes: int, per_class: int, gap: float, noise: Noise, seed: int) -> Seen:
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), per_class)
    points = gap * np.eye(classes)[labels] + rng.standard_normal((len(labels), classes))
    given = noise(labels, gap * points, rng)
    return Seen(labels, given, out_of_fold(points, given, classes, rng=rng))


def read(classes: int, per_class: int, gap: float, noise: Noise, seed: int) -> list[float]:
    """Of one source: labels that are wrong, by the joint, among the surest, and whether all are kept."""
    found = seen(classes, per_class, gap, noise, seed)
    joint = confident_joint(found.given, found.probabilities)
    kept = harmless(joint, found.given, found.probabilities) != ""
    wrong = float((found.given != found.labels).mean())
    return [wrong, noise_share(joint), doubt(found.given, found.probabilities), kept]


def row(classes: int, per_class: int, gap: float, seeds: int) -> list[str]:
    """A setting: for each noise what is wrong, joint and surest on average, and how often all is kept."""
    cells = [str(classes), str(per_class), f"{gap:g}"]
    for noise in NOISES.values():
        found = np.array([read(classes, per_class, gap, noise, seed) for seed in range(seeds)])
        wrong, joint, sure, _ = found.mean(0)
        cells.append(f"**{found[:, 3].sum():.0f}** ({wrong:.0%}, {joint:.0%}, {sure:.1%})")
    return cells


def mending(classes: int, per_class: int, gap: float, seeds: int) -> list[str]:
    """A setting: how often the classifier is right, what is thought of it, and how often it may mend."""
    cells = [str(classes), str(per_class), f"{gap:g}"]
    for noise in MENDED.values():
        every = [seen(classes, per_class, gap, noise, seed) for seed in range(seeds)]
        right = np.mean([(one.probabilities.argmax(1) == one.labels).mean() for one in every])
        thought = [accuracy(one.given, one.probabilities) for one in every]
        told = [share for share in thought if not np.isnan(share)]
        mean = f"{np.mean(told):.0%}" if told else "unknown"
        able = sum(share >= ABLE for share in told)
        cells.append(f"**{able}** ({right:.0%}, {mean} in {len(told)})")
    return cells


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    asked = parser.parse_args()
    rows = [row(*size, gap, asked.seeds) for size in SIZES for gap in GAPS]
    sizes = (*SMALL_SIZES, *SIZES)
    able = [mending(*size, gap, asked.seeds) for size in sizes for gap in GAPS]
    publish(
        PAGE,
        f"# The no-harm rule on overlapping classes\n\nMade by `{command()}`: of {asked.seeds} sources each, "
        "how many have all labels kept, and on average what is wrong, what the joint finds, and what the "
        "surest images have.\n\n"
        + table(["classes", "images of each", "gap", *NOISES], rows)
        + f"\n\n## Mending\n\nOf {asked.seeds} sources each, in how many the classifier is thought right on {ABLE:.0%} "
        "of the images, so that it may mend labels; how often it is right, and what is thought on average in "
        "those where anything is.\n\n"
        + table(["classes", "images of each", "gap", *MENDED], able)
        + f"\n\n{environment_line(torch.device('cpu'))}",
    )


if __name__ == "__main__":
    main()
