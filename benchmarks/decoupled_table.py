"""Decoupled methods under one protocol and under their authors' own: how far the spread shrinks.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/decoupled_table.py [--steps 300] [--seeds 5]

One set per method, made with seed 0 and kept under --out; every set is evaluated under RD3's reduced
version and under its own authors' (random images have none). `--presets small` takes the versions for
CIFAR instead of those for a laptop, `--methods NAME` makes one row, `--change epochs=2` alters every
protocol, and its name. Runs are stored, so the command goes on where it was stopped. Writes
docs/results/NAME.md or --page. On digits such numbers show that everything works; they rank nothing.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hydrometer import methods, protocols, registry, seeds, sources, verdict
from hydrometer.artifact import container
from hydrometer.cli.console import watching
from hydrometer.engine.environment import default_device
from hydrometer.execute.lab import Lab
from hydrometer.report import text
from hydrometer.stats import bootstrap, ranks
from hydrometer.store import Store
from hydrometer.types import Budget, CompressedSet, Estimate, Source, Verdict
from tabulate_results import command, environment_line, publish, table

RESULTS = Path(__file__).parents[1] / "docs" / "results"
OWN = {
    "random": None,
    "rded": "as-rded",
    "sre2l": "as-sre2l",
    "cda": "as-cda",
    "g-vbsm": "as-gvbsm",
    "dwa": "as-dwa",
    "edc": "as-edc",
}
FIXED = ("random", "rded", "edc")
"""Methods without an optimisation, or with one of fixed length."""


@dataclass(frozen=True)
class Judged:
    """One method: its set, its verdict under RD3, and that under its authors' evaluation."""

    name: str
    made: CompressedSet
    unified: Verdict
    own: Verdict | None


def preset(name: str, kind: str) -> str:
    """CDA has no evaluation for small images of its own: SRe2L's, which it builds on."""
    return "as-sre2l-small@1" if (name, kind) == ("as-cda", "small") else f"{name}-{kind}@1"


def spec_of(name: str, steps: int) -> str:
    return name if name in FIXED or not steps else f"{name}(steps={steps})"


def obtain(source: Source, name: str, ipc: int, out: Path) -> CompressedSet:
    """The set of a method, from an earlier run or made now."""
    path = out / f"{source.name}-{name}-ipc{ipc}.safetensors"
    if not path.is_file():
        spec, budget = registry.parse(name), Budget(per_class=ipc)
        rng = seeds.numpy_rng(0, f"method/{spec}")
        container.save(methods.compress(source, spec, budget, rng=rng, seed=0), path)
    return container.load(path)


def judge(
    made: CompressedSet, protocol: str, lab: Lab, store: Store, changes: dict[str, str]
) -> Verdict:
    asked = protocols.load(protocol).changed(changes)
    with watching(quiet=True) as observer:
        return verdict.evaluate(verdict.plan(made, asked, lab), lab, store, observer)


def accuracies(found: Verdict) -> np.ndarray:
    return np.array(next(arm for arm in found.arms if arm.name == "subject").accuracy)


def width(*drawn: np.ndarray) -> np.ndarray:
    """Best minus worst mean of several sets' accuracies (..., seeds)."""
    means = np.stack([d.mean(axis=-1) for d in drawn])
    return np.asarray(means.max(axis=0) - means.min(axis=0))


def spread(found: list[Verdict]) -> Estimate:
    """Best minus worst mean accuracy of several sets, whose seeds are resampled together."""
    samples = [accuracies(v) for v in found]
    return bootstrap.interval(
        width,
        samples,
        groups=["one"] * len(samples),
        bounds=(0.0, 1.0),
        rng=seeds.numpy_rng(0, "spread"),
    )


def shrinkage(owns: list[Verdict], unified: list[Verdict]) -> Estimate:
    """The spread under the methods' own evaluations minus that under RD3's."""

    def difference(*drawn: np.ndarray) -> np.ndarray:
        return width(*drawn[: len(owns)]) - width(*drawn[len(owns) :])

    return bootstrap.interval(
        difference,
        [accuracies(v) for v in (*owns, *unified)],
        groups=["own"] * len(owns) + ["unified"] * len(unified),
        bounds=(-1.0, 1.0),
        rng=seeds.numpy_rng(0, "shrinkage"),
    )


def against_random(found: Verdict) -> str:
    gain = found.estimates["ior"]
    if gain.low > 0:
        return "beats random"
    return "worse than random" if gain.high < 0 else "not told from random"


def row(judged: Judged) -> list[str]:
    unified, own = judged.unified, judged.own
    cells = [judged.made.card.method.partition("(")[0], f"{judged.made.card.seconds:.0f}"]
    cells += [text.interval(unified.estimates["accuracy"]), text.interval(unified.estimates["ior"])]
    cells.append(against_random(unified))
    if own is None:
        return [*cells, "", "", ""]
    cells += [
        text.interval(own.estimates["accuracy"]),
        text.interval(own.estimates["accuracy:random"]),
    ]
    return [*cells, against_random(own)]


