"""What trust is worth: no filter, cleanlab, TAD, their combination and the oracle, as one table.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/noise_table.py --base digits
    HYDROMETER_DATA=../shared/data .venv/bin/python benchmarks/noise_table.py --base cifar10

Noises × {pruning, stitching, distribution matching, trajectory matching} × budgets; every arm on the same
noise seeds, and on clean labels. Sets, students and results are kept in --out, so the command goes on
where it was stopped, and two processes of it share the work. What fails is reported and left out.
Writes docs/results/noise-BASE.md, and again every few minutes.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from hydrometer import protocols, registry, sources
from hydrometer.bench import noisy, noisy_words, run
from hydrometer.bench.noisy import Answer, ArmScore, Question
from hydrometer.bench.plan import NO_TRUST
from hydrometer.cli.bench import cell_line
from hydrometer.cli.console import watching
from hydrometer.engine.environment import default_device
from hydrometer.methods.trust import ORACLE
from hydrometer.protocols.noisy import REPLICATES
from hydrometer.report import text
from hydrometer.sources.noise import NoisySource
from tabulate_results import command, environment_line, publish, table, write

RESULTS = Path(__file__).parents[1] / "docs" / "results"
NOISES = ("symmetric:0.4", "asymmetric:0.4")
OWN_NOISES = {"cifar10": ("column:label_worse",), "cifar100": ("column:noisy_label",)}
METHODS = {"pruning": "el2n", "stitching": "rded", "dm": "dm", "mtt": "mtt"}
SMALL_BUDGETS = {"digits": (1, 10)}
"""Budgets of bases whose classes are too small for 50: an estimator keeps 100 of each class then."""
TRUSTS = ("cleanlab", "tad", "combined")
WRITE_SECONDS = 300.0


def questions(asked: argparse.Namespace) -> list[Question]:
    """Every noise, budget and method that is asked for."""
    changes = {"precision": asked.precision}
    changes |= {"epochs": str(asked.epochs)} if asked.epochs else {}
    changes |= {"seeds": str(asked.students)} if asked.students else {}
    protocol = protocols.load(asked.protocol).changed(changes).name
    noises = (*NOISES, *OWN_NOISES.get(asked.base, ()))
    named = asked.sources or [f"{asked.base}+{noise}" for noise in noises]
    every = [
        Question(source, spec_of(method), f"ipc={ipc}", tuple(asked.trusts), protocol, asked.seeds)
        for source in named
        for ipc in asked.ipc or SMALL_BUDGETS.get(asked.base, (10, 50))
        for method in asked.methods
    ]
    for question in every:
        noisy.check(question)
    return every


def spec_of(method: str) -> str:
    """The method of a family's name, or of a spec."""
    return str(registry.parse(METHODS.get(method, method)))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", default="digits")
    parser.add_argument("--sources", nargs="+", help="with their noises; else all of the base")
    parser.add_argument("--methods", nargs="+", default=list(METHODS), help="families or specs")
    parser.add_argument("--trusts", nargs="+", default=list(TRUSTS))
    parser.add_argument("--ipc", nargs="+", type=int, help="else 10 and 50; of digits 1 and 10")
    parser.add_argument("--seeds", type=int, default=REPLICATES, help="of the noise")
    parser.add_argument("--students", type=int, help="a set; else the protocol's")
    parser.add_argument("--epochs", type=int, help="of students; else the protocol's")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--protocol", default="noisy-quick@1")
    parser.add_argument("--ahead", type=int, default=1, help="verdicts trained together")
    parser.add_argument("--retry-failed", action="store_true")
    parser.add_argument("--as-is", action="store_true", help="write what there is, train nothing")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--page", type=Path)
    return parser.parse_args()


