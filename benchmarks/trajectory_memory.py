"""One step of trajectory matching: the adjoint against the full unroll, in time and in peak memory.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/trajectory_memory.py [--width 64] [--steps 30] [--rounds 5]

CIFAR-10's shape at 10 images per class, ConvNet-3, all 100 random images at each of N steps, float32,
no augmentation. `unroll` is torch as it comes; `unroll, pages kept` and all others keep freed pages, as the lab does.
Each way runs in a process of its own, in turn, round by round; memory is the peak resident set above that
just before the step. Also says how far the gradients are apart. Writes docs/results/trajectory-memory.md.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from hydrometer import students
from hydrometer.engine.environment import default_device, keep_pages
from hydrometer.methods.match.networks import Network, flat
from hydrometer.methods.match.trajectory import through_training
from tabulate_results import command, environment_line, publish, spread, table

KEPT = "unroll, pages kept"
WAYS = ("unroll", KEPT, "adjoint", "tesla")
PAGE = Path(__file__).parents[1] / "docs" / "results" / "trajectory-memory.md"
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

    if way != "unroll":
        keep_pages()
    before, began, used = _peak(), time.perf_counter(), time.process_time()
    if way in ("unroll", KEPT):
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


def alone(way: str, asked: argparse.Namespace, out: Path) -> dict[str, float]:
    """One way, measured in a process of its own."""
    words = [sys.executable, __file__, "--ways", way, "--alone", str(out)]
    words += ["--width", str(asked.width), "--steps", str(asked.steps), "--ipc", str(asked.ipc)]
    done = subprocess.run(words, capture_output=True, check=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    print(f"{way}: {found['cpu']:.1f} s CPU, {found['bytes'] / 2**30:.2f} GiB", flush=True)
    return found


def row(way: str, rounds: Sequence[dict[str, dict[str, float]]], gap: float) -> list[str]:
    """A way's time and memory, and both as ratios to the adjoint's of the same round."""
    mine, adjoint = ([r[name] for r in rounds] for name in (way, "adjoint"))
    ratios = [
        [a[kind] / b[kind] for a, b in zip(mine, adjoint, strict=True)] for kind in ("cpu", "bytes")
    ]
    return [
        way,
        spread([m["cpu"] for m in mine]),
        spread([m["bytes"] / 2**30 for m in mine]),
        *(f"{spread(ratio)}x" for ratio in ratios),
        f"{gap:.1e}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--ipc", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--page", type=Path, default=PAGE)
    parser.add_argument("--alone", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.alone:
        print(json.dumps(measure(asked.ways[0], asked.width, asked.steps, asked.ipc, asked.alone)))
        return
    with tempfile.TemporaryDirectory() as folder:
        ways = list(dict.fromkeys([*asked.ways, "adjoint"]))
        out = {way: Path(folder) / str(i) for i, way in enumerate(ways)}
        rounds = [{w: alone(w, asked, out[w]) for w in ways} for _ in range(asked.rounds)]
        found = {way: torch.load(path, weights_only=True) for way, path in out.items()}
    exact = found["adjoint"]
    gaps = {way: float((g - exact).norm() / exact.norm()) for way, g in found.items()}
    head = [
        "way",
        "processor s",
        "GiB",
        "time of the adjoint's",
        "memory of the adjoint's",
        "gradient apart",
    ]
    told = (
        f"ConvNet-3 of width {asked.width}, {10 * asked.ipc} images, {asked.steps} steps; "
        f"n={asked.rounds} rounds of all ways in turn, median and range, ratios within a round."
    )
    rows = [row(way, rounds, gaps[way]) for way in ways]
    publish(
        asked.page,
        f"# A step through training: memory and time\n\nMade by `{command()}`: {told}\n\n"
        f"{table(head, rows)}\n\n{environment_line(default_device())}",
    )


if __name__ == "__main__":
    main()
