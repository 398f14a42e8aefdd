"""The random arm of `baselines.py` trained once more by an independent program, on the same images.

    HYDROMETER_DATA=../shared/data .venv/bin/python benchmarks/random_peer.py --seeds 0 1 2

ddranking==0.2.0 trains a student on each of our random draws of 10 images per class, with its own
loop, network, augmentation and optimiser: ConvNet-3, DSA, SGD 0.01, 1000 epochs, last step. Prints its
accuracies beside ours from .out/baselines.sqlite (run `baselines.py` first). About 10 minutes of one
processor a student, so several processes may each take some of the seeds.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from baselines import PROTOCOL
from hydrometer import digest, protocols, sources, verdict
from hydrometer.artifact.rows import from_rows
from hydrometer.engine.environment import default_device
from hydrometer.execute.lab import Lab
from hydrometer.sources.draw import draw
from hydrometer.store import Store
from hydrometer.types import Source
from vs_ddranking import EPOCHS, peer, share_data


def ours(source: Source, precision: str) -> list[float]:
    """Test accuracies of the stored random arm, seed by seed."""
    protocol = protocols.load(PROTOCOL).changed({"seeds": "10", "precision": precision})
    # The random arm only asks how many there are of each class.
    some = from_rows(source, draw(source, [10] * 10, 0), method="random", budget="ipc=10")
    planned = verdict.plan(some, protocol, Lab(source, default_device()))
    arm = next(arm for arm in planned.arms if arm.name == "random")
    keys = [digest.of_trial(job.trial) for job in verdict.jobs_of(arm, source)]
    with Store(Path(".out/baselines.sqlite")) as store:
        found = store.get_many(keys)
    return [found[key].test_accuracy if key in found else float("nan") for key in keys]


def main() -> None:
    """Train the peer's students and print both sides."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--precision", default="bfloat16", help="of our stored runs")
    asked = parser.parse_args()
    source = sources.load("cifar10")
    stored = ours(source, asked.precision)
    for seed in asked.seeds:
        with tempfile.TemporaryDirectory() as folder:
            arrays, _ = share_data(source, Path(folder), seed)
            with peer(arrays) as them:
                found = them.train(EPOCHS, EPOCHS, 0, seed, once=True)
        print(
            f"draw {seed}: ddranking {found['accuracies'][-1]:.1f} %, ours {stored[seed]:.1%}, "
            f"{found['seconds']:.0f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
