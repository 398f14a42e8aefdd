"""Numbers and names as readers see them: the command line and the HTML report both speak from here.

Accuracies and differences of accuracies are fractions elsewhere and percent only in what this
module returns; scores in [0, 1] are shown times 100 as well.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from hydrometer import metrics, registry
from hydrometer.stats.bootstrap import ENOUGH_SEEDS
from hydrometer.types import Card, Cost, Estimate, Trusted, Verdict
from hydrometer.units import bytes as bytes
from hydrometer.units import counted as counted
from hydrometer.units import duration as duration
from hydrometer.units import read_bytes as read_bytes

_UNITS = {"accuracy": "%", "hlr": "points", "ior": "points"}
"""Percent, percentage points, or, for every other metric, a score times 100 without a unit."""
_PARTS = {
    "subject": "this set",
    "random": "random images",
    "full": "full data",
    "hard": "hard labels",
    "aug": "augmented",
    "naug": "not augmented",
    "average": "averaged weights",
}


@dataclass(frozen=True)
class Reading:
    """One estimate in ready strings, such as 91.2, [90.1, 92.0] and 5 for an accuracy in %."""

    key: str
    """The estimate's name in the verdict, such as `accuracy:random`."""
    heading: str
    unit: str
    value: str
    interval: str
    n: str

    def __str__(self) -> str:
        return " ".join(part for part in (self.value, self.unit, self.interval) if part)


@dataclass(frozen=True)
class VerdictRow:
    """A verdict in ready strings: who was judged, how, at what cost, and every estimate."""

    method: str
    source: str
    protocol: str
    budget: str
    bytes: str
    readings: tuple[Reading, ...]
    """Accuracies of the arms first, then the metrics, in the order of the verdict."""


def percent(fraction: float, digits: int = 1) -> str:
    """A fraction in percent without the sign, true minus and no negative zero.

    >>> percent(0.9124), percent(-0.05), percent(-0.0001)
    ('91.2', '−5.0', '0.0')
    """
    rounded = round(100 * fraction, digits) + 0.0
    return f"{rounded:.{digits}f}".replace("-", "−")


def interval(estimate: Estimate, unit: str = "") -> str:
    """A value with its interval, everything times 100; the unit stands behind the value.

    >>> interval(Estimate(value=0.912, low=0.901, high=0.92, level=0.95, n=5), "%")
    '91.2 % [90.1, 92.0]'
    """
    return str(_reading("", "", estimate, unit))


def estimate(found: Estimate, metric: str) -> str:
    """A metric's value with its unit and interval, such as `6.7 points [5.9, 7.8]` for `ior`."""
    return interval(found, unit_of(metric))


def unit_of(metric: str) -> str:
    """What a metric's rendered value counts: `%`, `points`, or nothing for a score times 100."""
    return _UNITS.get(base_of(metric), "")


def base_of(metric: str) -> str:
    """The registered name in an estimate's name, such as `lrs` for `lrs(w=0.3)`."""
    return re.split(r"[:(]", metric)[0]


def budget(stored: str) -> str:
    """A card's budget in words, such as `10 per class` for `ipc=10`; an unknown form stays."""
    kind, _, value = stored.partition("=")
    try:
        if kind == "ipc":
            return f"{int(value):,} per class"
        if kind == "images":
            return f"{int(value):,} images"
        if kind == "bytes":
            return bytes(int(value))
        if kind == "fraction":
            return f"{100 * float(value):.3g} % of train"
    except ValueError:
        pass
    return stored


def trust(found: Trusted) -> str:
    """Whose labels a set was made from, and how good they are where that is known."""
    told = f"{found.estimator} used {found.kept:,} of {found.images:,} images"
    told += f", {found.recalibrated:,} of them relabelled" if found.recalibrated else ""
    known = {
        "of the labels are right": found.precision,
        "of the right ones are used": found.coverage,
        "in the class with the fewest": found.least_coverage,
    }
    shares = [f"{percent(share)} % {of}" for of, share in known.items() if share is not None]
    return f"{told}: {', '.join(shares)}" if shares else told


