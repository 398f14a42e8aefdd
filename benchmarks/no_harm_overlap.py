"""How often the no-harm rule keeps all labels of overlapping Gaussian classes, by kind of noise.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/no_harm_overlap.py [--seeds 20]

Classes are unit Gaussians around the axes at a distance of `gap`; the probe of the estimators tells them
apart. Noise is symmetric, of a single class, or near the boundary: there a label becomes the likeliest
other one with probability exp(-margin) / 2, so that easy images are spared. Writes
docs/results/no-harm-gaussians.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch

from hydrometer.methods.trust.evidence import out_of_fold
from hydrometer.methods.trust.harm import doubt, harmless
from hydrometer.methods.trust.joint import confident_joint, noise_share
from hydrometer.methods.trust.report import Floats, Labels
from tabulate_results import command, environment_line, publish, table

PAGE = Path(__file__).parents[1] / "docs" / "results" / "no-harm-gaussians.md"
SIZES = ((2, 300), (5, 400), (10, 300), (10, 900))
GAPS = (1.5, 2.0, 3.0)
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


def read(classes: int, per_class: int, gap: float, noise: Noise, seed: int) -> list[float]:
    """Of one source: labels that are wrong, by the joint, among the surest, and whether all are kept."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), per_class)
    points = gap * np.eye(classes)[labels] + rng.standard_normal((len(labels), classes))
    given = noise(labels, gap * points, rng)
    probabilities = out_of_fold(points, given, classes, rng=rng)
    joint = confident_joint(given, probabilities)
    kept = harmless(joint, given, probabilities) != ""
    return [float((given != labels).mean()), noise_share(joint), doubt(given, probabilities), kept]


def row(classes: int, per_class: int, gap: float, seeds: int) -> list[str]:
    """A setting: for each noise what is wrong, joint and surest on average, and how often all is kept."""
    cells = [str(classes), str(per_class), f"{gap:g}"]
    for noise in NOISES.values():
        found = np.array([read(classes, per_class, gap, noise, seed) for seed in range(seeds)])
        wrong, joint, sure, _ = found.mean(0)
        cells.append(f"**{found[:, 3].sum():.0f}** ({wrong:.0%}, {joint:.0%}, {sure:.1%})")
    return cells


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    asked = parser.parse_args()
    rows = [row(*size, gap, asked.seeds) for size in SIZES for gap in GAPS]
    publish(
        PAGE,
        f"# The no-harm rule on overlapping classes\n\nMade by `{command()}`: of {asked.seeds} sources each, "
        "how many have all labels kept, and on average what is wrong, what the joint finds, and what the "
        "surest images have.\n\n"
        + table(["classes", "images of each", "gap", *NOISES], rows)
        + f"\n\n{environment_line(torch.device('cpu'))}",
    )


if __name__ == "__main__":
    main()
