"""Hydrometer beside ddranking==0.2.0 on the same work, A and B in turn, ratios with their spread.

    HYDROMETER_DATA=../shared/data .venv/bin/python benchmarks/vs_ddranking.py [--quick]

The work is one verdict's students: CIFAR-10, one random set of 10 images per class, ConvNet-3 of
width 128, DSA, SGD with a step schedule, batch 256, all 10,000 test images, 5 seeds × 5 rates × 2
arms, 1000 epochs. The peer tests every 10 epochs, as it always does; we read val and test once.

`--quick` measures the unit both are made of, in turn: 10 epochs with one test for the peer, 10 epochs
of ours, and our one exam. A verdict's time is that sum times its count; nothing else is assumed.
Without it, whole students of 30 epochs are trained and their accuracies printed as well.
Ours runs in bfloat16 where the processor has it (`--precision bfloat16` in `evaluate`), the peer in
float32, which is all it offers. The peer trains one student on two threads, its way; ours are two
students side by side on one thread each, as `evaluate` trains them, calibrated as it does, so that a
student's time is half of what the two take. OMP_WAIT_POLICY=passive, which the busy machine needs.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import numpy as np
import torch

from hydrometer import protocols, sources
from hydrometer.artifact.rows import from_rows
from hydrometer.engine import loop
from hydrometer.engine.environment import default_device, native_precision
from hydrometer.execute import Manner, Silent, pace
from hydrometer.execute.lab import Lab
from hydrometer.sources.draw import draw
from hydrometer.types import Source, Trial
from tabulate_results import environment_line, table

HOME = Path(".out")
EPOCHS = 1000
LR = 0.01
SIDE = Manner(threads=1, abreast=2)
BLOCK = 10


def peer_python() -> Path:
    """The peer's own environment, made once."""
    python = HOME / "peer" / "bin" / "python"
    if not python.is_file():
        subprocess.run(["uv", "venv", "-q", "--python", "3.11", HOME / "peer"], check=True)
        subprocess.run(
            ["uv", "pip", "install", "-q", "--python", python, "ddranking==0.2.0"], check=True
        )
    return python


def share_data(source: Source, folder: Path, seed: int = 0) -> tuple[Path, torch.Tensor]:
    """The same set and test images for both, as arrays on disk; returns the set's rows as well."""
    rows = draw(source, [10] * 10, seed)
    pixels = source.train.images[rows].float() / 255
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (source.mean, source.std))
    path = folder / "shared.npz"
    np.savez(
        path,
        set_images=((pixels - mean) / std).numpy(),
        set_labels=source.train.labels[rows].numpy(),
        train_images=source.train.images[:500].permute(0, 2, 3, 1).numpy(),
        train_labels=source.train.labels[:500].numpy(),
        test_images=source.test.images.permute(0, 2, 3, 1).numpy(),
        test_labels=source.test.labels.numpy(),
    )
    return path, rows


