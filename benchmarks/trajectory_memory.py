"""One step of trajectory matching: the adjoint against the full unroll, in time and in peak memory.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/trajectory_memory.py [--width 64] [--steps 30]

CIFAR-10's shape at 10 images per class, ConvNet-3, all 100 random images at each of N steps, float32,
no augmentation. Freed pages are kept, as the lab keeps them. Each way runs in a process of its own; memory is the peak resident set above that just
before the step. Also prints how far the two gradients are apart.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from hydrometer import students
from hydrometer.engine.environment import keep_pages
from hydrometer.methods.match.networks import Network, flat
from hydrometer.methods.match.trajectory import through_training

WAYS = ("unroll", "adjoint", "tesla")
RATE = 0.01


def unroll(loss, end, start: Tensor, images: Tensor, labels: Tensor, steps: int) -> Tensor:
    images, weights = images.requires_grad_(), start.clone().requires_grad_()
    for step in range(steps):
        (slope,) = torch.autograd.grad(
            loss(weights, images, labels, step), weights, create_graph=True
        )
        weights = weights - RATE * slope
    return torch.autograd.grad(end(weights), images)[0]


def measure(way: str, width: int, steps: int, ipc: int, out: Path) -> dict[str, float]:
    spec = students.spec(f"convnet(depth=3,width={width})")
    model = students.create(spec, (3, 32, 32), 10, seed_key=0)
    network, start = Network(model), flat(model)
    generator = torch.Generator().manual_seed(0)
    goal = start + 0.01 * torch.randn(start.shape, generator=generator)
    images = torch.randn(10 * ipc, 3, 32, 32, generator=generator)
    labels = torch.arange(10).repeat_interleave(ipc)

    def loss(weights: Tensor, seen: Tensor, taught: Tensor, _: int) -> Tensor:
        return F.cross_entropy(network(weights, seen), taught)

    def end(weights: Tensor) -> Tensor:
        return (weights - goal).square().sum() / (start - goal).square().sum()

    keep_pages()
    before, began, used = _peak(), time.perf_counter(), time.process_time()
    if way == "unroll":
        found = unroll(loss, end, start, images, labels, steps)
    else:
        found = through_training(
            loss, end, start, images, labels, RATE, steps, truncated=way == "tesla"
        ).images
    seconds, cpu = time.perf_counter() - began, time.process_time() - used
    torch.save(found, out)
    return {"seconds": seconds, "cpu": cpu, "bytes": _peak() - before}


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--ipc", type=int, default=10)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--alone", type=Path, help="run the one way here and keep its gradient")
    asked = parser.parse_args()
    if asked.alone:
        print(json.dumps(measure(asked.ways[0], asked.width, asked.steps, asked.ipc, asked.alone)))
        return
    gradients: dict[str, Tensor] = {}
    print(f"ConvNet-3 w{asked.width}, {10 * asked.ipc} images, {asked.steps} steps")
    with tempfile.TemporaryDirectory() as folder:
        for way in asked.ways:
            path = Path(folder) / way
            command = [sys.executable, __file__, "--ways", way, "--alone", str(path)]
            command += ["--width", str(asked.width), "--steps", str(asked.steps)]
            command += ["--ipc", str(asked.ipc)]
            done = subprocess.run(command, capture_output=True, check=True, text=True)
            found = json.loads(done.stdout)
            gradients[way] = torch.load(path, weights_only=True)
            print(
                f"{way}: {found['seconds']:.1f} s wall, {found['cpu']:.1f} s CPU, "
                f"{found['bytes'] / 2**30:.2f} GiB above the start"
            )
    first, *others = gradients
    for way in others:
        gap = (gradients[way] - gradients[first]).norm() / gradients[first].norm()
        print(f"{way} against {first}: relative difference {float(gap):.1e}")


if __name__ == "__main__":
    main()