def main() -> None:
    asked = parsed()
    every = questions(asked)
    out = asked.out or Path(".out") / f"noise-{asked.base}"
    page = asked.page or RESULTS / f"noise-{asked.base}.md"
    plan, last = noisy.plan(out.name, out, every), time.monotonic()
    if asked.as_is:
        publish(page, made(answers(every, noisy.known(plan))))
        return
    with watching(quiet=not sys.stderr.isatty()) as observer:
        for ended in run.run(
            plan, default_device(), observer, retry_failed=asked.retry_failed, ahead=asked.ahead
        ):
            print(f"{time.strftime('%H:%M:%S')} {cell_line(ended)}", flush=True)
            if time.monotonic() - last > WRITE_SECONDS:
                write(page, made(answers(every, noisy.known(plan))))
                last = time.monotonic()
    publish(page, made(answers(every, noisy.known(plan))))


def answers(every: Sequence[Question], ended: noisy.Known) -> list[Answer]:
    """What is known of every question."""
    return [noisy.answer(question, ended, cautions(question.source)) for question in every]


@cache
def cautions(source: str) -> tuple[str, ...]:
    """What the noise itself makes known: classes whose majority has another label."""
    loaded = sources.load(source)
    return loaded.notes if isinstance(loaded, NoisySource) else ()


def made(found: Sequence[Answer]) -> str:
    return "\n".join(lines(found))


def lines(found: Sequence[Answer]) -> Iterator[str]:
    """The page: command, what is recovered in all, every row, the clean rows, failures, machine."""
    first = found[0]
    n = max((len(score.by_replicate) for a in found for score in a.noisy), default=0)
    students = max((len(s) for a in found for x in a.noisy for s in x.by_replicate), default=0)
    yield f"# Noisy labels: {first.clean_source}\n"
    yield f"Made by `{command()}`.\n"
    yield (
        f"Protocol `{first.protocol}`: rates chosen on noisy `val`, clean test accuracy after the last "
        f"step. {n} noise seeds, {students} students a set; intervals of 95 % are over noise seeds, "
        f"with which labels, sets and draws change together. {noisy_words.LEGEND}\n"
    )
    yield "## Recovered, all rows together\n"
    yield (
        "Gains of all rows over gaps of all rows, where the mean gap is clear of 0; noise seeds of one "
        "source are resampled together.\n"
    )
    said, head = short_names(found), ["method", "images", *noisy_words.HEAD]
    columns = [f"{said[name]}, %" for name in estimators(found)]
    yield table(["rows", "oracle less no filter, points", *columns], list(pooled(found, said)))
    for source in dict.fromkeys(answer.source for answer in found):
        yield f"\n## {source}\n"
        of_source = [answer for answer in found if answer.source == source]
        yield table(head, list(cells(of_source, said, clean=False)))
    yield "\n## Clean labels\n"
    yield table(head, list(cells(once(found), said, clean=True)))
    yield ""
    yield from (f"- {s}" for s in harm(found, said))
    yield from (f"- {notice}" for notice in dict.fromkeys(notices(found, said)))
    yield from (f"- {short} is `{name}`" for name, short in said.items() if short != name)
    yield f"\n{environment_line(default_device())}"


def short_names(found: Sequence[Answer]) -> dict[str, str]:
    """What the page calls each method and arm: the name alone, where no two differ in arguments."""
    specs = [*(answer.method for answer in found), *estimators(found)]
    every = dict.fromkeys([NO_TRUST, ORACLE, *specs])
    plain = [registry.parse(spec).name for spec in every]
    return {
        spec: short if plain.count(short) == 1 else spec
        for spec, short in zip(every, plain, strict=True)
    }


def estimators(found: Sequence[Answer]) -> list[str]:
    """All arms but no filter and the oracle."""
    names = dict.fromkeys(score.trust for answer in found for score in answer.noisy)
    return [name for name in names if name not in (NO_TRUST, ORACLE)]


