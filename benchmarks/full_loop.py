"""Steps on the full data beside a bare loop in the manner of cifar10-airbench, in turn.

    HYDROMETER_DATA=../shared/data .venv/bin/python benchmarks/full_loop.py [--rounds 5]

CIFAR-10's 45,000 training images, batches of 512 without augmentation, SGD with momentum, the same
network in the same precision. The bare loop is what that script's is on a processor: the data one normalised
tensor, a permutation of rows, autocast, one fused optimiser, nothing recorded. Writes
docs/results/full-loop.md.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.nn import functional as F

from hydrometer import protocols, sources, students
from hydrometer.artifact.rows import whole
from hydrometer.engine import loop
from hydrometer.engine.environment import default_device, keep_pages
from hydrometer.execute.lab import Lab
from hydrometer.types import Precision, Trial
from tabulate_results import environment_line, publish, spread, table

CASES: tuple[tuple[str, Precision, int], ...] = (
    ("convnet-3", "bfloat16", 10),
    ("convnet-3", "float32", 6),
    ("resnet-18", "bfloat16", 2),
)
"""Student, precision, and steps timed at once."""
BATCH = 512


def ours(lab: Lab, student: str, precision: Precision) -> Callable[[int], None]:
    """So many steps of the full-data arm."""
    protocol = protocols.load("ddranking-hard@1").changed(
        {"precision": precision, "student": student}
    )
    assert protocol.settings.full is not None
    recipe = protocols.full_recipe(protocol.settings, protocol.settings.full, lab.source)
    data, recipe = whole(lab.source), dataclasses.replace(recipe, batch=BATCH)
    job = loop.Job(Trial(data.digest, lab.source.digest, recipe, 0), data)
    cohort = loop.Cohort([job], lab.source, lab.lens(None), ())
    program, draws = cohort.program(), cohort.draws(0, 1)

    def steps(count: int) -> None:
        for batch in itertools.islice(cohort.batches(), count):
            program.step(*cohort.view(batch, draws[:, 0]), [recipe.lr])

    return steps


def bare(lab: Lab, student: str, precision: Precision) -> Callable[[int], None]:
    """So many steps of a loop written by hand."""
    source = lab.source
    model = students.create(students.spec(student), source.shape, 10, seed_key=0).train()
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (source.mean, source.std))
    images = (source.train.images.float() / 255 - mean) / std
    labels = source.train.labels
    optimiser = torch.optim.SGD(
        model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4, fused=True
    )
    reduced = precision == "bfloat16"

    def steps(count: int) -> None:
        for rows in torch.randperm(len(images)).split(BATCH)[:count]:
            with torch.autocast("cpu", torch.bfloat16, enabled=reduced):
                loss = F.cross_entropy(model(images[rows]), labels[rows])
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()

    return steps


def seconds(steps: Callable[[int], None], count: int) -> float:
    """Wall seconds of one step."""
    start = time.perf_counter()
    steps(count)
    return (time.perf_counter() - start) / count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    keep_pages()
    lab, rows = Lab(sources.load("cifar10"), default_device()), []
    for student, precision, count in CASES:
        sides = [side(lab, student, precision) for side in (ours, bare)]
        for side in sides:
            side(1)
        taken = [[seconds(side, count) for side in sides] for _ in range(asked.rounds)]
        mine, theirs = (list(t) for t in zip(*taken, strict=True))
        ratio = spread([b / a for a, b in taken])
        rows.append([student, precision, spread(mine), spread(theirs), ratio])
        print(rows[-1], flush=True)
    head = ["student", "precision", "ours, s a step", "bare loop, s a step", "bare over ours"]
    publish(
        Path("docs/results/full-loop.md"),
        "# Full data beside a bare loop\n\nMade by `python benchmarks/full_loop.py"
        f" --rounds {asked.rounds}`: batches of {BATCH} of CIFAR-10, no augmentation, sides in turn; medians "
        f"and ranges, n={asked.rounds}.\n\n{table(head, rows)}\n\n{environment_line(lab.device)}",
    )


if __name__ == "__main__":
    main()
