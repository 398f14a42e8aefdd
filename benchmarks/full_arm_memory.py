"""Peak memory of the largest step a CIFAR-10 evaluation takes: the full-data arm, batch 512.

    HYDROMETER_DATA=../shared/data .venv/bin/python benchmarks/full_arm_memory.py [--precision float32]

Three real steps, after `val` and `test` have been prepared as an evaluation prepares them.
"""

from __future__ import annotations

import argparse
import itertools
import resource

from hydrometer import protocols, sources
from hydrometer.artifact.rows import whole
from hydrometer.engine import loop
from hydrometer.engine.environment import default_device
from hydrometer.execute.lab import Lab
from hydrometer.types import Trial
from tabulate_results import environment_line


def main() -> None:
    """Take the steps and print the peak."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--precision", default="float32")
    args = parser.parse_args()
    source = sources.load("cifar10")
    lab, data = Lab(source, default_device()), whole(source)
    protocol = protocols.load("ddranking-hard@1").changed({"precision": args.precision})
    assert protocol.settings.full is not None
    recipe = protocols.full_recipe(protocol.settings, protocol.settings.full, source)
    lab.exams(None)
    job = loop.Job(Trial(data.digest, source.digest, recipe, 0), data)
    cohort = loop.Cohort([job], source, lab.lens(None), ())
    program, draws = cohort.program(), cohort.draws(0, 1)
    for batch in itertools.islice(cohort.batches(), 3):
        images, target = cohort.view(batch, draws[:, 0])
        program.step(images, target, [recipe.lr])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"batch {recipe.batch} in {recipe.precision}: peak {peak:.2f} GiB resident (n=1)")
    print(environment_line(lab.device))


if __name__ == "__main__":
    main()
