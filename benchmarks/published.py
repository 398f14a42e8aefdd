"""Do published sets reproduce here? One command imports both and evaluates them as their authors do.

    HYDROMETER_DATA=../shared/data .venv/bin/python benchmarks/published.py [--precision bfloat16]

Writes docs/results/published-sets.md; runs are kept in .out/published.sqlite, so it can be resumed.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from hydrometer import protocols, sources, verdict
from hydrometer.artifact import foreign
from hydrometer.cli.console import watching
from hydrometer.engine.data import fit
from hydrometer.engine.environment import default_device
from hydrometer.execute.lab import Lab
from hydrometer.report import text
from hydrometer.store import Store
from hydrometer.types import Spec
from tabulate_results import environment_line, publish, table

SETS = (
    ("dc-cifar10-ipc1", "normalised", Spec("normalise"), "as-dc@1", 10, "28.3"),
    ("datm-cifar10-ipc10", "zca", Spec("zca", (("eps", 0.1),)), "as-datm@1", 3, "66.8 (averaged)"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="")
    parser.add_argument("--precision", default="auto")
    args = parser.parse_args()
    root = Path(os.environ["HYDROMETER_DATA"])
    source = sources.load("cifar10")
    lab = Lab(source, default_device())
    Path(".out").mkdir(exist_ok=True)
    rows = []
    with Store(Path(".out/published.sqlite")) as store:
        for folder, space, whiten, name, seeds, published in SETS:
            if args.only not in folder:
                continue
            path = root / "published" / folder
            subject = foreign.import_set(
                path, source=source, space=space, whitening=fit(source, whiten)
            )
            protocol = protocols.load(name).changed(
                {"seeds": str(seeds), "precision": args.precision}
            )
            plan = verdict.plan(subject, protocol, lab)
            with watching() as observer:
                judged = verdict.evaluate(plan, lab, store, observer)
            for arm in judged.arms:
                found = judged.estimates[f"accuracy:{arm.name}"]
                rows.append(
                    [
                        folder,
                        judged.protocol,
                        arm.name,
                        text.interval(found),
                        str(found.n),
                        " ".join(text.percent(a) for a in arm.accuracy),
                        published if arm.name in ("subject", "subject_average") else "",
                    ]
                )
            print(rows, flush=True)
    head = ["set", "protocol", "arm", "test accuracy, %", "n", "each seed", "published, %"]
    publish(
        Path("docs/results/published-sets.md"),
        "# Published sets on the JPEG copy of CIFAR-10\n\n"
        f"Made by `python benchmarks/published.py --precision {args.precision}`. Test accuracy after"
        " the last step, 95 % interval over seeds.\n\n"
        + table(head, rows)
        + "\n\n"
        + environment_line(lab.device),
    )


if __name__ == "__main__":
    main()