class Peer:
    """The peer process, asked for one student at a time."""

    def __init__(self, arrays: Path) -> None:
        script = Path(__file__).with_name("peer_ddranking.py")
        self.process = subprocess.Popen(
            [peer_python(), script, arrays],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def train(
        self, epochs: int, total: int, workers: int, seed: int, *, once: bool = False
    ) -> dict[str, Any]:
        """Seconds, seconds of testing and accuracies of one student, tested `once` at the end or as ever."""
        ask = {"seed": seed, "lr": LR, "epochs": epochs, "total": total, "workers": workers,
               "once": once}  # fmt: skip
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps(ask) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


@contextmanager
def peer(arrays: Path) -> Iterator[Peer]:
    """A peer that is stopped at the end."""
    found = Peer(arrays)
    try:
        yield found
    finally:
        found.process.kill()


class Ours:
    """Our side of the same work."""

    def __init__(self, source: Source, rows: torch.Tensor, precision: str) -> None:
        self.source = source
        self.lab = Lab(source, default_device())
        self.data = from_rows(source, rows, method="random", budget="ipc=10")
        settings = protocols.load("ddranking-hard@1").settings
        self.recipe = protocols.recipe(settings, source, lr=LR, precision=precision)
        self.lens, self.exams = self.lab.lens(None), self.lab.exams(None)

    def train(self, epochs: int, seed: int) -> dict[str, float]:
        """Seconds of training, seconds of the exams, and test accuracy of one student."""
        job = self.job(epochs, seed)
        start = time.perf_counter()
        cohort = loop.Cohort([job], self.source, self.lens, (), alone=self.lab.alone(job))
        program, _ = loop.train(cohort)
        trained = time.perf_counter()
        found = [
            loop.hits(program, images, split.labels, 10)
            for images, split in zip(self.exams, (self.source.val, self.source.test), strict=True)
        ]
        return {
            "train": trained - start,
            "exam": time.perf_counter() - trained,
            "accuracy": int(found[1].sum()) / len(self.source.test),
        }

    def job(self, epochs: int, seed: int) -> loop.Job:
        """One student."""
        recipe = replace(self.recipe, epochs=epochs)
        return loop.Job(Trial(self.data.digest, self.source.digest, recipe, seed), self.data)

    def tune(self) -> str:
        """Calibrate, as `evaluate` does before a verdict's students; returns what was chosen."""
        jobs = [self.job(EPOCHS, seed) for seed in range(50)]
        pace.tune(jobs, self.lab, Silent(), SIDE)
        return str(self.lab.choice(jobs[0]))


class Abreast:
    """Two of our students at a time, each in a process and on a thread of its own."""

    def __init__(self, rows: torch.Tensor, precision: str) -> None:
        context = multiprocessing.get_context("spawn")
        self.pool = context.Pool(SIDE.abreast, _prepare, (rows, precision))

    def train(self, epochs: int, seed: int) -> dict[str, float]:
        """Seconds that one student costs while the other trains beside it, and its accuracy."""
        asked = [(epochs, seed + other * 1000) for other in range(SIDE.abreast)]
        found = self.pool.starmap(_train, asked, chunksize=1)
        cost = {part: max(f[part] for f in found) / SIDE.abreast for part in ("train", "exam")}
        return {**cost, "accuracy": found[0]["accuracy"]}


def _prepare(rows: torch.Tensor, precision: str) -> None:
    global _ours
    torch.set_num_threads(1)
    _ours = Ours(sources.load("cifar10"), rows, precision)
    _ours.lab.recall_choices()
    _ours.train(1, 0)


def _train(epochs: int, seed: int) -> dict[str, float]:
    return _ours.train(epochs, seed)


def spread(values: list[float]) -> str:
    """Median with n, minimum and maximum."""
    return f"{np.median(values):.1f}x (n={len(values)}, {min(values):.1f} to {max(values):.1f})"


def blocks(them: Peer, us: Abreast, rounds: int, workers: int) -> list[tuple[float, float]]:
    """Ratios (verdict, steps alone) of each round of one block each, in turn."""
    ratios = []
    for seed in range(rounds):
        theirs = them.train(BLOCK, EPOCHS, workers, seed)
        ours = us.train(BLOCK, seed)
        verdict = (
            EPOCHS / BLOCK * theirs["seconds"] / (EPOCHS / BLOCK * ours["train"] + ours["exam"])
        )
        steps = (theirs["seconds"] - theirs["test_seconds"]) / ours["train"]
        ratios.append((verdict, steps))
        print(
            f"round {seed}, {workers} workers: peer {theirs['seconds']:.1f} s "
            f"({theirs['test_seconds']:.1f} testing), ours {ours['train']:.2f} s + exam {ours['exam']:.1f} s",
            flush=True,
        )
    return ratios


def students(them: Peer, us: Abreast, rounds: int, epochs: int) -> list[list[str]]:
    """Whole students of both, in turn, with their accuracies."""
    rows = []
    for seed in range(rounds):
        theirs = them.train(epochs, epochs, 0, seed)
        ours = us.train(epochs, seed)
        total = ours["train"] + ours["exam"]
        rows.append(
            [
                str(seed),
                f"{theirs['seconds']:.0f}",
                f"{total:.1f}",
                f"{theirs['seconds'] / total:.1f}x",
                f"{theirs['accuracies'][-1]:.1f}",
                f"{max(theirs['accuracies']):.1f}",
                f"{100 * ours['accuracy']:.1f}",
            ]
        )
        print(rows[-1], flush=True)
    return rows


def main() -> None:
    """Measure and print; without --quick also write docs/results/vs-ddranking.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--precision", default=native_precision(default_device()))
    args = parser.parse_args()
    HOME.mkdir(exist_ok=True)
    torch.set_num_threads(2)
    source = sources.load("cifar10")
    with tempfile.TemporaryDirectory() as folder:
        arrays, rows = share_data(source, Path(folder))
        ours = Ours(source, rows, args.precision)
        chosen = ours.tune()
        us = Abreast(rows, args.precision)
        with peer(arrays) as them, us.pool:
            us.train(1, 0)
            them.train(1, EPOCHS, 0, 0)
            lines = []
            for workers in (0, 4):
                found = blocks(them, us, args.rounds if workers == 0 else 2, workers)
                lines.append(
                    f"verdict: {spread([v for v, _ in found])}, peer with {workers} workers"
                )
                lines.append(
                    f"steps alone: {spread([s for _, s in found])}, peer with {workers} workers"
                )
            print("\n".join(lines))
            print(
                environment_line(ours.lab.device),
                f"ours in {ours.recipe.precision}, steps: {chosen}",
            )
            if args.quick:
                return
            head = [
                "seed",
                "peer, s",
                "ours, s",
                "ratio",
                "peer last, %",
                "peer best on test, %",
                "ours, %",
            ]
            trained = students(them, us, 3, 30)
    page = Path("docs/results/vs-ddranking.md")
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(
        "# Beside ddranking 0.2.0\n\nMade by `python benchmarks/vs_ddranking.py`.\n\n```\n"
        + "\n".join(lines)
        + "\n```\n\nWhole students of 30 epochs, in turn (peer with 0 workers):\n\n"
        + table(head, trained)
        + "\n\n"
        + environment_line(ours.lab.device)
        + f" Ours in {ours.recipe.precision}, steps: {chosen}; the peer in float32.\n"
    )


if __name__ == "__main__":
    main()
