"""Answers on noisy labels as tables and sentences."""

from __future__ import annotations

from collections.abc import Sequence

from hydrometer.bench.noisy import Answer, ArmScore
from hydrometer.bench.plan import NO_TRUST
from hydrometer.methods.trust import ORACLE
from hydrometer.report import text
from hydrometer.types import Estimate

HEAD = (
    "labels",
    "accuracy, %",
    "gain, points",
    "of the gap, %",
    "used, %",
    "right, %",
    "coverage, %",
    "least, %",
)
LEGEND = (
    "Gain is over no filter; of the gap is the gain's share of the oracle's, where that is clear of 0. "
    "Used is the share of images that the arm used, right the share of their labels that are right, "
    "coverage the share of rightly labelled images that were used, least that of the worst class in "
    "the worst replicate."
)


def rows(scores: Sequence[ArmScore]) -> list[tuple[str, ...]]:
    """One line an arm, under `HEAD`."""
    return [
        (
            "no filter" if score.trust == NO_TRUST else score.trust,
            text.interval(score.accuracy),
            "" if score.gain is None else text.interval(score.gain),
            "" if score.recovered is None else text.interval(score.recovered),
            *labels(score),
        )
        for score in scores
    ]


def labels(score: ArmScore) -> tuple[str, str, str, str]:
    """Share used, precision, coverage and least coverage in percent; empty where not known."""
    used = [trust.kept / max(1, trust.images) for trust in score.labels]
    least = [t.least_coverage for t in score.labels if t.least_coverage is not None]
    return (
        _mean(used),
        _mean([t.precision for t in score.labels]),
        _mean([t.coverage for t in score.labels]),
        text.percent(min(least)) if least else "",
    )


def sentences(found: Answer) -> list[str]:
    """For each estimator, what it recovers on noisy labels and costs on clean ones."""
    harm = {score.trust: score.gain for score in found.clean}
    said = []
    for score in found.noisy:
        if score.gain is None or score.trust == ORACLE:
            continue
        first = f"{score.trust} gains {text.interval(score.gain, 'points')} over no filter"
        if score.recovered is not None:
            first += f", {text.interval(score.recovered, '%')} of what the oracle gains"
        said.append(f"{first}{_on_clean(harm.get(score.trust))}.")
    return said


def _on_clean(harm: Estimate | None) -> str:
    if harm is None:
        return ""
    loss = "; that is a loss" if harm.high < 0 else ""
    return f"; on clean labels {text.interval(harm, 'points')}{loss}"


def _mean(shares: Sequence[float | None]) -> str:
    there = [share for share in shares if share is not None]
    return text.percent(sum(there) / len(there)) if there else ""
