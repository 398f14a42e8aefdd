"""Do published sets reproduce here? One command imports both and evaluates them as their authors do.

    HYDROMETER_DATA=../shared/data .venv/bin/python benchmarks/published.py [--seeds 3] [--precision bfloat16]

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
from tabulate_results import environment_line, table

SETS = (
    ("dc-cifar10-ipc1", "normalised", Spec("normalise"), "as-dc@1", "28.3"),
    ("datm-cifar10-ipc10", "zca", Spec("zca", (("eps", 0.1),)), "as-datm@1", "66.8 (averaged)"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default="")
    parser.add_argument("--precision", default="auto")
    args = parser.parse_args()
    changes = {"seeds": str(args.seeds), "precision": args.precision}
    root = Path(os.environ["HYDROMETER_DATA"])
    source = sources.load("cifar10")
    lab = Lab(source, default_device())
    Path(".out").mkdir(exist_ok=True)
    rows = []
    with Store(Path(".out/published.sqlite")) as store:
        for folder, space, whiten, name, published in SETS:
            if args.only not in folder:
                continue
            path = root / "published" / folder
            subject = foreign.import_set(
                path, source=source, space=space, whitening=fit(source, whiten)
            )
            protocol = protocols.load(name).changed(changes)
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
    page = Path("docs/results/published-sets.md")
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(
        "# Published sets on the JPEG copy of CIFAR-10\n\n"
        f"Made by `python benchmarks/published.py --seeds {args.seeds} --precision {args.precision}`. Last-step test accuracy, 95 % interval over seeds.\n\n"
        + table(head, rows)
        + "\n\n"
        + environment_line(lab.device)
        + "\n"
    )
    print(page.read_text())


if __name__ == "__main__":
    main()
