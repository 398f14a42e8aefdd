"""How long selection takes on features alone, and how much memory: herding, k-center, and the rest.

The features are random, 50,000 x 2,048 in ten classes, non-negative as those of a ReLU network; where
gradients are selected by, logits are random too. Each repeat times the whole selection of all classes;
features are neither made nor read within it. Every method runs in a process of its own, whose peak
memory includes Python, torch and the features.

    OMP_NUM_THREADS=2 python benchmarks/selection_speed.py
    OMP_NUM_THREADS=2 python benchmarks/selection_speed.py --methods herding k-center --ipc 10
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from hydrometer.methods.select.contextual_diversity import symmetric_divergence
from hydrometer.methods.select.craig import cluster_sizes, medoids
from hydrometer.methods.select.d2 import pass_messages
from hydrometer.methods.select.facility_location import cover
from hydrometer.methods.select.gradmatch import fit, pursue
from hydrometer.methods.select.graph_cut import cut
from hydrometer.methods.select.herding import follow_mean
from hydrometer.methods.select.k_center import distances, farthest_first
from hydrometer.methods.select.last_layer import Gradients, errors, gradients
from hydrometer.methods.select.log_det import span
from hydrometer.methods.select.neighbours import nearest
from hydrometer.methods.select.similarity import cosine, tabled

CLASSES = 10
PENALTY = 0.001


class Seen(NamedTuple):
    """Features (n, d), logits (n, k) and labels (n,) of the images of one class."""

    points: Tensor
    logits: Tensor
    labels: Tensor

    def gradients(self) -> Gradients:
        """Those of the cross entropy for the last layer."""
        return gradients(self.points, self.logits, self.labels)


def k_center(seen: Seen, count: int) -> Tensor:
    points = seen.points
    start = distances(points, points.mean(0, keepdim=True))
    return farthest_first(lambda i: distances(points, points[i : i + 1]), start, count)


def contextual_diversity(seen: Seen, count: int) -> Tensor:
    own = seen.logits.double().log_softmax(1)
    start = symmetric_divergence(own, own.mean(0))
    return farthest_first(lambda i: symmetric_divergence(own, own[i]), start, count)


def facility_location(seen: Seen, count: int) -> Tensor:
    size = len(seen.points)
    return cover(tabled(cosine(seen.points), size), size, count)


def log_det(seen: Seen, count: int) -> Tensor:
    own = seen.points.double()
    return span(cosine(own), torch.ones(len(own), dtype=own.dtype), count, 1e-4)


def d2(seen: Seen, count: int) -> Tensor:
    squared, near = nearest(seen.points, 10)
    score = errors(seen.logits, seen.labels).norm(dim=1)
    return pass_messages(score, squared / squared.mean(), near, count, forward=1.0, reverse=1.0)


def craig(seen: Seen, count: int) -> Tensor:
    own = seen.gradients()
    chosen = medoids(own, count)
    cluster_sizes(own, chosen)
    return chosen


def gradmatch(seen: Seen, count: int) -> Tensor:
    own = seen.gradients()
    chosen = pursue(own, count, PENALTY)
    fit(own, chosen, PENALTY)
    return chosen


METHODS: dict[str, Callable[[Seen, int], Tensor]] = {
    "herding": lambda seen, count: follow_mean(seen.points, count),
    "k-center": k_center,
    "facility-location": facility_location,
    "graph-cut": lambda seen, count: cut(seen.points, count, 2.0),
    "log-det": log_det,
    "contextual-diversity": contextual_diversity,
    "d2": d2,
    "craig": craig,
    "gradmatch": gradmatch,
}


def seconds(name: str, every: Seen, ipc: int) -> float:
    """The time of one whole selection."""
    start = time.perf_counter()
    for label in range(CLASSES):
        # Images of a class lie scattered, so gathering its features is part of the work.
        members = torch.arange(label, len(every.points), CLASSES)
        chosen = METHODS[name](Seen(*(part[members] for part in every)), ipc)
        if len(chosen.unique()) != ipc:
            raise SystemExit(f"{name} kept an image twice")
    return time.perf_counter() - start


def measure(name: str, asked: argparse.Namespace) -> None:
    """Time one method in this process, and print its lines."""
    generator = torch.Generator().manual_seed(0)
    every = Seen(
        torch.randn(asked.images, asked.features, generator=generator).relu_(),
        torch.randn(asked.images, CLASSES, generator=generator),
        torch.arange(asked.images) % CLASSES,
    )
    for ipc in asked.ipc:
        found = [seconds(name, every, ipc) for _ in range(asked.repeats)]
        spread = f"{min(found):.1f} to {max(found):.1f}"
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(
            f"{name} ipc={ipc}: {statistics.median(found):.1f} s "
            f"({spread}, n={len(found)}), peak {peak:.2f} GiB",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--features", type=int, default=2_048)
    parser.add_argument("--ipc", type=int, nargs="+", default=[10, 50])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.here:
        return measure(asked.methods[0], asked)
    threads = torch.get_num_threads()
    print(f"{asked.images} x {asked.features}, {CLASSES} classes, {threads} threads", flush=True)
    for name in asked.methods:
        # The last of a repeated option counts.
        alone = [sys.executable, *sys.argv, "--here", "--methods", name]
        subprocess.run(alone, check=True)
    return None


if __name__ == "__main__":
    main()