def pooled(found: Sequence[Answer], said: Mapping[str, str]) -> Iterator[list[str]]:
    """What each estimator recovers over all rows, those of a source, a method, a budget."""
    yield row_of("all", found)
    for field in ("source", "method", "budget"):
        for value in dict.fromkeys(str(getattr(answer, field)) for answer in found):
            here = [a for a in found if getattr(a, field) == value]
            yield row_of(said.get(value, value), here)
    yield from by_seed(found)


def by_seed(found: Sequence[Answer]) -> Iterator[list[str]]:
    """All rows of one noise seed: the mean gap in points, and what each estimator recovers of it."""
    whole = shares(ORACLE, found).rows
    if len({len(none) for none, _, _ in whole}) != 1:
        return
    for seed in range(len(whole[0][0])):
        gaps = [best[seed] - none[seed] for none, _, best in whole]
        gained = [
            [mine[seed] - none[seed] for none, mine, _ in shares(name, found).rows]
            for name in estimators(found)
        ]
        there = [f"{100 * sum(g) / sum(gaps):.1f}" if len(g) == len(gaps) else "" for g in gained]
        yield [f"noise seed {seed}", f"{100 * np.mean(gaps):.1f}", *there]


def row_of(name: str, found: Sequence[Answer]) -> list[str]:
    """Oracle's mean gain, and the share of it that each estimator has, over several answers."""
    whole = shares(ORACLE, found)
    gap = noisy.mean_gain([(none, best) for none, _, best in whole.rows], whole.groups)
    if gap is None or gap.low <= 0:
        return [name, "" if gap is None else text.interval(gap), *("" for _ in estimators(found))]
    each = [shares(estimator, found) for estimator in estimators(found)]
    cells = [text.interval(noisy.recovered(e.rows, e.groups)) if e.rows else "" for e in each]
    return [name, text.interval(gap), *cells]


@dataclass(frozen=True)
class Shares:
    """Accuracies with no filter, of an arm, and of the oracle, row by row, and the rows' sources."""

    rows: list[tuple[np.ndarray, np.ndarray, np.ndarray]]
    groups: list[str]


def shares(arm: str, found: Sequence[Answer]) -> Shares:
    """The rows of all answers that have the arm."""
    told = Shares([], [])
    for answer in found:
        means = {score.trust: score.means for score in answer.noisy}
        if {NO_TRUST, arm, ORACLE} <= set(means):
            told.rows.append((means[NO_TRUST], means[arm], means[ORACLE]))
            told.groups.append(f"{answer.source}/{len(means[NO_TRUST])}")
    return told


def cells(found: Sequence[Answer], said: Mapping[str, str], *, clean: bool) -> Iterator[list[str]]:
    for answer in found:
        images = text.budget(answer.budget)
        scores: Sequence[ArmScore] = answer.clean if clean else answer.noisy
        short = [s.model_copy(update={"trust": said.get(s.trust, s.trust)}) for s in scores]
        for row in noisy_words.rows(short):
            yield [said[answer.method], images, *row]


def once(found: Sequence[Answer]) -> list[Answer]:
    """One answer of each method and budget: all sources of a base share their clean rows."""
    return list({(answer.method, answer.budget): answer for answer in found}.values())


def harm(found: Sequence[Answer], said: Mapping[str, str]) -> Iterator[str]:
    """Clean rows that lose more than their interval."""
    rows = [(answer, score) for answer in once(found) for score in answer.clean]
    lost = [(a, s) for a, s in rows if s.gain is not None and s.gain.high < 0]
    yield f"On clean labels {len(lost)} of {sum(s.gain is not None for _, s in rows)} rows lose more than their interval."
    for answer, score in lost:
        where = f"{said[answer.method]}, {answer.budget}, {said[score.trust]}"
        yield f"{where}: {text.interval(score.gain, 'points')}"


def notices(found: Sequence[Answer], said: Mapping[str, str]) -> Iterator[str]:
    for answer in found:
        for notice in answer.notices:
            where = f"{answer.source}, {said[answer.method]}, {answer.budget}: "
            yield (where if "replicates" in notice else "") + notice


if __name__ == "__main__":
    main()
