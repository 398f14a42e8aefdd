"""Random and herded real images under the field's long evaluation, with several seeds.

    HYDROMETER_DATA=../shared/data .venv/bin/python benchmarks/baselines.py [--methods herding] [--seeds 5]

CIFAR-10, 10 images per class, ConvNet-3, DSA, SGD 0.01, 1000 epochs, last step. Published accuracies of
random subsets under this evaluation lie between 26 and 31 %. Writes docs/results/baselines.md; runs
are kept in .out/baselines.sqlite, so it can be resumed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from hydrometer import methods, protocols, registry, seeds, sources, verdict
from hydrometer.cli.console import watching
from hydrometer.engine.environment import default_device
from hydrometer.execute.lab import Lab
from hydrometer.report import text
from hydrometer.store import Store
from hydrometer.types import Budget
from tabulate_results import environment_line, publish, table

PROTOCOL = "as-dc@1{augment=dsa,epochs=1000}"


def main() -> None:
    """Evaluate every method beside random and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--methods", default="herding")
    parser.add_argument("--ipc", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--precision", default="auto")
    args = parser.parse_args()
    Path(".out").mkdir(exist_ok=True)
    source = sources.load("cifar10")
    lab = Lab(source, default_device())
    changes = {"seeds": str(args.seeds), "precision": args.precision}
    protocol = protocols.load(PROTOCOL).changed(changes)
    rows: list[list[str]] = []
    with Store(Path(".out/baselines.sqlite")) as store:
        for name in args.methods.split(","):
            made = methods.compress(
                source, registry.parse(name), Budget(per_class=args.ipc),
                rng=seeds.numpy_rng(0, f"method/{name}"), seed=0,
            )  # fmt: skip
            plan = verdict.plan(made, protocol, lab)
            with watching() as observer:
                judged = verdict.evaluate(plan, lab, store, observer)
            arms = {arm.name: arm for arm in judged.arms}
            for label, arm in (("random", "random"), (made.card.method, "subject")):
                found = judged.estimates[f"accuracy:{arm}"]
                row = [label, text.interval(found), str(found.n),
                       " ".join(text.percent(a) for a in arms[arm].accuracy), ""]  # fmt: skip
                if row not in rows:
                    rows.append(row)
            rows[-1][-1] = text.estimate(judged.estimates["ior"], "ior")
    publish(
        Path("docs/results/baselines.md"),
        f"# Real images, {args.ipc} per class of CIFAR-10\n\nMade by `python benchmarks/baselines.py"
        f" --methods {args.methods} --ipc {args.ipc} --seeds {args.seeds}"
        f" --precision {args.precision}`: `{protocol.name}`, test accuracy after the last step,"
        " 95 % interval over seeds (random is drawn anew with each).\n\n"
        + table(["images", "accuracy, %", "n", "each seed", "gain over random"], rows)
        + "\n\n"
        + environment_line(lab.device),
    )


if __name__ == "__main__":
    main()