def cost(found: Cost, what: str, device: str) -> str:
    """What an evaluation will take, as one sentence."""
    left = found.students - found.done
    if not found.students:
        return f"{what}: nothing to train"
    if not left:
        if found.students == 1:
            return f"{what}: the one student is stored, nothing to train"
        return f"{what}: all {found.students:,} students are stored, nothing to train"
    students = f"{counted(left, 'student')} to train on {device}"
    stored = f", {found.done:,} of {found.students:,} stored" if found.done else ""
    time = "" if found.seconds is None else f", about {duration(found.seconds)}"
    return f"{what}: {students}{stored}, {counted(found.steps, 'step')}{time}"


def made_in(card: Card) -> str:
    """How long a set took to make; nobody knows it of one that was imported."""
    return duration(card.seconds) if card.seconds else "unknown"


def arm(name: str) -> str:
    """An arm's name in words, such as `this set, hard labels` for `subject_hard`."""
    return ", ".join(_PARTS.get(part, part) for part in name.split("_"))


def row(verdict: Verdict) -> VerdictRow:
    """A verdict as strings, ready for a table."""
    found = verdict.estimates
    arms = [name for name in found if name.startswith("accuracy:")]
    scores = [name for name in found if name not in arms and not (arms and name == "accuracy")]
    return VerdictRow(
        method=verdict.card.title,
        source=verdict.source,
        protocol=verdict.protocol,
        budget=budget(verdict.card.budget),
        bytes=bytes(verdict.card.bytes.total),
        readings=tuple(_reading(n, heading(n), found[n], unit_of(n)) for n in arms + scores),
    )


def sentence(verdict: Verdict, full_size: int | None = None) -> str:
    """A verdict in one plain sentence, which says so when the gain over random may be chance.

    `full_size` is the number of images of the full-data arm, where it is known.
    """
    arms = {n.partition(":")[2]: e for n, e in verdict.estimates.items() if ":" in n}
    subject = next((name for name in arms if name.partition("_")[0] == "subject"), None)
    if subject is None:
        return f"{verdict.card.title} was not measured by itself."
    suffix = subject.removeprefix("subject")
    clauses = []
    if random := arms.get(f"random{suffix}", arms.get("random")):
        clauses.append(f"{_random(verdict)} {percent(random.value)} %")
    if full := arms.get("full"):
        all_data = "the full data" if full_size is None else f"all {full_size:,} images"
        reach = "" if clauses else "reach "
        clauses.append(f"{all_data} {reach}{percent(full.value)} %")
    verb = "keeps" if clauses else "reaches"
    said = f"{verdict.card.title} {verb} {interval(arms[subject], '%')}"
    where = f" where {' and '.join(clauses)}" if clauses else ""
    return f"{said}{where}{_doubt(verdict)}."


def _random(verdict: Verdict) -> str:
    kind, _, count = verdict.card.budget.partition("=")
    if kind != "ipc":
        return "as many random images reach"
    one = count == "1"
    return f"{count} random image{'' if one else 's'} per class reach{'es' if one else ''}"


def _doubt(verdict: Verdict) -> str:
    gain = verdict.estimates.get("ior")
    if gain is None:
        return ""
    if gain.n < ENOUGH_SEEDS:
        few = "1 seed does" if gain.n == 1 else f"{gain.n} seeds do"
        return f"; {few} not tell whether the difference from random is chance"
    chance = gain.low <= 0 <= gain.high
    return "; the difference from random may be chance" if chance else ""


def _reading(key: str, heading: str, found: Estimate, unit: str) -> Reading:
    ends = f"[{percent(found.low)}, {percent(found.high)}]"
    return Reading(key, heading, unit, percent(found.value), ends, str(found.n))


def heading(name: str) -> str:
    """An arm in words, or a metric's title; one that is not installed here keeps its name."""
    kind, colon, of = name.partition(":")
    if colon:
        return arm(of)
    base = base_of(kind)
    known = base in registry.names("metric")
    return metrics.find(base).title + kind[len(base) :] if known else name.upper()