def sentences(rows: list[Judged]) -> list[str]:
    methods_ = [r for r in rows if r.own is not None]
    owns = [r.own for r in methods_ if r.own is not None]
    unified = [r.unified for r in methods_]
    tau = ranks.agreement(
        [accuracies(v) for v in owns],
        [accuracies(v) for v in unified],
        groups=["own"] * len(owns) + ["unified"] * len(unified),
        rng=seeds.numpy_rng(0, "agreement"),
    )
    said = [shrunk(owns, unified)]
    said.append(
        f"Kendall tau between the two rankings: {tau.value:.2f} [{tau.low:.2f}, {tau.high:.2f}], "
        f"n = {tau.n}."
    )
    for name, verdicts in (("RD3's evaluation", unified), ("their own", owns)):
        lost = [
            r.name for r, v in zip(methods_, verdicts, strict=True) if v.estimates["ior"].low <= 0
        ]
        if lost:
            said.append(f"Under {name} these do not beat random real images: {', '.join(lost)}.")
    return said


def shrunk(owns: list[Verdict], unified: list[Verdict]) -> str:
    """How far the spread shrinks, in one sentence."""
    own, one, less = spread(owns), spread(unified), shrinkage(owns, unified)
    sign = "shrinks" if less.low > 0 else "grows" if less.high < 0 else "is not told to change"
    return (
        f"The spread of the {len(owns)} methods, best minus worst, {sign}: "
        f"{text.interval(own, 'points')} under their own evaluations, {text.interval(one, 'points')} "
        f"under RD3's, {text.interval(less, 'points')} less, n = {less.n}. (The spread of means of few "
        "seeds is never 0, even between equal sets.)"
    )


def reduced(base: str, asked: argparse.Namespace) -> str:
    """Why these are not the published protocols, and by which names they go."""
    plain = base.replace(f"-{asked.presets}", "")
    short = (
        f" SRe2L, CDA, G-VBSM and DWA make their sets in {asked.steps} steps."
        if asked.steps
        else ""
    )
    return (
        f"**A reduced version with its own name.** `{base}` is not `{plain}`: "
        f"{protocols.load(base).about}. The authors' evaluations here are reduced in the same way and "
        f"are named below; `hydrometer show {base}` says how.{short} One teacher of the source's size "
        "labels for all."
    )


def taught(judged: Verdict, lab: Lab) -> str:
    """The teacher of a verdict, from its card."""
    job = verdict.teacher_job(protocols.load(judged.protocol), lab.source)
    card = lab.teach(job.trial, job.data).card
    return f"Teacher: `{job.trial.recipe.student}`, digest {card.digest}, {card.val_accuracy:.1%} on val."


def page(rows: list[Judged], lab: Lab, asked: argparse.Namespace) -> str:
    head = ["method", "made, s", "RD3, %", "gain over random", "", "own, %", "random there, %", ""]
    notes = [
        f"- {r.name}: `{r.made.card.method}`"
        + (f", own evaluation `{r.own.protocol}`" if r.own is not None else "")
        for r in rows
    ]
    return "\n".join(
        [
            f"# Decoupled methods on {lab.source.name}, {asked.ipc} images per class, reduced",
            "",
            f"`{command()}`; a row alone: `{command('--methods', 'NAME')}`.",
            "",
            reduced(f"rd3-{asked.presets}@1", asked),
            "",
            f"RD3 is `{rows[0].unified.protocol}`; one set per method, made with seed 0, n = {asked.seeds} "
            "students; random images are redrawn with every seed. Test accuracy, percent, and 95 % "
            f"intervals. {bootstrap.notice(asked.seeds) or ''}".rstrip(),
            "",
            table(head, [row(r) for r in rows]),
            "",
            *(f"{sentence}\n" for sentence in sentences(rows)),
            *notes,
            "",
            taught(rows[0].unified, lab),
            environment_line(lab.device),
            f"Source digest {lab.source.digest}.",
            "",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", default="digits")
    parser.add_argument("--ipc", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument(
        "--steps", type=int, default=300, help="of SRe2L, CDA, G-VBSM, DWA; 0 is theirs"
    )
    parser.add_argument("--presets", choices=("quick", "small"), default="quick")
    parser.add_argument("--methods", nargs="+", choices=list(OWN), default=list(OWN))
    parser.add_argument("--change", nargs="+", default=[], metavar="SETTING=VALUE")
    parser.add_argument("--name", default="decoupled")
    parser.add_argument("--page", type=Path, help="instead of docs/results/NAME.md")
    parser.add_argument("--out", type=Path, default=Path(".out/decoupled"))
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    lab = Lab(sources.load(asked.source), default_device())
    changes = protocols.read_changes(",".join([f"seeds={asked.seeds}", *asked.change]))
    rows = []
    with Store(asked.out / "runs.sqlite") as store:
        for name in asked.methods:
            own = OWN[name]
            made = obtain(lab.source, spec_of(name, asked.steps), asked.ipc, asked.out)
            under = [f"rd3-{asked.presets}@1"] + ([preset(own, asked.presets)] if own else [])
            found = [judge(made, protocol, lab, store, changes) for protocol in under]
            rows.append(Judged(name, made, found[0], found[1] if own else None))
            print(" | ".join(row(rows[-1])), flush=True)
    if asked.methods != list(OWN):
        return  # other processes may train the rest; the whole command writes the page
    publish(asked.page or RESULTS / f"{asked.name}.md", page(rows, lab, asked))


if __name__ == "__main__":
    main()
