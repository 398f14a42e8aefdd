"""What images under mended labels do to a small set: who is in it, how alike they are, and students.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/recalled_images.py [--method 'el2n(epochs=5)'] [--seeds 5]

Of every noise seed one set for each arm: no filter, each estimator with the images it recalls where it
decides, the same without them (`recall=False`), the same with scores of a network that saw them but none in
the set (`scores alone`, for `el2n`), and the oracle. Students are those of `noisy-quick@1`, shortened as for
docs/results/noise-digits.md, four a set. Intervals of 95 % are over noise seeds. Prints one table.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from hydrometer import protocols, registry, seeds, sources, verdict
from hydrometer.engine.environment import default_device
from hydrometer.execute import Silent
from hydrometer.execute.lab import Lab
from hydrometer.execute.serial import execute
from hydrometer.methods import recording, trust
from hydrometer.methods.select.el2n import el2n_scores
from hydrometer.methods.select.scored import select
from hydrometer.methods.trust import wrapper
from hydrometer.methods.trust.report import Provenance, TrustReport
from hydrometer.report import text
from hydrometer.sources.noise import NoisySource
from hydrometer.stats import bootstrap
from hydrometer.store import Store
from hydrometer.types import Budget, CompressedSet, Source, Spec
from tabulate_results import environment_line, table

STUDENT = "convnet(depth=2,norm=instance,width=32)"
PROTOCOL = f"noisy-quick@1{{epochs=50,seeds=4,rates=0.01|0.03,student={STUDENT}}}"
TRUSTS = ("tad", "combined")
SCORED = "(scores alone)"
HEAD = (
    "labels",
    "accuracy, %",
    "gain, points",
    "wrong, %",
    "recalled, %",
    "of the pool, %",
    "spread",
)


@dataclasses.dataclass(frozen=True)
class Row:
    """Of one set: accuracy of its students, and who is in it.

    Shares of wrong and of recalled labels in it, that of recalled ones in what it was made from, and
    the mean distance of two of its images of one class, white being 1.
    """

    accuracy: float
    wrong: float
    recalled: float
    pool: float
    spread: float


@dataclasses.dataclass(frozen=True)
class Known:
    """The report of an arm, none without a filter, and whether recalled images are for scores alone."""

    report: TrustReport | None
    scored_only: bool


def arms(method: Spec) -> list[str]:
    """Every arm of a method: no filter, specs of estimators, and what `made` adds to them."""
    scored = (f"tad {SCORED}", f"combined {SCORED}") if method.name == "el2n" else ()
    return [
        "none",
        *(t for name in TRUSTS for t in (name, f"{name}(recall=False)")),
        *scored,
        "oracle",
    ]


def made(
    source: Source, known: Known, asked: argparse.Namespace, rng: np.random.Generator
) -> CompressedSet:
    """The set of an arm; methods draw the same in all of them."""
    method, budget = registry.parse(asked.method), Budget(per_class=asked.ipc)
    seen = sources.sealed(source)
    if known.report is None:
        return registry.build("method", method, seen, budget, rng=rng)
    if known.scored_only:
        return scored_only(seen, known.report, method, budget, rng)
    return registry.build("method", method, wrapper.trusted(seen, known.report), budget, rng=rng)


def scored_only(
    source: Source, report: TrustReport, method: Spec, budget: Budget, rng: np.random.Generator
) -> CompressedSet:
    """Easiest first among images under given labels, by scores of a network that saw the recalled too."""
    every = wrapper.trusted(source, report)
    epochs = int(method.kwargs.get("epochs", 10))
    scores = recording.record(every, epochs=epochs).score(el2n_scores, "error_norm")
    own = report.provenance == Provenance.GIVEN
    few = wrapper.trusted(source, dataclasses.replace(report, keep=own))
    return select(few, budget, scores[own[report.keep]], method=method, seconds=0.0, rng=rng)


def judged(made: CompressedSet, lab: Lab, store: Store) -> float:
    """Mean test accuracy of its students at the rate chosen on `val`."""
    plan = verdict.plan(made, protocols.load(PROTOCOL), lab)
    own = next(arm for arm in plan.arms if arm.name == "subject")
    runs = execute(tuple(verdict.jobs_of(own, lab.source)), lab, store, Silent())
    return float(np.mean(verdict.result(own, lab.source, runs).accuracy))


def row(
    found: CompressedSet, source: NoisySource, report: TrustReport | None, accuracy: float
) -> Row:
    """The row of a set; of learned images only the accuracy is known."""
    if found.index is None:
        return Row(accuracy, np.nan, np.nan, np.nan, spread(found))
    place = {int(index): at for at, index in enumerate(source.train.index)}
    at = np.array([place[int(index)] for index in found.index])
    wrong = (source.clean_train.numpy()[at] != found.labels.numpy()).mean()
    if report is None:
        return Row(accuracy, wrong, 0.0, 0.0, spread(found))
    recalled = report.provenance == Provenance.RECALIBRATED
    return Row(accuracy, wrong, recalled[at].mean(), recalled[report.keep].mean(), spread(found))


def spread(found: CompressedSet) -> float:
    """Mean Euclidean distance of two images of one class, white being 1."""
    scale = 255.0 if found.images.dtype == torch.uint8 else 1.0
    points = found.images.flatten(1).double() / scale
    each = [torch.pdist(points[found.labels == c]).mean() for c in found.labels.unique()]
    return float(torch.stack(each).mean())


def replicate(seed: int, asked: argparse.Namespace, store: Store) -> dict[str, Row]:
    """All arms of one noise seed."""
    source = sources.load(sources.redrawn(asked.source, seed))
    if not isinstance(source, NoisySource):
        raise SystemExit(f"{asked.source} has no noise")
    lab, found = Lab(source, default_device()), {}
    for arm in arms(registry.parse(asked.method)):
        known = Known(
            judgement(source, arm.removesuffix(f" {SCORED}"), asked.ipc, seed), SCORED in arm
        )
        rng = seeds.numpy_rng(seed, f"method/{asked.method}")
        subject = made(source, known, asked, rng)
        found[arm] = row(subject, source, known.report, judged(subject, lab, store))
        print(seed, arm, found[arm], flush=True)
    return found


def judgement(source: Source, arm: str, ipc: int, seed: int) -> TrustReport | None:
    """What the estimator of an arm says."""
    if arm == "none":
        return None
    return trust.estimate(source, registry.parse(arm), wanted=ipc * len(source.classes), seed=seed)


def lines(every: list[dict[str, Row]]) -> Iterator[list[str]]:
    """A line of the table for each arm."""
    for arm in every[0]:
        rows = [replicate[arm] for replicate in every]
        accuracy = np.array([r.accuracy for r in rows])
        gain = accuracy - np.array([replicate["none"].accuracy for replicate in every])
        means = [
            np.mean([getattr(r, name) for r in rows]) for name in ("wrong", "recalled", "pool")
        ]
        yield [
            arm,
            interval(accuracy, 0.0),
            "" if arm == "none" else interval(gain, -1.0),
            *("" if np.isnan(m) else f"{100 * m:.1f}" for m in means),
            f"{np.mean([r.spread for r in rows]):.2f}",
        ]  # fmt: skip


def interval(values: np.ndarray, least: float) -> str:
    rng = seeds.numpy_rng(0, "recalled")
    found = bootstrap.interval(lambda t: t.mean(-1), [values], bounds=(least, 1.0), rng=rng)
    return text.interval(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", default="digits+symmetric:0.4")
    parser.add_argument("--method", default="el2n(epochs=5)")
    parser.add_argument("--ipc", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=5, help="of the noise")
    parser.add_argument("--out", type=Path, default=Path(".out/recalled"))
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    with Store(asked.out / "runs.sqlite") as store:
        every = [replicate(seed, asked, store) for seed in range(asked.seeds)]
    print(table(HEAD, list(lines(every))))
    print(environment_line(default_device()))


if __name__ == "__main__":
    main()
