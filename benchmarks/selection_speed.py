"""How long selection takes on features alone: herding, k-center and facility location.

The features are random, 50,000 x 2,048 in ten classes, non-negative as those of a ReLU network. Each
repeat times the whole selection of all classes; features are neither made nor read within it.
`OMP_NUM_THREADS=2 python benchmarks/selection_speed.py` prints seconds and the peak memory.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from hydrometer.methods.select.facility_location import cover
from hydrometer.methods.select.herding import follow_mean
from hydrometer.methods.select.k_center import distances, farthest_first
from hydrometer.methods.select.similarity import cosine, tabled

CLASSES = 10


def k_center(points: Tensor, count: int) -> Tensor:
    start = distances(points, points.mean(0, keepdim=True))
    return farthest_first(lambda i: distances(points, points[i : i + 1]), start, count)


def facility_location(points: Tensor, count: int) -> Tensor:
    return cover(tabled(cosine(points), len(points)), len(points), count)


METHODS: dict[str, Callable[[Tensor, int], Tensor]] = {
    "herding": follow_mean,
    "k-center": k_center,
    "facility-location": facility_location,
}


def seconds(select: Callable[[Tensor, int], Tensor], points: Tensor, ipc: int) -> float:
    start = time.perf_counter()
    for label in range(CLASSES):
        # Images of a class lie scattered, so gathering its features is part of the work.
        chosen = select(points[torch.arange(label, len(points), CLASSES)], ipc)
        if len(chosen.unique()) != ipc:
            raise SystemExit(f"{select.__name__} kept an image twice")
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--features", type=int, default=2_048)
    parser.add_argument("--ipc", type=int, nargs="+", default=[10, 50])
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(asked.images, asked.features, generator=generator).relu_()
    print(
        f"{asked.images} x {asked.features}, {CLASSES} classes, {torch.get_num_threads()} threads"
    )
    for name, select in METHODS.items():
        for ipc in asked.ipc:
            found = [seconds(select, points, ipc) for _ in range(asked.repeats)]
            spread = f"{min(found):.1f} to {max(found):.1f}"
            print(f"{name} ipc={ipc}: {statistics.median(found):.1f} s ({spread}, n={len(found)})")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


if __name__ == "__main__":
    main()
